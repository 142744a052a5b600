"""The option that writes a plot, and what it does: shared by the commands that have something to draw."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from matplotlib.figure import Figure

plot_option = click.option(
    "-o",
    "output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    callback=lambda _context, _option, path: _checked(path),
    help="Write a plot, as FILE's name says: .png, .svg, .pdf. Needs matplotlib: pip install matplotlib.",
)


def _checked(path: Path | None) -> Path | None:
    """What cannot be written is said before anything is computed. Raises Mistake."""
    if path is not None:
        from gadget.tools.plots import check_path

        check_path(path)
    return path


def write_plot(draw: Callable[[], "Figure"], path: Path | None) -> None:
    """Draw and write a plot, where one is wanted, and say so. Raises Mistake."""
    from gadget.tools.plots import save

    if path is not None:
        save(draw(), path)
        click.echo(f"wrote {path}", err=True)
