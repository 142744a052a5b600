"""`u3v scope`: a timing diagram of cameras, their lines and what triggers them, on a simulated clock."""

import contextlib
from pathlib import Path
from typing import Any

import click

from gadget.cli.completion import CAMERA
from gadget.cli.options import model_file_option, the_cameras
from gadget.front_door.camera_verbs import CameraError


@click.command(
    "scope",
    epilog="""\b
Examples:
  u3v scope acA4096-40um -o timing.png
  u3v scope acA4096-40um:TriggerMode=On,TriggerSource=Line1 --pulse Line1:us=50,times=5,every_us=30000 -o t.svg
  u3v scope acA4096-40um VCXG-124M:TriggerMode=On --output-shows 0:Line2=ExposureActive
      --wire 0:Line2=1:Line0 -o t.vcd
  u3v scope acA4096-40um:TriggerMode=On,TriggerSource=Line1 --scene conveyor:speed=20000
      --encoder Line1:every_px=1000 -o belt.png""",
)
@click.argument("cameras", nargs=-1, type=CAMERA, metavar="MODEL[:FEATURE=VALUE,...]...")
@click.option(
    "-o",
    "output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="A diagram (.png, .svg, .pdf; needs matplotlib) or a .vcd for GTKWave. Without it, the marks are printed.",
)
@click.option(
    "--for", "duration", default="100ms", show_default=True, metavar="DURATION", help="How long to look."
)
@click.option("--scene", metavar="NAME[:KEY=VALUE,...]", help="What all cameras see.")
@click.option(
    "--output-shows",
    "shows",
    multiple=True,
    metavar="[N:]LINE=SIGNAL",
    help="Make a line an output with this LineSource, such as 0:Line2=ExposureActive.",
)
@click.option(
    "--wire",
    "wires",
    multiple=True,
    metavar="[N:]LINE=[N:]LINE",
    help="Lead an output to an input, such as 0:Line2=1:Line0.",
)
@click.option(
    "--pulse",
    "pulses",
    multiple=True,
    metavar="[N:]LINE:us=US[,times=N,every_us=US,after_us=US,volts=V]",
    help="Pulses on an input.",
)
@click.option(
    "--encoder",
    "encoders",
    multiple=True,
    metavar="[N:]LINE:every_px=PX[,px_per_s=PX]",
    help="A rotary encoder that follows the scene.",
)
@model_file_option
def scope_command(
    cameras: tuple[str, ...],
    output: Path | None,
    duration: str,
    scene: str | None,
    shows: tuple[str, ...],
    wires: tuple[str, ...],
    pulses: tuple[str, ...],
    encoders: tuple[str, ...],
    **options: Any,
) -> None:
    """Lines, exposures, readouts, transfers and events over time, as a logic analyser shows them.

    Cameras count from 0: 1:Line0 is the second one's. All are acquiring while it looks, the first one started last.
    """
    from gadget.front_door.live import parse_duration_ns
    from gadget.front_door.virtual_camera import Bench
    from gadget.tools.plots import check_path
    from gadget.whole_file import check_place

    if output is not None:
        (check_place if output.suffix.lower() == ".vcd" else check_path)(output)
    cameras = the_cameras(cameras, options["model_file"])
    looks_ns = parse_duration_ns(duration)
    given: dict[str, Any] = {"scene": scene} if scene else {}
    with Bench(*cameras, model_files=options["model_file"], **given) as bench:
        for text in shows:
            number, line, source = _line_and(text, "=", bench)
            camera = bench[number]
            if camera.features.get("LineMode", LineSelector=line) != "Output":
                camera.features.set("LineMode", "Output", LineSelector=line)
            camera.features.set("LineSource", source, LineSelector=line)
        for text in wires:
            number, line, end = _line_and(text, "=", bench)
            other, to = _line(end, bench)
            bench[number].lines[line].wire(bench[other].lines[to])
        for text in encoders:
            number, line, keys = _line_and(text, ":", bench)
            bench[number].encoder(line, **_numbers(text, keys, "every_px", "px_per_s"))
        scope = bench.scope()
        with contextlib.ExitStack() as stack:
            streams = [stack.enter_context(camera.acquire()) for camera in reversed(bench.cameras)]
            for text in pulses:
                number, line, keys = _line_and(text, ":", bench)
                words = ("us", "times", "every_us", "after_us", "volts")
                bench[number].lines[line].pulse(**_numbers(text, keys, *words))
            bench.look_for(looks_ns, streams)
            scope.stop()
    timeline = scope.timeline()
    if output is not None:
        scope.save(output)
        click.echo(f"wrote {output}", err=True)
        return
    for mark in sorted(timeline.marks, key=lambda each: each.at_ns):
        click.echo(f"{(mark.at_ns - timeline.begin_ns) / 1e6:.6f} ms {mark.camera} {mark.what}")
    for trace in timeline.traces:
        count = len(trace.pulses(timeline.begin_ns, timeline.end_ns))
        click.echo(f"{trace.camera} {trace.name}: {count} times")


def _line(text: str, bench: Any) -> tuple[int, str]:
    """ "1:Line0" is camera 1's Line0; without a number it is camera 0's."""
    number, colon, line = text.rpartition(":")
    if not colon:
        return 0, line
    if not number.isdecimal() or int(number) >= len(bench):
        raise CameraError(f"{text!r}: no camera {number}; they count from 0 to {len(bench) - 1}")
    return int(number), line


def _line_and(text: str, separator: str, bench: Any) -> tuple[int, str, str]:
    """A line, and what follows it behind the separator."""
    at = text.index("Line") if "Line" in text else 0
    end = text.find(separator, at)
    if end < 0:
        raise CameraError(f"{text!r} is not of the form [N:]LINE{separator}...")
    return (*_line(text[:end], bench), text[end + 1 :])


def _numbers(text: str, keys: str, *known: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for item in keys.split(","):
        name, equals, number = item.partition("=")
        if not equals or name not in known:
            raise CameraError(f"{text!r}: {item!r} is not of {', '.join(f'{word}=' for word in known)}")
        try:
            values[name] = int(number) if name == "times" else float(number)
        except ValueError:
            raise CameraError(f"{text!r}: {number!r} is no number") from None
    return values
