"""`u3v ctl`: look at a camera that runs, and do things to it, from another terminal or a script."""

import json
import sys
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import click

from gadget.cli.numbers import Finite
from gadget.cli.suggesting import Suggesting
from gadget.feature_text import parse_assignment
from gadget.front_door.camera_verbs import CameraError, CameraTimeout
from u3v.did_you_mean import hint

if TYPE_CHECKING:
    from gadget.control.client import RemoteCamera


class Verbs(Suggesting):
    """What can be done to a camera."""

    unknown = "no verb"


class Asked:
    """The camera that is meant, connected to when it is first needed, and how to print what it answers."""

    def __init__(self, ctx: click.Context, camera: str | None, as_json: bool) -> None:
        self.as_json = as_json
        self._ctx = ctx
        self._which = camera

    @cached_property
    def camera(self) -> "RemoteCamera":
        from gadget.control.client import connect

        camera = connect(self._which)
        self._ctx.call_on_close(camera.close)
        return camera

    def show(self, answer: Any) -> None:
        if self.as_json:
            click.echo(json.dumps(answer))
        elif isinstance(answer, dict):
            for key, value in answer.items():
                click.echo(f"{key}: {_text(value)}")
        elif answer is not None:
            click.echo(_text(answer))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "-" if value is None else str(value)


@click.group(
    "ctl",
    cls=Verbs,
    epilog="""\b
Examples:
  u3v ctl state
  u3v ctl set ExposureTime=2000 Gain=6
  u3v ctl get TriggerMode TriggerSelector=FrameStart
  u3v ctl supply volts=4.6 cable_ohm=0.3
  u3v ctl volts Line1 24
  u3v ctl pulse Line1 --us 50
  u3v ctl wire Line2 Line1 --of 40000002
  u3v ctl -c 40000002 unplug
  u3v ctl add-fault lost-trailer:nth=3
  u3v ctl wait-for ExposureEnd --timeout 2
  u3v ctl watch FrameStart ExposureEnd""",
)
@click.option(
    "-c",
    "--camera",
    metavar="CAMERA",
    help="Serial number, name, model or process id of the camera, or the path of its socket; not needed where "
    "only one runs, nor in a program that `u3v run` has started.",
)
@click.option("--json", "as_json", is_flag=True, help="Answers as JSON, one line each.")
@click.pass_context
def ctl_command(ctx: click.Context, camera: str | None, as_json: bool) -> None:
    """Control a camera that runs under `u3v run`, `serve`, `plug` or `gadget`."""
    ctx.obj = Asked(ctx, camera, as_json)


asked = click.pass_obj


@ctl_command.command("cameras")
@asked
def cameras_verb(asked: Asked) -> None:
    """List the cameras that run, with their sockets."""
    from gadget.control.client import running

    found = running()
    if asked.as_json:
        asked.show([{"control": str(path), **state} for path, state in found])
        return
    for path, state in found:
        name = f" {state['name']!r}" if state["name"] else ""
        click.echo(f"{state['model']} {state['serial']}{name}: {state['state']}, {path}")


@ctl_command.command("state")
@asked
def state_verb(asked: Asked) -> None:
    """Who it is, whether it is on the bus and acquires, its clock and temperature."""
    asked.show(asked.camera.state())


@ctl_command.command("counters")
@asked
def counters_verb(asked: Asked) -> None:
    """What became of its frames."""
    asked.show(asked.camera.counters())


@ctl_command.command("history")
@asked
def history_verb(asked: Asked) -> None:
    """What it saw last: happenings, and what hosts wrote into it."""
    history = asked.camera.history()
    if asked.as_json:
        asked.show(history)
        return
    for title, lines in history.items():
        click.echo(f"{title}:")
        for line in lines:
            click.echo(f"  {line}")


@ctl_command.command("features")
@click.argument("pattern", default="")
@asked
def features_verb(asked: Asked, pattern: str) -> None:
    """List features with their values; those whose name contains PATTERN."""
    features = asked.camera.features
    found = [features.describe(name) for name in features.names() if pattern.lower() in name.lower()]
    if asked.as_json:
        asked.show(found)
        return
    for about in found:
        value = f" = {_text(about['value'])}" if "value" in about else ""
        unit = f" {about['unit']}" if about.get("unit") else ""
        limits = f", {_text(about['min'])} .. {_text(about['max'])}" if "min" in about else ""
        entries = f", one of {_text(about['entries'])}" if "entries" in about else ""
        click.echo(f"{about['name']}{value}{unit} ({about['kind']}, {about['access']}{limits}{entries})")


