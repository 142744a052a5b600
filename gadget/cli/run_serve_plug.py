"""`u3v run`, `serve` and `plug`: three ways to give programs a virtual camera while this process lives.

`run`: one program and its children, without root. `serve`: whoever attaches it over the network (USB/IP), or a
virtual machine (usbredir).
`plug`: all programs of this machine, through the kernel.
"""

import contextlib
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from gadget.cli.completion import AFTER_DASHES, CAMERA
from gadget.cli.gige import check_wire, run_gige, serve_gige, tell_of_ethernet, wire_option
from gadget.cli.offered import Outcome, control_option, offered, outcome_options, report, until_signalled
from gadget.cli.options import CameraCommand, camera_options, specs
from gadget.runner import CameraSpec, LoopBench
from u3v.errors import Mistake


class WithProgram(CameraCommand):
    """A command with another program's command line behind `--`: `u3v run [OPTIONS] MODEL... -- CMD [ARG...]`.

    What stands there goes to the parameter `command`, as it is.
    """

    def __init__(self, *args: Any, program: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._program = program

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        at = args.index("--") if "--" in args else len(args)
        ctx.meta[AFTER_DASHES] = "--" in args
        rest = super().parse_args(ctx, args[:at])
        ctx.params["command"] = tuple(args[at + 1 :])
        return rest

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), self._program]


class CannotRun(click.ClickException):
    """The program cannot be run; `status` is the exit code a shell would give."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


cameras_argument = click.argument("cameras", nargs=-1, type=CAMERA, metavar="MODEL[:FEATURE=VALUE,...]...")


@contextlib.contextmanager
def as_a_shell() -> Iterator[None]:
    """Give a program that cannot be run a shell's exit code: 127 where it is not found, 126 otherwise."""
    from gadget.local.launch import LaunchError

    try:
        yield
    except LaunchError as error:
        raise CannotRun(str(error), error.status) from error


