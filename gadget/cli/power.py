"""`u3v power`: current, voltage and temperature of a camera over a run."""

import json
from pathlib import Path
from typing import Any

import click

from gadget.budget.bus import parse_bus
from gadget.cli.completion import CAMERA
from gadget.cli.numbers import Finite
from gadget.cli.options import model_file_option, supply, supply_options, the_cameras
from gadget.cli.plan import wire_option
from gadget.cli.plotting import plot_option, write_plot


@click.command(
    "power",
    epilog="""\b
Examples:
  u3v power acA4096-40um -o power.png
  u3v power acA4096-40um --ambient 55 --minutes 120
  u3v power acA4096-40um:DeviceLinkThroughputLimitMode=Off --cable-ohm 0.8 --json
  u3v power acA4096-40um --port-ma 500""",
)
@click.argument("camera", default="", type=CAMERA, metavar="MODEL[:FEATURE=VALUE,...]")
@plot_option
@click.option(
    "--minutes",
    type=Finite(0.01, 100_000),
    default=60.0,
    show_default=True,
    metavar="N",
    help="Length of the run, in the camera's time.",
)
@click.option("--json", "as_json", is_flag=True, help="One object, with all samples.")
@wire_option
@supply_options
@model_file_option
def power_command(
    camera: str, output: Path | None, minutes: float, as_json: bool, bus: str | None, **options: Any
) -> None:
    """Current, voltage and temperature of a camera: plugged in, idle, acquiring, idle again.

    Each state's lowest, mean and highest values, then what happened: brown-out, over-current, overheating and a
    port that refuses the camera happen as they do in `u3v run`, on a simulated clock.
    """
    from gadget.tools.plan import default_bus
    from gadget.tools.plots import plot_power
    from gadget.tools.power_run import power_run

    files = options["model_file"]
    (camera,) = the_cameras((camera,), files)
    wire = parse_bus(bus or default_bus([camera], files))
    run = power_run(camera, wire, supply(options), minutes * 60, files)
    write_plot(lambda: plot_power(run), output)
    if as_json:
        click.echo(json.dumps(run.as_json(), indent=2))
    else:
        click.echo("\n".join(run.lines()))
