"""The command line: `u3v`. Every mistake of a person is one line on stderr and exit code 2."""

import contextlib
import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from frames.scene import SceneError
from frames.sensor import SensorError
from gadget.catalogue import find_model
from gadget.cli.ctl import ctl_command
from gadget.cli.offered import Outcome, control_option, offered, outcome_options
from gadget.cli.options import (
    as_arguments,
    camera_options,
    model_file_option,
    specs,
)
from gadget.cli.plan import plan_command
from gadget.cli.power import power_command
from gadget.cli.ptc import ptc_command
from gadget.feature_text import hint, parse_assignment
from gadget.runner import Bench, BuiltCamera, CameraSpec, build, tell_refusals
from u3v.errors import U3VError
from u3v.model import load_file, load_model, model_names
from u3v.usb3v.bootstrap import xml_text

if TYPE_CHECKING:
    from frames.scene import Parameter
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


cli.add_command(ctl_command)


@contextlib.contextmanager
def until_signalled(bench: Bench) -> Iterator[None]:
    """Ctrl-C and SIGTERM stop the loop, so that everything is cleaned up."""
    previous = {}
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        previous[number] = signal.signal(number, lambda *_: bench.loop.call_threadsafe(bench.loop.stop))
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def report(cameras: list[BuiltCamera]) -> None:
    """What became of the frames, one line a camera, on stderr."""
    for built in cameras:
        stream = built.camera.frames
        if stream.offered:
            click.echo(
                f"{built.model.name} {built.camera.options.serial}: {stream.offered} frames offered = "
                f"{stream.delivered} delivered + {stream.discarded} discarded + {stream.in_flight} held",
                err=True,
            )


@cli.command(
    "run",
    epilog="""\b
Examples:
  u3v run acA4096-40um -- arv-tool-0.8
  u3v run acA4096-40um -- lsusb -v
  u3v run acA4096-40um,acA4096-40um --scene bar -- python my_program.py
  u3v run acA4096-40um --pcap trace.pcap -- arv-tool-0.8 features""",
)
@click.argument("models", metavar="MODEL[,MODEL...]")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- CMD [ARG...]")
@click.option(
    "--preload",
    type=click.Choice(["auto", "own", "umockdev"]),
    default="auto",
    show_default=True,
    help="Library put in front of CMD's system calls.",
)
@camera_options
@control_option
@outcome_options
def run_command(
    models: str, command: tuple[str, ...], preload: str, pcap: Path | None, **options: Any
) -> None:
    """Run CMD with virtual cameras plugged in: no root, no kernel USB, no hardware.

    Only CMD and its children see the cameras. Exit code: CMD's.
    """
    from gadget.local.hotplug import connect
    from gadget.local.launch import run_local

    with (
        Bench(specs(tuple(models.split(",")), options), pcap) as bench,
        offered(bench, options["control"]) as offer,
    ):
        offer.announce_quietly()
        outcome = Outcome(offer.cameras, command, options["report"], options["fail_on_drops"])
        status = run_local(
            [c.device for c in bench.cameras],
            list(command),
            preload=preload,
            loop=bench.loop,
            on_start=lambda server: connect(server, [c.port for c in bench.cameras]),
        )
        report(bench.cameras)
        status = outcome.end(status)
    sys.exit(status)


@cli.command(
    "serve",
    epilog="""\b
Examples:
  u3v serve acA4096-40um
  u3v serve acA4096-40um acA4096-40um --port 3241
  sudo usbip attach -r 127.0.0.1 -b 1-1      (in another terminal)""",
)
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on. USB/IP has no passwords: beyond loopback, anyone can take the camera.",
)
@click.option(
    "--port",
    default=3240,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="TCP port; 0 picks a free one.",
)
@camera_options
@control_option
def serve_command(models: tuple[str, ...], host: str, port: int, pcap: Path | None, **options: Any) -> None:
    """Export virtual cameras over USB/IP, until Ctrl-C."""
    from gadget.usbip.server import UsbipServer
    from gadget.usbip.session import export

    with (
        Bench(specs(models, options), pcap) as bench,
        until_signalled(bench),
        offered(bench, options["control"]) as offer,
    ):
        exported = export(*(c.device for c in bench.cameras))
        tell_refusals(bench.cameras)
        with UsbipServer(bench.loop, exported, host, port) as server:
            click.echo(f"listening on {server.host} port {server.port}")
            tool = "usbip" if server.port == 3240 else f"usbip --tcp-port {server.port}"
            for busid, built in zip(exported, bench.cameras, strict=True):
                click.echo(
                    f"  {busid}  {built.model.maker} {built.model.name}  serial {built.camera.options.serial}"
                    f"   (sudo {tool} attach -r {server.host} -b {busid})"
                )
            offer.announce()
            sys.stdout.flush()
            bench.loop.run()
        report(bench.cameras)


