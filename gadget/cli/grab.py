"""`u3v grab`: take frames from a virtual camera made for it, or from any other USB3 Vision camera."""

import contextlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from frames.scene import SceneError
from frames.sensor import SensorError
from gadget.catalogue import find_model
from gadget.cli.numbers import Finite
from gadget.cli.options import (
    CameraCommand,
    as_arguments,
    camera_options,
    refuse_camera_options,
    specs,
    usual_model,
)
from gadget.feature_text import parse_assignment
from u3v.errors import U3VError

if TYPE_CHECKING:
    from gadget.tools.grab import GrabOptions, GrabResult

_HOST_OPTIONS = (
    "target", "frames", "output", "keep", "image_format", "as_numbers", "timeout", "as_json", "settings"
)  # fmt: skip
_MISTAKES = (U3VError, SceneError, SensorError)


@click.command(
    "grab",
    cls=CameraCommand,
    epilog="""\b
Examples:
  u3v grab acA4096-40um -n 10 -o out
  u3v grab acA4096-40um -n 300 --set PixelFormat=Mono12p --set Gain=12 --json
  u3v grab IDS-IMX412 -n 5 -o out --format tiff --raw
  u3v grab usbip://127.0.0.1:3240/1-1 -n 5 -o out
  u3v grab usb:2676:ba02 -n 5
  u3v grab gige://127.0.0.1 -n 5""",
)
@click.argument(
    "target", default="", metavar="[MODEL | usbip://HOST:PORT/BUSID | usb:VID:PID | gige://ADDRESS]"
)
@click.option(
    "-n", "frames", default=1, show_default=True, type=click.IntRange(1), metavar="N", help="Frames to take."
)
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
    "--format",
    "image_format",
    type=click.Choice(["png", "tiff", "raw"]),
    default="png",
    show_default=True,
    help="raw: the payload as it came.",
)
@click.option(
    "--raw",
    "as_numbers",
    is_flag=True,
    help="PNG and TIFF files hold the camera's numbers: 10 and 12 bits unscaled in 16, Bayer patterns as they are. "
    "Without it they are pictures: 8 bits, in colour where the camera is, balanced as if its bright parts "
    "were grey.",
)
@click.option(
    "--timeout",
    type=Finite(0, 1e6),
    default=5.0,
    show_default=True,
    metavar="S",
    help="Longest wait for a frame, besides exposure.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the summary.")
@camera_options
@click.pass_context
def grab_command(
    ctx: click.Context,
    /,
    target: str,
    frames: int,
    output: Path | None,
    keep: int | None,
    image_format: str,
    as_numbers: bool,
    timeout: float,
    as_json: bool,
    **options: Any,
) -> None:
    """Take frames from a camera: a virtual one of MODEL, one exported over USB/IP, one on this machine's USB, or one on
    its network.

    --set works on all of them. The options about the virtual camera (--scene, --speed ...) are for MODEL only.
    Without MODEL it is the camera of the --model-file, else acA4096-40um. Exit code: 0 if all
    frames were delivered whole, 1 if not.
    """
    from gadget.tools.grab import GrabOptions

    words: list[str] = []
    try:
        wanted = GrabOptions(
            frames=frames,
            output=output,
            keep=keep,
            image_format=image_format,
            as_numbers=as_numbers,
            settings=dict(parse_assignment(text) for text in options["settings"]),
            timeout_s=timeout,
        )
        options["settings"] = ()  # the host sets them, as it would at any other camera
        result = _taken(ctx, target, wanted, options, not as_json, words)
    except (*_MISTAKES, OSError) as error:
        if isinstance(error, OSError) and error.filename is None:  # not about a file that a person named
            raise
        message = _explained(_one_line(error), words)
        if as_json:
            click.echo(json.dumps({"ok": False, "error": message}, indent=2))
        raise click.UsageError(message) from error
    problem = _explained(result.error, words)
    if as_json:
        click.echo(json.dumps(result.as_json() | {"error": problem}, indent=2))
    else:
        click.echo("\n".join(result.lines()))
    for line in [problem] if problem else words:
        click.echo(f"u3v: {line}", err=True)
    sys.exit(0 if result.ok else 1)


def _taken(
    ctx: click.Context,
    target: str,
    wanted: "GrabOptions",
    options: dict[str, Any],
    show_progress: bool,
    words: list[str],
) -> "GrabResult":
    """What became of the frames. `words` gets what a virtual camera says meanwhile."""
    from gadget.tools.grab import grab, progress_bar
    from gadget.tools.grab_gige import SCHEME, grab_gige
    from gadget.tools.served import served
    from gadget.tools.simulated_host import simulated_host
    from gadget.tools.targets import is_address, open_target

    with contextlib.ExitStack() as stack:
        show = stack.enter_context(progress_bar(wanted.frames, show_progress))
        if target.startswith(SCHEME):
            refuse_camera_options(ctx, target, _HOST_OPTIONS)
            return grab_gige(target, wanted, show, say=_say)
        if is_address(target):
            refuse_camera_options(ctx, target, _HOST_OPTIONS)
            return grab(stack.enter_context(contextlib.closing(open_target(target))), wanted, show, say=_say)
        target = target or usual_model(options["model_file"])
        (spec,) = specs((target,), options)
        if spec.clock != "real":
            host = stack.enter_context(simulated_host(spec, options["pcap"], say=words.append))
            return grab(host, wanted, show, lambda: host.now_ns / 1e9, _say)
        find_model(spec.model, spec.model_files)
        with (
            served(target, as_arguments(options), words) as camera,
            contextlib.closing(open_target(camera.address)) as bus,
        ):
            result = grab(bus, wanted, show, say=_say)
    if camera.failed and not result.error:
        result = replace(result, error=f"the camera's process ended with {camera.exit_code}")
    return result


def _say(line: str) -> None:
    click.echo(f"u3v: {line}", err=True)


def _explained(error: str, words: list[str]) -> str:
    """An error of the host's, behind what the camera says about it."""
    return f"{'; '.join(words)} ({error})" if error and words else error


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)
