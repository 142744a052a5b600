"""`u3v run`, `serve` and `plug`: three ways to give programs a virtual camera while this process lives.

`run`: one program and its children, without root. `serve`: whoever attaches it over the network (USB/IP).
`plug`: all programs of this machine, through the kernel.
"""

import contextlib
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from gadget.cli.options import camera_options, specs
from gadget.runner import Bench, BuiltCamera, tell_refusals


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


@click.command(
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
def run_command(
    models: str, command: tuple[str, ...], preload: str, pcap: Path | None, **options: Any
) -> None:
    """Run CMD with virtual cameras plugged in: no root, no kernel USB, no hardware.

    Only CMD and its children see the cameras. Exit code: CMD's.
    """
    from gadget.local.hotplug import connect
    from gadget.local.launch import run_local

    with Bench(specs(tuple(models.split(",")), options), pcap) as bench:
        status = run_local(
            [c.device for c in bench.cameras],
            list(command),
            preload=preload,
            loop=bench.loop,
            on_start=lambda server: connect(server, [c.port for c in bench.cameras]),
        )
        report(bench.cameras)
    sys.exit(status)


@click.command(
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
def serve_command(models: tuple[str, ...], host: str, port: int, pcap: Path | None, **options: Any) -> None:
    """Export virtual cameras over USB/IP, until Ctrl-C."""
    from gadget.usbip.server import UsbipServer
    from gadget.usbip.session import export

    with Bench(specs(models, options), pcap) as bench, until_signalled(bench):
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
            sys.stdout.flush()
            bench.loop.run()
        report(bench.cameras)


@click.command(
    "plug",
    epilog="""\b
Examples:
  sudo modprobe vhci-hcd && sudo u3v plug acA4096-40um
  sudo u3v plug acA4096-40um -- lsusb -d 2676:""",
)
@click.argument("models", metavar="MODEL[,MODEL...]")
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[-- CMD [ARG...]]")
@camera_options
def plug_command(models: str, command: tuple[str, ...], pcap: Path | None, **options: Any) -> None:
    """Plug virtual cameras into this machine's kernel (root and vhci-hcd), until Ctrl-C or the end of CMD.

    All programs of the machine see them.
    """
    from gadget.usbip.plug import plugged_in

    with Bench(specs(tuple(models.split(",")), options), pcap) as bench, until_signalled(bench):
        status = plugged_in(bench, list(command))
        report(bench.cameras)
    sys.exit(status)
