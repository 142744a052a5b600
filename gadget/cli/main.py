"""The command line: `u3v`.

Every mistake of a person is one line on stderr and exit code 2. What else goes wrong is ours: a traceback, a line
that asks for a report, and exit code 70 (EX_SOFTWARE), so that nobody looks for the mistake in what he typed.
"""

import errno
import os
import sys
import traceback
from typing import Any

import click

from frames.scene import SceneError
from frames.sensor import SensorError
from gadget.cli.completion import completion_command
from gadget.cli.conform import conform_command
from gadget.cli.ctl import ctl_command
from gadget.cli.faults import faults_command
from gadget.cli.find import find_command
from gadget.cli.gadget import gadget_command
from gadget.cli.grab import grab_command
from gadget.cli.lists import features_command, models_command, scenes_command, show_command, xml_command
from gadget.cli.plan import plan_command
from gadget.cli.power import power_command
from gadget.cli.ptc import ptc_command
from gadget.cli.run_serve_plug import CannotRun, plug_command, run_command, serve_command
from gadget.cli.scope import scope_command
from gadget.cli.suggesting import Suggesting
from u3v.errors import U3VError

MISTAKES = (U3VError, SceneError, SensorError)
INTERNAL_ERROR = 70
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
SECTIONS = {
    "Give programs a camera": ("run", "serve", "plug", "gadget", "ctl"),
    "Use one without a program": ("find", "grab", "scope", "conform"),
    "Know beforehand": ("plan", "power", "ptc"),
    "Look up": ("models", "show", "features", "scenes", "faults", "xml"),
}


class Commands(Suggesting):
    """All commands, listed by purpose. A mistake in one of them is the person's."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        listed = set().union(*SECTIONS.values())
        others = tuple(name for name in self.list_commands(ctx) if name not in listed)
        for title, names in {**SECTIONS, "Other": others}.items():
            with formatter.section(title):
                self.write_commands(formatter, [name for name in names if name in self.commands])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except MISTAKES as error:
            raise click.UsageError(str(error)) from error
        except OSError as error:
            if error.filename is None:  # not about a file that a person named
                raise
            raise click.UsageError(f"{error.filename}: {error.strerror}") from error


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Start with:
  u3v models                            which cameras there are
  u3v grab acA4096-40um -n 5 -o out     five pictures from one, as files
  u3v run acA4096-40um -- CMD           your own program with one plugged in
Each command explains itself: u3v run --help""",
)
@click.version_option(package_name="u3v", prog_name="u3v")
def cli() -> None:
    """A virtual USB3 Vision camera that unmodified host programs enumerate, open, configure and stream from."""


for command in (
    run_command,
    serve_command,
    plug_command,
    gadget_command,
    models_command,
    show_command,
    features_command,
    scenes_command,
    faults_command,
    xml_command,
    completion_command,
    ctl_command,
    find_command,
    grab_command,
    conform_command,
    plan_command,
    power_command,
    ptc_command,
    scope_command,
):
    cli.add_command(command)


def main() -> None:
    """The console script."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by who started us: `u3v models >&-`
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - until the end
    status = _run()
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains at its end
        status = 1  # quietly, as click does, where the reader had read enough: `u3v models | head -1`
        if not isinstance(error, BrokenPipeError):
            click.echo(f"u3v: standard output: {error.strerror}", err=True)
            status = 2
    sys.exit(status)


def _run() -> int:
    """Do what the arguments say; the exit code."""
    try:
        return int(cli.main(prog_name="u3v", standalone_mode=False) or 0)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0
    except click.Abort:
        return 130
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.ClickException as error:
        click.echo(f"u3v: {' '.join(error.format_message().split())}", err=True)
        return error.status if isinstance(error, CannotRun) else 2
    except Exception as error:
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            click.echo(f"u3v: cannot write: {error.strerror}", err=True)
            return 2
        traceback.print_exc()
        click.echo(f"u3v: internal error, please report the lines above: {type(error).__name__}", err=True)
        return INTERNAL_ERROR
