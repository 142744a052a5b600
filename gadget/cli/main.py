"""The command line: `u3v`. Every mistake of a person is one line on stderr and exit code 2."""

import contextlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from frames.scene import SceneError
from frames.sensor import SensorError
from gadget.budget.bus import parse_bus
from gadget.catalogue import find_model
from gadget.cli.lists import models_command, scenes_command, show_command, xml_command
from gadget.cli.options import (
    as_arguments,
    bus_option,
    camera_options,
    model_file_option,
    specs,
    supply,
    supply_options,
)
from gadget.cli.run_serve_plug import plug_command, run_command, serve_command
from gadget.feature_text import hint, parse_assignment
from u3v.errors import U3VError

if TYPE_CHECKING:
    from PIL import Image

    from u3v.host.bus import HostBus

MISTAKES = (U3VError, SceneError, SensorError, ValueError)


class Commands(click.Group):
    """A group that suggests the command that was meant."""

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
    epilog="Start with:  u3v run acA4096-40um -- arv-tool-0.8",
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
    xml_command,
    scenes_command,
):
    cli.add_command(command)


def save(picture: "Image.Image", path: Path) -> None:
    """Write a picture. Raises ValueError, one line."""
    try:
        picture.save(path)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}") from error


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


@cli.command(
    "plan",
    epilog="""\b
Examples:
  u3v plan acA4096-40um acA4096-40um --bus 5gbps
  u3v plan acA4096-40um:PixelFormat=Mono12p acA4096-40um:Height=1080 --bus 5gbps,other=50MB/s -o plan.png
  u3v plan acA4096-40um:DeviceLinkThroughputLimitMode=Off --json""",
)
@click.argument("cameras", nargs=-1, required=True, metavar="MODEL[:FEATURE=VALUE,...]...")
@click.option("-o", "output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.png")
@click.option("--json", "as_json", is_flag=True, help="One object, with rates as they are computed.")
@bus_option
@supply_options
@model_file_option
def plan_command(
    cameras: tuple[str, ...], output: Path | None, as_json: bool, bus: str | None, **options: Any
) -> None:
    """Will these cameras fit on one bus? Link share, frame rate, losses and power of each.

    Settings are features of the model. The default bus is 5gbps, or 1gbe for GigE models.
    """
    from gadget.tools.plan import default_bus, draw_plan, plan

    files = options["model_file"]
    planned = plan(cameras, parse_bus(bus or default_bus(cameras, files)), supply(options), files)
    if as_json:
        click.echo(json.dumps(planned.as_json(), indent=2))
    else:
        click.echo("\n".join(planned.lines()))
    if output is not None:
        save(draw_plan(planned), output)


@cli.command(
    "power",
    epilog="""\b
Examples:
  u3v power acA4096-40um -o power.png
  u3v power acA4096-40um --ambient 55 --minutes 120
  u3v power acA4096-40um:DeviceLinkThroughputLimitMode=Off --cable-ohm 0.8 --json""",
)
@click.argument("camera", metavar="MODEL[:FEATURE=VALUE,...]")
@click.option("-o", "output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.png")
@click.option(
    "--minutes",
    type=click.FloatRange(0.01, 100_000),
    default=60.0,
    show_default=True,
    help="Length of the run, in the camera's time.",
)
@click.option("--json", "as_json", is_flag=True, help="One object, with all samples.")
@bus_option
@supply_options
@model_file_option
def power_command(
    camera: str, output: Path | None, minutes: float, as_json: bool, bus: str | None, **options: Any
) -> None:
    """Current, voltage and temperature of a camera: plugged in, idle, acquiring, idle again.

    Brown-out, over-current and overheating happen as they do in `u3v run`, on a simulated clock.
    """
    from gadget.tools.plan import default_bus
    from gadget.tools.power_run import power_run

    files = options["model_file"]
    wire = parse_bus(bus or default_bus([camera], files))
    run = power_run(camera, wire, supply(options), minutes * 60, files)
    if as_json:
        click.echo(json.dumps(run.as_json(), indent=2))
    else:
        click.echo("\n".join(run.lines()))
    if output is not None:
        save(run.draw(), output)


def main() -> None:
    """The console script."""
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as error:
        click.echo(f"u3v: {error.format_message()}", err=True)
        sys.exit(2)