@click.command(
    "run",
    cls=WithProgram,
    program="-- CMD [ARG...]",
    short_help="Run a program that sees virtual cameras.",
    epilog="""\b
Examples:
  u3v run acA4096-40um -- arv-tool-0.8
  u3v run acA4096-40um -- lsusb -v
  u3v run acA4096-40um:ExposureTime=2000,Gain=6 IDS-IMX412 -- arv-tool-0.8
  u3v run acA4096-40um acA4096-40um --scene bar -- python my_program.py
  u3v run acA4096-40um --pcap trace.pcap -- arv-tool-0.8 features
  u3v run acA4096-11gm VCXG-124M --wire gige -- arv-tool-0.8""",
)
@cameras_argument
@click.option(
    "--preload",
    type=click.Choice(["auto", "own", "umockdev"]),
    default="auto",
    show_default=True,
    help="Library put in front of CMD's system calls.",
)
@wire_option
@camera_options
@control_option
@outcome_options
def run_command(
    cameras: tuple[str, ...],
    command: tuple[str, ...],
    preload: str,
    wire: str,
    pcap: Path | None,
    **options: Any,
) -> None:
    """Run CMD with virtual cameras plugged in: no root, no kernel USB, no hardware.

    Only CMD and its children see the cameras. MODEL is one of `u3v models`, several of them several cameras.
    With --wire gige CMD has a network of its own with the cameras on it, and no other.
    Exit code: CMD's, or a shell's where CMD cannot be run (127, 126).
    """
    from gadget.local.hotplug import connect
    from gadget.local.launch import find_program, run_local
    from gadget.tools import own_network

    check_wire(click.get_current_context(), wire)
    described = specs(cameras, options)
    if not command:
        raise Mistake("CMD is missing: it stands behind --, as in u3v run acA4096-40um -- lsusb -v")
    with as_a_shell():
        find_program(command)  # before the cameras are made, which takes a second
        if wire == "gige":
            own_network.enter()
            sys.exit(run_gige(described, command, pcap, options))
        with (
            LoopBench(described, pcap) as bench,
            offered(bench.loop, bench.cameras, options["control"]) as offer,
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
            status = outcome.end(status) or int(bench.failures > 0)
    sys.exit(status)


@click.command(
    "serve",
    cls=CameraCommand,
    short_help="Export virtual cameras over the network (USB/IP), or to virtual machines.",
    epilog="""\b
Examples:
  u3v serve acA4096-40um
  u3v serve acA4096-40um:Gain=6 acA4096-40um --port 3241
  u3v serve acA4096-40um --usbredir 4000
  u3v serve acA4096-40um --usbredir unix:/tmp/camera.sock
  u3v serve acA4096-11gm VCXG-124M --wire gige
  sudo usbip attach -r 127.0.0.1 -b 1-1      (in another terminal)
  u3v grab usbip://127.0.0.1:3240/1-1 -o out (or without root)""",
)
@cameras_argument
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
@click.option(
    "--usbredir",
    "usbredir",
    multiple=True,
    metavar="[HOST:]PORT|unix:PATH",
    help="Instead of USB/IP: be a device of a virtual machine (QEMU's usb-redir), which connects here. Once for "
    "each camera.",
)
@wire_option
@click.option(
    "--interface",
    metavar="ADDRESS",
    default="127.0.0.1",
    show_default=True,
    help="With --wire gige: IPv4 address of the first camera, the next ones follow. One of this machine's.",
)
@camera_options
@control_option
def serve_command(
    cameras: tuple[str, ...],
    host: str,
    port: int,
    usbredir: tuple[str, ...],
    wire: str,
    interface: str,
    pcap: Path | None,
    **options: Any,
) -> None:
    """Export virtual cameras over USB/IP, or to virtual machines over usbredir, until Ctrl-C.

    Whoever attaches one has it as if it were plugged into his machine. MODEL is one of `u3v models`.
    """
    check_wire(click.get_current_context(), wire)
    described = specs(cameras, options)
    if wire == "gige":
        serve_gige(described, interface, pcap, options)
    elif usbredir:
        typed = click.get_current_context().get_parameter_source
        if any(typed(name) is not ParameterSource.DEFAULT for name in ("host", "port")):
            raise Mistake("--host and --port are for USB/IP; with --usbredir its value says where: HOST:PORT")
        _serve_guests(described, usbredir, pcap, options)
    else:
        _serve_usbip(described, host, port, pcap, options)


def _serve_usbip(
    described: list[CameraSpec], host: str, port: int, pcap: Path | None, options: dict[str, Any]
) -> None:
    from gadget.usbip.server import UsbipServer
    from gadget.usbip.session import export

    _check_host(host)
    with (
        LoopBench(described, pcap) as bench,
        until_signalled(bench.loop),
        offered(bench.loop, bench.cameras, options["control"]) as offer,
    ):
        exported = export(*(c.device for c in bench.cameras))
        with UsbipServer(bench.loop, exported, host, port) as server:
            click.echo(f"listening on {server.host} port {server.port}")
            tool = "usbip" if server.port == 3240 else f"usbip --tcp-port {server.port}"
            for busid, built in zip(exported, bench.cameras, strict=True):
                click.echo(
                    f"  {busid}  {built.model.maker} {built.model.name}  serial {built.camera.options.serial}"
                    f"   (sudo {tool} attach -r {server.address} -b {busid})"
                )
            tell_of_ethernet(described)
            offer.announce()
            sys.stdout.flush()
            if server.is_open_to_others:
                click.echo(
                    f"u3v: warning: whoever reaches {server.address} port {server.port} can take the cameras: "
                    "USB/IP has no passwords; without --host only this machine can",
                    err=True,
                )
            bench.loop.run()
        report(bench.cameras)
        if bench.failures:
            sys.exit(1)


def _serve_guests(
    described: list[CameraSpec], texts: tuple[str, ...], pcap: Path | None, options: dict[str, Any]
) -> None:
    from gadget.usbredir.server import UsbredirServer, parse_place

    places = [parse_place(text) for text in texts]
    if len(places) != len(described):
        raise Mistake(
            f"{len(described)} cameras and {len(places)} times --usbredir: give it once for each camera"
        )
    for place in places:
        _check_host(place.host, "--usbredir")
    with (
        LoopBench(described, pcap) as bench,
        until_signalled(bench.loop),
        offered(bench.loop, bench.cameras, options["control"]) as offer,
        contextlib.ExitStack() as stack,
    ):
        for index, (place, built) in enumerate(zip(places, bench.cameras, strict=True), 1):
            server = stack.enter_context(UsbredirServer(bench.loop, built.device, place))
            click.echo(
                f"waiting for a virtual machine: {built.model.maker} {built.model.name}  "
                f"serial {built.camera.options.serial}\n"
                f"  qemu-system-x86_64 ... -device qemu-xhci -chardev {server.chardev},id=u3v{index} "
                f"-device usb-redir,chardev=u3v{index}"
            )
            if server.is_open_to_others:
                click.echo(
                    f"u3v: warning: whoever reaches {place.host} port {server.port} can take the camera: "
                    "usbredir has no passwords; without a host only this machine can",
                    err=True,
                )
        tell_of_ethernet(described)
        offer.announce()
        sys.stdout.flush()
        bench.loop.run()
        report(bench.cameras)
    if bench.failures:
        sys.exit(1)


def _check_host(host: str, option: str = "--host") -> None:
    """Raises Mistake for a name that nothing answers for."""
    try:
        socket.getaddrinfo(host, None)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no host name"
        raise Mistake(f"{option} {host!r} does not resolve to an address: {reason}") from None


@click.command(
    "plug",
    cls=WithProgram,
    program="[-- CMD [ARG...]]",
    short_help="Plug virtual cameras into this machine's kernel (root).",
    epilog="""\b
Examples:
  sudo modprobe vhci-hcd && sudo u3v plug acA4096-40um
  sudo u3v plug acA4096-40um:Gain=6 IDS-IMX412
  sudo u3v plug acA4096-40um -- lsusb -d 2676:""",
)
@cameras_argument
@camera_options
@control_option
def plug_command(
    cameras: tuple[str, ...], command: tuple[str, ...], pcap: Path | None, **options: Any
) -> None:
    """Plug virtual cameras into this machine's kernel (root and vhci-hcd), until Ctrl-C or the end of CMD.

    All programs of the machine see them. MODEL is one of `u3v models`.
    Exit code: CMD's, or a shell's where CMD cannot be run (127, 126).
    """
    from gadget.local.launch import find_program
    from gadget.tools.plug import plugged_in
    from gadget.usbip.vhci import check

    described = specs(cameras, options)
    if command:
        with as_a_shell():
            find_program(command)
    with (
        LoopBench(described, pcap) as bench,
        until_signalled(bench.loop),
        offered(bench.loop, bench.cameras, options["control"]) as offer,
    ):
        check()
        if command:
            offer.announce_quietly()
        else:
            offer.announce()
        status = plugged_in(bench, list(command)) or int(bench.failures > 0)
        report(bench.cameras)
    sys.exit(status)