@ctl_command.command("get")
@click.argument("name")
@click.argument("selectors", nargs=-1, metavar="[SELECTOR=ENTRY]...")
@asked
def get_verb(asked: Asked, name: str, selectors: tuple[str, ...]) -> None:
    """Print the value of a feature."""
    asked.show(asked.camera.features.get(name, **_selectors(selectors)))


@ctl_command.command("set")
@click.argument("assignments", nargs=-1, required=True, metavar="FEATURE=VALUE...")
@asked
def set_verb(asked: Asked, assignments: tuple[str, ...]) -> None:
    """Write features, in order, with the camera's limits and locks; prints what came of it."""
    for name, value in [parse_assignment(text) for text in assignments]:
        asked.show({name: asked.camera.features.set(name, value)})


@ctl_command.command("execute")
@click.argument("name")
@asked
def execute_verb(asked: Asked, name: str) -> None:
    """Run a command feature, such as TriggerSoftware."""
    asked.camera.features.execute(name)


@ctl_command.command("scene")
@click.argument("scene", required=False, metavar="[NAME[:KEY=VALUE,...]]")
@asked
def scene_verb(asked: Asked, scene: str | None) -> None:
    """Print what the camera sees, or change it."""
    asked.show(asked.camera.scene(scene))


@ctl_command.command("supply")
@click.argument("changes", nargs=-1, metavar="[volts=V] [cable_ohm=OHM] [load_ma=MA] [port_ma=MA]")
@asked
def supply_verb(asked: Asked, changes: tuple[str, ...]) -> None:
    """Print the camera's supply, or change it."""
    known = ("volts", "cable_ohm", "load_ma", "port_ma")
    values: dict[str, float] = {}
    for name, text in _pairs(changes):
        if name not in known:
            raise CameraError(f"supply has no {name!r}: one of {', '.join(known)}{hint(name, known)}")
        values[name] = _number(name, text)
    asked.show(asked.camera.supply(**values))


@ctl_command.command("ambient")
@click.argument("ambient_c", required=False, type=Finite(), metavar="[C]")
@asked
def ambient_verb(asked: Asked, ambient_c: float | None) -> None:
    """Print the temperature of air and camera, or change that of the air."""
    asked.show(asked.camera.ambient(ambient_c))


@ctl_command.command("lines")
@asked
def lines_verb(asked: Asked) -> None:
    """List the electrical lines: direction, volts, level, what is wrong with them."""
    lines = {name: asked.camera.lines[name].state for name in asked.camera.lines}
    if asked.as_json:
        asked.show(lines | {"troubles": asked.camera.lines.troubles})
        return
    for name, state in lines.items():
        click.echo(f"{name}: {', '.join(f'{key} {_text(value)}' for key, value in state.items())}")
    for trouble in asked.camera.lines.troubles:
        click.echo(trouble)


@ctl_command.command("volts")
@click.argument("line")
@click.argument("volts", metavar="VOLTS|off")
@asked
def volts_verb(asked: Asked, line: str, volts: str) -> None:
    """Apply volts to a line, or connect nothing to it."""
    asked.camera.lines[line].volts = None if volts == "off" else _number("volts", volts)


@ctl_command.command("pulse")
@click.argument("line")
@click.option("--us", type=Finite(), required=True, metavar="US", help="How long it is high.")
@click.option("--volts", type=Finite(), metavar="V", help="Default: 24, or as much as the line stands.")
@click.option("--times", type=int, default=1, metavar="N", help="So many pulses.")
@click.option(
    "--every-us", type=Finite(), metavar="US", help="From one to the next; default: twice its length."
)
@asked
def pulse_verb(
    asked: Asked, line: str, us: float, volts: float | None, times: int, every_us: float | None
) -> None:
    """Give pulses on a line."""
    asked.camera.lines[line].pulse(us=us, volts=volts, times=times, every_us=every_us)


@ctl_command.command("load")
@click.argument("line")
@click.argument("ma", type=Finite())
@asked
def load_verb(asked: Asked, line: str, ma: float) -> None:
    """Hang something on an output that draws so many mA while it is on."""
    asked.camera.lines[line].load(ma)


@ctl_command.command("repair")
@click.argument("line")
@asked
def repair_verb(asked: Asked, line: str) -> None:
    """Make a damaged line as new, with nothing connected."""
    asked.camera.lines[line].repair()


@ctl_command.command("wire")
@click.argument("line")
@click.argument("to")
@click.option("--of", metavar="CAMERA", help="Serial number, name or index of the other camera.")
@click.option("--volts", type=Finite(), metavar="V", help="Default: 24, or as much as the input stands.")
@asked
def wire_verb(asked: Asked, line: str, to: str, of: str | None, volts: float | None) -> None:
    """Lead an output to the input TO, of this camera or of another one of the same process."""
    asked.camera.lines.wire(line, to, of, volts)


