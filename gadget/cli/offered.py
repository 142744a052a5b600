"""What `run`, `serve` and `plug` have in common: they offer a control socket, and say in the end how it went.

`offered` is a context manager: inside it the cameras can be reached over the socket. `Outcome` is the account of a
run for programs (`--report FILE.json`, `--fail-on-drops`), and `outcome_options` adds those options to a command.
"""

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from gadget.control import places
from gadget.control.server import ControlServer
from gadget.front_door.live import LiveCamera
from gadget.front_door.live_lines import Harness
from gadget.runner import Core, Plugged
from gadget.time.loop import Loop
from gadget.time.signals import handled
from gadget.time.simulated import SimulatedLoop
from u3v.errors import U3VError

F = TypeVar("F", bound=Callable[..., Any])


def control_option(command: F) -> F:
    """The option that says where the control socket is."""
    return click.option(
        "--control",
        type=click.Path(path_type=Path),
        metavar="PATH",
        help="Socket for `u3v ctl` and gadget.connect(); default: one in the user's runtime directory.",
    )(command)


@dataclass(frozen=True, slots=True)
class Offer:
    """The cameras that run, and where they can be controlled; `path` is None where that is nowhere."""

    cameras: list[LiveCamera]
    path: Path | None
    trouble: str
    asked_for: bool

    def announce(self) -> None:
        """Say on stdout how to control the cameras."""
        click.echo(f"control: u3v ctl -c {self.path}" if self.path else f"no control: {self.trouble}")

    def announce_quietly(self) -> None:
        """The same for a command whose output belongs to another program: on stderr, to a person or if asked for."""
        if self.asked_for or sys.stderr.isatty():
            click.echo(
                f"u3v: control: u3v ctl -c {self.path}" if self.path else f"u3v: {self.trouble}", err=True
            )


@contextlib.contextmanager
def offered(loop: Loop, built: Sequence[Plugged], control: Path | None) -> Iterator[Offer]:
    """Offer the cameras at a control socket; programs that are started meanwhile find it in $U3V_CONTROL.

    A socket that was asked for must be there, else U3VError is raised; without the usual one it goes, too.
    """
    advance = loop.advance if isinstance(loop, SimulatedLoop) and loop.is_lockstep else None
    cameras = [LiveCamera(one, loop.now_ns, advance) for one in built]
    Harness(cameras, loop)
    with contextlib.ExitStack() as stack:
        for camera in cameras:
            stack.callback(camera.close)
        path, trouble = None, ""
        try:
            path = places.default_path() if control is None else Path(os.path.abspath(control))
            stack.enter_context(ControlServer(loop, cameras, path))
        except U3VError as error:
            if control is not None:
                raise
            path, trouble = None, str(error)
        if path is not None:
            stack.enter_context(_environment(places.VARIABLE, str(path)))
        yield Offer(cameras, path, trouble, control is not None)


@contextlib.contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


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


@contextlib.contextmanager
def until_signalled(loop: Loop) -> Iterator[None]:
    """Ctrl-C and SIGTERM stop the loop, so that everything is cleaned up."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    with handled(numbers, lambda *_: loop.call_threadsafe(loop.stop)):
        yield


def report(cameras: Sequence[Core]) -> None:
    """What became of the frames, one line a camera, on stderr."""
    for built in cameras:
        stream = built.camera.frames
        if stream.offered:
            lost = stream.discarded - stream.left_behind
            click.echo(
                f"{built.model.name} {built.camera.options.serial}: {stream.offered} frames offered = "
                f"{stream.delivered} delivered + {lost} discarded + {stream.left_behind} after the host's stop"
                f" + {stream.in_flight} held",
                err=True,
            )


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
            | {
                "counters": live.ask("counters", {}),
                "faults": live.ask("faults", {}),
                "settings": live.settings(),
                **live.ask("history", {}),
            }
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
