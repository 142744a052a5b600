"""`u3v gadget`: be a camera on a USB cable, at this machine's device controller."""

import contextlib
import sys
from pathlib import Path
from typing import Any

import click

from gadget.cli.offered import control_option, offered, report, until_signalled
from gadget.cli.options import CameraCommand, camera_options, specs
from gadget.cli.run_serve_plug import cameras_argument
from gadget.runner import LoopBench
from u3v.errors import Mistake


@click.command(
    "gadget",
    cls=CameraCommand,
    short_help="Be a camera at this machine's USB device port (root).",
    epilog="""\b
Examples:
  sudo u3v gadget --check                         what this board can do
  sudo u3v gadget acA4096-40um                    on a Raspberry Pi or another board
  sudo u3v gadget acA4096-40um --udc fe980000.usb
  sudo modprobe dummy_hcd is_super_speed=1 && sudo u3v gadget acA4096-40um""",
)
@cameras_argument
@click.option(
    "--udc",
    "udcs",
    multiple=True,
    metavar="NAME",
    help="The USB device controller, of those in /sys/class/udc; default: the first free one. For several cameras "
    "give it for each.",
)
@click.option(
    "--backend",
    type=click.Choice(["auto", "functionfs", "gadgetfs"]),
    default="auto",
    show_default=True,
    help="functionfs: SuperSpeed, several cameras; needs a kernel that takes the U3V descriptor. gadgetfs: stock "
    "kernels, High-Speed, one camera. auto: functionfs where it can, else gadgetfs.",
)
@click.option("--check", is_flag=True, help="Say what this machine can do and what it lacks, and end.")
@camera_options
@control_option
def gadget_command(
    cameras: tuple[str, ...],
    udcs: tuple[str, ...],
    backend: str,
    check: bool,
    pcap: Path | None,
    **options: Any,
) -> None:
    """Be a camera for the host at the other end of the USB cable, until Ctrl-C (root, a device controller).

    MODEL is one of `u3v models`. With --check none is needed.
    """
    from gadget.tools.board_check import look
    from gadget.tools.gadget_mode import prepared, served

    if check:
        if cameras:
            raise Mistake("--check looks at this machine and serves nothing: leave MODEL out")
        for line in look():
            click.echo(line)
        return
    described = specs(cameras, options)
    found = prepared(described, udcs)
    with contextlib.ExitStack() as stack:
        bench = stack.enter_context(LoopBench(described, pcap))
        stack.enter_context(until_signalled(bench.loop))
        offer = stack.enter_context(offered(bench.loop, bench.cameras, options["control"]))
        transports = stack.enter_context(served(bench, found, backend))
        for built, controller, transport in zip(bench.cameras, found, transports, strict=True):
            name = f"{built.model.maker} {built.model.name}"
            click.echo(f"{name}, serial {built.camera.options.serial}, is a USB device at {controller.name}")
            for note in transport.notes:
                click.echo(f"u3v: {note}", err=True)
        offer.announce()
        click.echo("Ctrl-C unplugs")
        sys.stdout.flush()
        bench.loop.run()
        report(bench.cameras)
        failures = bench.failures
    if failures:
        sys.exit(1)