@ctl_command.command("encoder")
@click.argument("line", metavar="LINE|off")
@click.option(
    "--every-px", type=Finite(), default=1.0, show_default=True, metavar="PX", help="A pulse for each."
)
@click.option("--px-per-s", type=Finite(), metavar="PX", help="Default: the scene's own motion.")
@asked
def encoder_verb(asked: Asked, line: str, every_px: float, px_per_s: float | None) -> None:
    """Put a rotary encoder on a line: a pulse for every so many pixels that the scene moves."""
    asked.camera.encoder(None if line == "off" else line, every_px=every_px, px_per_s=px_per_s)


@ctl_command.command("unplug")
@asked
def unplug_verb(asked: Asked) -> None:
    """Pull the cable."""
    asked.camera.unplug()


@ctl_command.command("replug")
@asked
def replug_verb(asked: Asked) -> None:
    """Plug it in again."""
    asked.camera.replug()


@ctl_command.command("reset")
@asked
def reset_verb(asked: Asked) -> None:
    """DeviceReset: it drops off the bus and comes back."""
    asked.camera.reset()


@ctl_command.command("faults")
@asked
def faults_verb(asked: Asked) -> None:
    """List what goes wrong on purpose, and how often each has struck."""
    _show_faults(asked, asked.camera.faults.list())


@ctl_command.command("add-fault")
@click.argument("faults", nargs=-1, required=True, metavar="NAME[:KEY=VALUE,...]|preset:NAME...")
@asked
def add_fault_verb(asked: Asked, faults: tuple[str, ...]) -> None:
    """Let something go wrong from now on (see `u3v faults`)."""
    for fault in faults:
        _show_faults(asked, asked.camera.faults.add(fault))


@ctl_command.command("clear-faults")
@click.argument("number", required=False, type=int, metavar="[NUMBER]")
@asked
def clear_faults_verb(asked: Asked, number: int | None) -> None:
    """Let nothing go wrong any more, or not what has this NUMBER."""
    asked.camera.faults.clear(number)


def _show_faults(asked: Asked, faults: list[dict[str, Any]]) -> None:
    if asked.as_json:
        asked.show(faults)
        return
    for about in faults:
        over = ", over" if about["over"] else ""
        click.echo(
            f"{about['number']}: {about['fault']}, struck {about['struck']} of {about['chances']}{over}"
        )


@ctl_command.command("wait-for")
@click.argument("what", nargs=-1, required=True, metavar="HAPPENING|STATE|frame N")
@click.option(
    "--timeout",
    "timeout_s",
    type=Finite(0, 86400, low_open=True),
    default=10.0,
    show_default=True,
    metavar="S",
    help="How long to wait, by the wall's clock.",
)
@asked
def wait_for_verb(asked: Asked, what: tuple[str, ...], timeout_s: float) -> None:
    """Wait until it happens, until the camera is unplugged, plugged, configured or acquiring, or has delivered
    so many frames. Exit code 1 where that takes too long."""
    try:
        asked.show(asked.camera.wait_for(" ".join(what), timeout_s))
    except CameraTimeout as error:
        click.echo(f"u3v: {error}", err=True)
        sys.exit(1)


@ctl_command.command("advance")
@click.argument("duration", metavar="DURATION")
@asked
def advance_verb(asked: Asked, duration: str) -> None:
    """Let a clock in lockstep go on, by 10ms or 1.5s."""
    asked.camera.advance(duration)


@ctl_command.command("watch")
@click.argument("what", nargs=-1, metavar="[HAPPENING]...")
@click.option("-n", "count", type=click.IntRange(1), metavar="N", help="End after so many.")
@asked
def watch_verb(asked: Asked, what: tuple[str, ...], count: int | None) -> None:
    """Print what happens, until Ctrl-C."""
    for number, happened in enumerate(asked.camera.happenings(*what), 1):
        if asked.as_json:
            about = {"what": happened.what, "at_ns": happened.at_ns, "block_id": happened.block_id}
            click.echo(json.dumps(about))
        else:
            click.echo(f"{happened.at_ns / 1e9:.6f} s {happened.what} (block {happened.block_id})")
        sys.stdout.flush()
        if number == count:
            break


def _pairs(texts: Iterable[str]) -> list[tuple[str, str]]:
    pairs = []
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise CameraError(f"{text!r} is not of the form NAME=VALUE")
        pairs.append((name, value))
    return pairs


def _selectors(texts: Iterable[str]) -> dict[str, str | int]:
    return {name: int(value) if value.isdecimal() else value for name, value in _pairs(texts)}


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise CameraError(f"{name} = {text!r}: not a number") from None
