"""`u3v find`: which cameras there are."""

import json
from dataclasses import asdict

import click

from gadget.cli.numbers import Finite
from gadget.cli.tables import echo_table


@click.command(
    "find",
    short_help="List the cameras on USB and on the network.",
    epilog="""\b
Examples:
  u3v find
  u3v find --json
  u3v run acA4096-11gm --wire gige -- u3v find""",
)
@click.option(
    "--wait",
    "wait_s",
    default=1.0,
    show_default=True,
    type=Finite(0.01, 60),
    metavar="S",
    help="How long to wait for answers from the network.",
)
@click.option("--json", "as_json", is_flag=True, help="A list of objects.")
def find_command(wait_s: float, as_json: bool) -> None:
    """List the USB3 Vision cameras on this machine's USB and the GigE Vision cameras that answer on its networks.

    Real cameras and virtual ones, whoever made them. The first column is what `u3v grab` takes.
    """
    import usb.core

    from gadget.tools.find import gige_cameras, usb_cameras

    try:
        found = list(usb_cameras())
    except usb.core.NoBackendError:
        found = []
        click.echo(
            "u3v: USB is not searched: that needs libusb-1.0 (Debian: apt install libusb-1.0-0)", err=True
        )
    found += gige_cameras(wait_s)
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found], indent=2))
    elif found:
        headers = ("ADDRESS", "WIRE", "MAKER", "MODEL", "SERIAL", "NAME")
        echo_table(
            headers, [(one.address, one.wire, one.maker, one.model, one.serial, one.name) for one in found]
        )
    else:
        click.echo("u3v: no camera found", err=True)