@cli.command(
    "plug",
    epilog="""\b
Examples:
  sudo modprobe vhci-hcd && sudo u3v plug acA4096-40um
  sudo u3v plug acA4096-40um -- lsusb -d 2676:""",
)
@click.argument("models", metavar="MODEL[,MODEL...]")
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[-- CMD [ARG...]]")
@camera_options
@control_option
def plug_command(models: str, command: tuple[str, ...], pcap: Path | None, **options: Any) -> None:
    """Plug virtual cameras into this machine's kernel (root and vhci-hcd), until Ctrl-C or the end of CMD.

    All programs of the machine see them.
    """
    from gadget.usbip.plug import plugged_in

    with (
        Bench(specs(tuple(models.split(",")), options), pcap) as bench,
        until_signalled(bench),
        offered(bench, options["control"]) as offer,
    ):
        if command:
            offer.announce_quietly()
        else:
            offer.announce()
        status = plugged_in(bench, list(command))
        report(bench.cameras)
    sys.exit(status)


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


cli.add_command(plan_command)
cli.add_command(power_command)
cli.add_command(ptc_command)


@cli.command("models")
@model_file_option
@click.option("--json", "as_json", is_flag=True, help="A list of objects.")
def models_command(model_file: tuple[Path, ...], as_json: bool) -> None:
    """List the cameras there are, with their wire."""
    models = [load_model(name) for name in model_names()] + [load_file(path) for path in model_file]
    if as_json:
        rows = [
            {
                "name": m.name,
                "maker": m.maker,
                "family": m.family,
                "sensor": m.sensor,
                "wire": m.wire,
                "wire_text": m.wire_text,
                "width": m.integer("width_default_px"),
                "height": m.integer("height_default_px"),
                "frame_rate_fps": m.number("frame_rate_fps"),
                "pixel_formats": list(m.pixel_formats),
            }
            for m in models
        ]
        click.echo(json.dumps(rows, indent=2))
        return
    for m in models:
        size = f"{m.integer('width_default_px')}x{m.integer('height_default_px')}"
        click.echo(
            f"{m.name:16} {m.maker:8} {m.sensor_text}; {size}, {m.number('frame_rate_fps')} fps; {m.wire_text}"
        )


@cli.command("show")
@click.argument("model", default="")
@model_file_option
@click.option("--json", "as_json", is_flag=True, help="One object.")
def show_command(model: str, model_file: tuple[Path, ...], as_json: bool) -> None:
    """Print a camera's data sheet: every figure, who says so, and from where.

    MODEL may be left out where there is one --model-file.
    """
    facts, sensor = find_model(_name(model, model_file), model_file)
    sheet = facts.sheet()
    if as_json:
        click.echo(
            json.dumps(
                {
                    "name": facts.name,
                    "maker": facts.maker,
                    "family": facts.family,
                    "title": facts.title,
                    "wire": facts.wire,
                    "wire_text": facts.wire_text,
                    "sensor": facts.sensor,
                    "pixel_formats": list(facts.pixel_formats),
                    "usb": f"{facts.vid:04x}:{facts.pid:04x}",
                    "figures": {
                        k: {"value": v.value, "kind": v.kind, "source": v.source} for k, v in sheet.items()
                    },
                    "sensor_figures": {
                        k: {"value": v.value, "kind": v.kind, "source": v.source}
                        for k, v in sensor.figures.items()
                    },
                },
                indent=2,
            )
        )
        return
    click.echo(
        f"{facts.title} ({facts.name}, {facts.family}), USB {facts.vid:04x}:{facts.pid:04x}\n{facts.wire_text}"
    )
    click.echo(f"{facts.sensor_text}; {', '.join(facts.pixel_formats)}\n")
    for title, rows in (("Camera", sheet), (f"Sensor {sensor.name}", dict(sensor.figures))):
        click.echo(title)
        for key, figure in rows.items():
            click.echo(f"  {key:36} {figure.value:>12g}  {figure.kind:8}  {figure.source}")
        click.echo()


@cli.command("xml")
@click.argument("model", default="")
@model_file_option
def xml_command(model: str, model_file: tuple[Path, ...]) -> None:
    """Print a camera's GenICam XML, as a host reads it from the device."""
    spec = CameraSpec(_name(model, model_file), model_files=model_file)
    click.echo(xml_text(build(spec, "40000001").camera), nl=False)


def _name(model: str, files: tuple[Path, ...]) -> str:
    """The model that was meant: the one of the only file, where nothing else was said."""
    if model:
        return model
    if len(files) != 1:
        raise ValueError(f"Missing argument 'MODEL': one of {', '.join(model_names())}")
    return load_file(files[0]).name


@cli.command("scenes")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Write a picture of all scenes (PNG, JPEG or TIFF) instead.",
)
def scenes_command(output: Path | None) -> None:
    """List what a camera can see, for --scene."""
    from frames.scene import SCENES, common_parameters, scene_doc, scene_parameters

    if output is not None:
        from frames.contact import write_contact_sheet

        try:
            write_contact_sheet(output)
        except (OSError, ValueError) as error:
            raise click.ClickException(f"{output}: {error}") from None
        return
    for name in SCENES:
        click.echo(f"{name:12} {scene_doc(name)}")
        for parameter in scene_parameters(name):
            _echo_parameter(parameter)
    click.echo("all scenes")
    for parameter in common_parameters():
        _echo_parameter(parameter)


def _echo_parameter(parameter: "Parameter") -> None:
    default = parameter.default
    shown = f"{default:g}" if isinstance(default, float | int) else default
    click.echo(f"    {parameter.name}: {parameter.doc}{'' if default is None else f' (default {shown})'}")


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
