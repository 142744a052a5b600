"""The command line: `u3v`.

Every mistake of a person is one line on stderr and exit code 2. What else goes wrong is ours: a traceback, a line
that asks for a report, and exit code 70 (EX_SOFTWARE), so that nobody looks for the mistake in what he typed.
"""

import contextlib
import errno
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from frames.scene import SceneError
from frames.sensor import SensorError
from gadget.catalogue import find_model
from gadget.cli.completion import completion_command
from gadget.cli.lists import features_command, models_command, scenes_command, show_command, xml_command
from gadget.cli.options import (
    as_arguments,
    camera_options,
    specs,
)
from gadget.cli.plan import plan_command
from gadget.cli.power import power_command
from gadget.cli.ptc import ptc_command
from gadget.cli.run_serve_plug import CannotRun, plug_command, run_command, serve_command
from gadget.feature_text import parse_assignment
from u3v.did_you_mean import hint
from u3v.errors import U3VError

if TYPE_CHECKING:
    from u3v.host.bus import HostBus

MISTAKES = (U3VError, SceneError, SensorError)
INTERNAL_ERROR = 70
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
SECTIONS = {
    "Give programs a camera": ("run", "serve", "plug"),
    "Use one without a program": ("grab",),
    "Know beforehand": ("plan", "power", "ptc"),
    "Look up": ("models", "show", "features", "scenes", "xml"),
}


class Commands(click.Group):
    """A group that lists its commands by purpose and suggests the one that was meant."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        listed = set().union(*SECTIONS.values())
        others = tuple(name for name in self.list_commands(ctx) if name not in listed)
        for title, names in {**SECTIONS, "Other": others}.items():
            with formatter.section(title):
                commands = [(name, self.commands[name]) for name in names if name in self.commands]
                formatter.write_dl([(n, c.get_short_help_str(formatter.width)) for n, c in commands])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = click.utils.make_str(args[0])
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            ctx.fail(f"no such command {name!r}{hint(name, self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)

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
    models_command,
    show_command,
    features_command,
    scenes_command,
    xml_command,
    completion_command,
    plan_command,
    power_command,
    ptc_command,
):
    cli.add_command(command)


@cli.command(
    "grab",
    epilog="""\b
Examples:
  u3v grab acA4096-40um -n 10 -o out
  u3v grab acA4096-40um -n 300 --set PixelFormat=Mono12p --set Gain=12 --json
  u3v grab usbip://127.0.0.1:3240/1-1 -n 5 -o out --format tiff
  u3v grab usb:2676:ba02 -n 5""",
)
@click.argument("target", default="acA4096-40um", metavar="[MODEL | usbip://HOST:PORT/BUSID | usb:VID:PID]")
@click.option("-n", "frames", default=1, show_default=True, type=click.IntRange(1), help="Frames to take.")
@click.option(
    "-o",
    "output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write images here; without it frames are only counted.",
)
@click.option(
    "--keep", type=click.IntRange(1), metavar="N", help="Write only the first N frames; default: all."
)
@click.option(
    "--format", "image_format", type=click.Choice(["png", "tiff", "raw"]), default="png", show_default=True
)
@click.option(
    "--timeout",
    default=5.0,
    show_default=True,
    metavar="S",
    help="Longest wait for a frame, besides exposure.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the summary.")
@camera_options
def grab_command(
    target: str,
    frames: int,
    output: Path | None,
    keep: int | None,
    image_format: str,
    timeout: float,
    as_json: bool,
    **options: Any,
) -> None:
    """Take frames from a camera: a virtual one of MODEL, one exported over USB/IP, or one on this machine's USB.

    --set works on all three. The options about the virtual camera (--scene, --speed ...) are for MODEL only.
    Exit code: 0 if all frames were delivered whole, 1 if not.
    """
    from gadget.tools.grab import GrabOptions, grab, is_address, open_target, progress_bar
    from gadget.tools.in_process import in_process
    from gadget.tools.served import served

    settings = dict(parse_assignment(text) for text in options["settings"])
    options["settings"] = ()  # the host sets them, as it would at any other camera
    wanted = GrabOptions(
        frames=frames,
        output=output,
        keep=keep,
        image_format=image_format,
        settings=settings,
        timeout_s=timeout,
    )
    clock_s: Callable[[], float] = time.monotonic
    bus: HostBus
    with contextlib.ExitStack() as stack:
        if is_address(target):
            bus = stack.enter_context(contextlib.closing(open_target(target)))
        elif options["clock"] != "real":
            (spec,) = specs((target,), options)
            host = stack.enter_context(in_process(spec, options["pcap"]))
            bus, clock_s = host, lambda: host.now_ns / 1e9
        else:
            find_model(target, options["model_file"])
            address = stack.enter_context(served(target, as_arguments(options)))
            bus = stack.enter_context(contextlib.closing(open_target(address)))
        show = stack.enter_context(progress_bar(frames, not as_json))
        result = grab(bus, wanted, show, clock_s)
    if as_json:
        click.echo(json.dumps(result.as_json(), indent=2))
    else:
        click.echo("\n".join(result.lines()))
    if result.error:
        click.echo(f"u3v: {result.error}", err=True)
    sys.exit(0 if result.ok else 1)


def main() -> None:
    """The console script."""
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
    except click.ClickException as error:
        click.echo(f"u3v: {error.format_message()}", err=True)
        return error.status if isinstance(error, CannotRun) else 2
    except Exception as error:
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            click.echo(f"u3v: cannot write: {error.strerror}", err=True)
            return 2
        traceback.print_exc()
        click.echo(f"u3v: internal error, please report the lines above: {type(error).__name__}", err=True)
        return INTERNAL_ERROR
