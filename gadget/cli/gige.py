"""GigE Vision for `u3v serve` and `u3v run`: cameras at addresses of their own."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from gadget.catalogue import find_model
from gadget.cli.offered import Offer, Outcome, offered, report, until_signalled
from gadget.gige.pcap import GigePcap
from gadget.gige_camera import GigeCamera, plug_gige
from gadget.runner import CameraSpec, LoopBench
from u3v.errors import Mistake
from u3v.gev.bootstrap import GIGE_VISION, Address
from u3v.model import GIGE

F = TypeVar("F", bound=Callable[..., Any])


def wire_option(command: F) -> F:
    """The option that chooses the wire."""
    return click.option(
        "--wire",
        type=click.Choice(["usb", "gige"]),
        default="usb",
        show_default=True,
        help="USB3 Vision, or GigE Vision for the models that have Ethernet.",
    )(command)


_OF_USB = ("preload", "host", "port", "usbredir", "speed", "strict", "clock")
_OF_GIGE = ("interface",)


def check_wire(ctx: click.Context, wire: str) -> None:
    """Raises Mistake for an option that has no effect on this wire."""
    foreign = _OF_USB if wire == "gige" else _OF_GIGE
    for parameter in ctx.command.params:
        name = parameter.name or ""
        if name in foreign and ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            right = "leave it out" if wire == "gige" else "it goes with --wire gige"
            raise Mistake(f"{parameter.opts[0]} has no effect with --wire {wire}: {right}")


def tell_of_ethernet(described: Sequence[CameraSpec]) -> None:
    """One line on stdout for cameras of Ethernet that are served over USB, which may not be what was meant."""
    models = {spec.model: find_model(spec.model, spec.model_files)[0] for spec in described}
    names = [model.name for model in models.values() if model.wire == GIGE]
    if names:
        click.echo(
            f"  {', '.join(names)}: this is USB3 Vision; --wire gige serves GigE Vision, the camera's own wire"
        )


@contextlib.contextmanager
def on_the_network(
    described: list[CameraSpec], places: Sequence[Address], pcap: Path | None, control: Path | None
) -> Iterator[tuple[LoopBench, Offer, list[GigeCamera]]]:
    """The cameras, each at its address, with their control socket."""
    with (
        LoopBench(described, wire=GIGE_VISION) as bench,
        until_signalled(bench.loop),
        contextlib.ExitStack() as stack,
    ):
        capture = stack.enter_context(GigePcap(pcap)) if pcap is not None else None
        cameras = []
        for core, place in zip(bench.cores, places, strict=True):
            camera = plug_gige(bench, core, place)
            stack.callback(camera.server.close)
            cameras.append(camera)
            if capture is not None:
                capture.attach(camera.server)
        offer = stack.enter_context(offered(bench.loop, cameras, control))
        yield bench, offer, cameras


def told(camera: GigeCamera) -> str:
    """Where and who a camera is, one line."""
    ip, serial = camera.server.function.bootstrap.address.ip, camera.camera.options.serial
    return f"  {ip}  {camera.model.maker} {camera.model.name}  serial {serial}"


def run_gige(
    described: list[CameraSpec], command: tuple[str, ...], pcap: Path | None, options: dict[str, Any]
) -> int:
    """Run `command` on a network of its own with the cameras; its exit status."""
    from gadget.tools.own_network import camera_addresses, run_at_the_other_end

    places = camera_addresses(len(described))
    with on_the_network(described, places, pcap, options["control"]) as (bench, offer, cameras):
        offer.announce_quietly()
        bench.prepare()  # GStreamer's aravissrc gives up a camera whose first frame takes 2 s
        outcome = Outcome(offer.cameras, command, options["report"], options["fail_on_drops"])
        status = run_at_the_other_end(command, bench.loop)
        report(cameras)
        return outcome.end(status) or int(bench.failures > 0)


def serve_gige(
    described: list[CameraSpec], interface: str, pcap: Path | None, options: dict[str, Any]
) -> None:
    """Serve until a signal."""
    from gadget.gige.server import addresses

    places = addresses(interface, len(described))
    with on_the_network(described, places, pcap, options["control"]) as (bench, offer, cameras):
        for camera in cameras:
            click.echo(told(camera))
        offer.announce()
        sys.stdout.flush()
        bench.loop.run()
        report(cameras)
    if bench.failures:
        sys.exit(1)
