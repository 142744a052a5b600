"""What `run`, `serve` and `plug` do besides: offer the control socket, and say in the end how it went.

`offered` is around the loop; `outcome_options` and `Outcome` are the machine-readable account of a run.
"""

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click

from gadget.control import places
from gadget.control.server import ControlServer
from gadget.live import LiveCamera
from gadget.runner import Bench
from gadget.time.simulated import SimulatedLoop

F = TypeVar("F", bound=Callable[..., Any])


def control_option(command: F) -> F:
    """The option that says where the control socket is."""
    return click.option(
        "--control",
        type=click.Path(path_type=Path),
        metavar="PATH",
        help="Socket for `u3v ctl` and gadget.connect(); default: one in the user's runtime directory.",
    )(command)


@contextlib.contextmanager
def offered(bench: Bench, control: Path | None) -> Iterator[list[LiveCamera]]:
    """Offer the cameras at a control socket, say where on stderr, and tell the programs that we start."""
    loop = bench.loop
    advance = loop.advance if isinstance(loop, SimulatedLoop) and loop.is_lockstep else None
    cameras = [LiveCamera(built, loop.now_ns, advance) for built in bench.cameras]
    path = places.default_path() if control is None else Path(os.path.abspath(control))
    before = os.environ.get(places.VARIABLE)
    try:
        with ControlServer(loop, cameras, path):
            os.environ[places.VARIABLE] = str(path)
            click.echo(f"u3v: control: u3v ctl -c {path}", err=True)
            yield cameras
    finally:
        if before is None:
            os.environ.pop(places.VARIABLE, None)
        else:
            os.environ[places.VARIABLE] = before
        for camera in cameras:
            camera.close()


def outcome_options(command: F) -> F:
    """The options about what to tell of a run."""
    for option in (
        click.option(
            "--fail-on-drops",
            is_flag=True,
            help="Exit code 3 where CMD succeeds but the camera had to discard frames for want of a fast host.",
        ),
        click.option(
            "--report",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE.json",
            help="Write what became of CMD and of the frames of each camera.",
        ),
    ):
        command = option(command)
    return command


LOST_FRAMES = 3


def write_report(
    path: Path, command: tuple[str, ...], status: int, seconds: float, cameras: list[LiveCamera]
) -> None:
    """One JSON object about a run. Raises OSError."""
    about = {
        "command": list(command),
        "exit_status": status,
        "duration_s": round(seconds, 3),
        "cameras": [
            live.ask("state", {})
            | {"counters": live.ask("counters", {}), "settings": live.settings(), **live.ask("history", {})}
            for live in cameras
        ],
    }
    path.write_text(json.dumps(about, indent=2) + "\n")


class Outcome:
    """Around the run of a command: `end(status)` gives the exit status, after the report is written."""

    def __init__(
        self, cameras: list[LiveCamera], command: tuple[str, ...], report: Path | None, fail_on_drops: bool
    ) -> None:
        self._cameras, self._command = cameras, command
        self._report, self._fail_on_drops = report, fail_on_drops
        self._began_s = time.monotonic()
        if report is not None:
            report.touch()  # a place that cannot be written is said before the run, not after it

    def end(self, status: int) -> int:
        lost = {live.name: live.ask("counters", {})["lost"] for live in self._cameras}
        if self._fail_on_drops and not status and any(lost.values()):
            status = LOST_FRAMES
            for name, frames in lost.items():
                if frames:
                    click.echo(f"u3v: {name}: {frames} frames lost, so this run has failed", err=True)
        if self._report is not None:
            seconds = time.monotonic() - self._began_s
            write_report(self._report, self._command, status, seconds, self._cameras)
        return status
