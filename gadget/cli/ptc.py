"""`u3v ptc`: the photon transfer curve of a camera."""

import json
from pathlib import Path

import click

from gadget.cli.completion import CAMERA
from gadget.cli.options import model_file_option, the_cameras
from gadget.cli.plotting import plot_option, write_plot


@click.command(
    "ptc",
    epilog="""\b
Examples:
  u3v ptc acA4096-40um -o ptc.png
  u3v ptc acA4096-40um:Gain=12,PixelFormat=Mono12p
  u3v ptc IDS-IMX412 --json""",
)
@click.argument("camera", default="", type=CAMERA, metavar="MODEL[:FEATURE=VALUE,...]")
@plot_option
@click.option(
    "--points",
    type=click.IntRange(1, 1000),
    default=49,
    show_default=True,
    metavar="N",
    help="Exposure times; at each, two frames are taken in the light and two in the dark.",
)
@click.option("--json", "as_json", is_flag=True, help="One object, with all points.")
@model_file_option
def ptc_command(
    camera: str, output: Path | None, points: int, as_json: bool, model_file: tuple[Path, ...]
) -> None:
    """Measure a camera by EMVA 1288: gain, efficiency, dark noise, saturation, beside its sensor's sheet.

    The frames come through the whole camera, on a simulated clock. 640x480 pixels of the deepest raw format are
    judged (of colour cameras as many green ones), where the settings do not say otherwise.
    """
    from gadget.tools.photon_transfer import photon_transfer
    from gadget.tools.plots import plot_photon_transfer

    (camera,) = the_cameras((camera,), model_file)
    curve = photon_transfer(camera, model_file, points)
    write_plot(lambda: plot_photon_transfer(curve), output)
    if as_json:
        click.echo(json.dumps(curve.as_json(), indent=2))
    else:
        click.echo("\n".join(curve.lines()))
