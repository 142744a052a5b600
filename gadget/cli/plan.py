"""`u3v plan`: will these cameras fit on one bus?"""

import json
import sys
from pathlib import Path
from typing import Any

import click

from gadget.budget.bus import parse_bus
from gadget.cli.completion import CAMERA
from gadget.cli.numbers import Finite
from gadget.cli.options import model_file_option, supply, supply_options, the_cameras
from gadget.cli.plotting import plot_option, write_plot

wire_option = click.option(
    "--bus",
    metavar="BUS[,other=RATE]",
    help="5gbps, 10gbps, 480mbps (USB), 1gbe, 100mbe (GigE models; packet=1500 without jumbo packets), with "
    "other traffic such as other=100MB/s. Default: 5gbps, or 1gbe where the (first) camera is a GigE model.",
)


@click.command(
    "plan",
    epilog="""\b
Examples:
  u3v plan acA4096-40um acA4096-40um --bus 5gbps
  u3v plan acA4096-40um:PixelFormat=Mono12p acA4096-40um:Height=1080 --bus 5gbps,other=50MB/s -o plan.png
  u3v plan acA4096-40um:DeviceLinkThroughputLimitMode=Off --json
  u3v plan acA4096-40um --port-ma 900 --ambient 40 --check && echo it fits
  u3v plan U3V-Color:PixelFormat=RGB8 --bus 480mbps --render-mpx 10 --scene-cache 8""",
)
@click.argument("cameras", nargs=-1, type=CAMERA, metavar="MODEL[:FEATURE=VALUE,...]...")
@plot_option
@click.option("--json", "as_json", is_flag=True, help="One object, with rates as they are computed.")
@click.option("--check", is_flag=True, help="Exit code 1 where it does not fit.")
@wire_option
@click.option(
    "--render-mpx",
    type=Finite(0, low_open=True),
    metavar="RATE",
    help="Mpixel/s that the machine renders, for all cameras together (`scripts/bench sensor` measures it); default: "
    "no limit.",
)
@click.option(
    "--scene-cache",
    type=click.IntRange(1, 256),
    metavar="N",
    help="N frames of each camera are rendered and then repeated, as with `u3v run --scene-cache N`: rendering is "
    "no limit then.",
)
@supply_options
@model_file_option
def plan_command(
    cameras: tuple[str, ...],
    output: Path | None,
    as_json: bool,
    check: bool,
    bus: str | None,
    render_mpx: float | None,
    scene_cache: int | None,
    **options: Any,
) -> None:
    """Will these cameras fit on one bus? Link share, frame rate, losses, power and heat of each.

    Settings are features of the model. Where frames are lost, the throughput limits are named with which none are.
    """
    from gadget.tools.plan import Machine, default_bus, plan
    from gadget.tools.plots import plot_plan

    files = options["model_file"]
    cameras = the_cameras(cameras, files)
    machine = Machine(render_mpx * 1e6 if render_mpx else None, scene_cache or 0)
    planned = plan(cameras, parse_bus(bus or default_bus(cameras, files)), supply(options), files, machine)
    write_plot(lambda: plot_plan(planned), output)
    if as_json:
        click.echo(json.dumps(planned.as_json(), indent=2))
    else:
        click.echo("\n".join(planned.lines()))
    sys.exit(1 if check and not planned.fits else 0)
