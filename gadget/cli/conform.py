"""`u3v conform`: ask a USB3 Vision camera everything that the standards say of it, and report the answers."""

import contextlib
import json
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from gadget.catalogue import find_model
from gadget.cli.options import (
    CameraCommand,
    as_arguments,
    camera_options,
    refuse_camera_options,
    specs,
    usual_model,
)
from gadget.whole_file import check_place, whole_file
from u3v.errors import Mistake

if TYPE_CHECKING:
    from gadget.tools.conformance.progress import Progress
    from u3v.host.conformance.declare import Check
    from u3v.host.conformance.route import Route
    from u3v.host.conformance.run import Run

LEVELS = ("quick", "default", "long", "strict")
_OWN_OPTIONS = ("target", "level", "only", "destructive", "junit", "html", "json_file", "compare", "listed")
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(
    "conform",
    cls=CameraCommand,
    epilog="""\b
Examples:
  u3v conform acA4096-40um
  u3v conform usb:2676:ba02 --html report.html --json report.json
  u3v conform usbip://127.0.0.1:3240/1-1 --only 'GENCP-*' --only USB-EP-003
  u3v conform usb:2676:ba02 --json today.json --compare before.json
  u3v conform --list --only 'BOOT-*'
Exit codes: 0 no check of severity must failed, 1 one did, 2 a mistake, 3 the camera vanished, 130 Ctrl-C.""",
)
@click.argument("target", default="", metavar="[MODEL | usbip://HOST:PORT/BUSID | usb:VID:PID[:SERIAL]]")
@click.option(
    "--level",
    type=click.Choice(LEVELS),
    default="default",
    show_default=True,
    help="quick: descriptors, registers and the first check of each other family. long: with the numbers of "
    "repetitions that standards print. strict: as default, and `should` counts like `must`.",
)
@click.option(
    "--only",
    multiple=True,
    metavar="PATTERN",
    help="Checks of this id, such as GENCP-* or XML-018; may be given often.",
)
@click.option(
    "--destructive", is_flag=True, help="Also checks that change something for good, or reset the camera."
)
@click.option("--html", type=_FILE, metavar="FILE", help="A report to read and to send: one file.")
@click.option("--junit", type=_FILE, metavar="FILE", help="A report for continuous integration.")
@click.option(
    "--json", "json_file", type=_FILE, metavar="FILE", help="A report for programs, and for --compare."
)
@click.option(
    "--compare", type=_FILE, metavar="FILE", help="An earlier --json report: say what has changed since."
)
@click.option("--list", "listed", is_flag=True, help="List the checks instead of running them.")
@camera_options
@click.pass_context
def conform_command(
    ctx: click.Context,
    /,
    target: str,
    level: str,
    only: tuple[str, ...],
    destructive: bool,
    html: Path | None,
    junit: Path | None,
    json_file: Path | None,
    compare: Path | None,
    listed: bool,
    **options: Any,
) -> None:
    """Check that a camera is a USB3 Vision camera: a virtual one of MODEL, one over USB/IP, or one on this machine.

    Each check restores what it changes. A MODEL runs in this process on a simulated clock; with --clock real it is
    served over USB/IP and asked in real time. Ctrl-C ends the run and still writes the reports.
    """
    from gadget.tools.conformance.progress import progress
    from gadget.tools.conformance.report import as_json, load, summary
    from u3v.host.conformance.context import Context, Level
    from u3v.host.conformance.families import all_checks
    from u3v.host.conformance.run import Run, select

    chosen = select(all_checks(), Level(level), only, destructive=destructive)
    if listed:
        return _list(chosen)
    before = load(compare) if compare is not None else None
    for path in (html, junit, json_file):
        if path is not None:
            check_place(path)
    words: list[str] = []
    started = time.strftime("%Y-%m-%d %H:%M:%S %z")
    with _route(ctx, target, options, words) as route:
        run = Run(Context(route, Level(level)), chosen)
        click.echo(f"u3v: {len(chosen)} checks of {route.name}", err=True)
        with progress(len(chosen)) as show:
            camera: dict[str, str] = {}
            complete = _all_of(run, show, camera)
        report = as_json(run, camera, complete=complete, started=started)
    for line in summary(report, before):
        click.echo(line)
    for word in words:
        click.echo(f"u3v: {word}", err=True)
    _write(report, before, html, junit, json_file)
    sys.exit(report["exit_code"])


def _all_of(run: "Run", show: "Progress", camera: dict[str, str]) -> bool:
    """Run the checks; whether nobody interrupted it. `camera` gets who it is, while it is there."""
    from gadget.tools.conformance.report import camera_facts

    try:
        with _ctrl_c() as pressed:
            for outcome in run.outcomes():
                if not camera:
                    camera.update(camera_facts(run.context))
                show(outcome)
                if pressed:
                    raise KeyboardInterrupt
    except KeyboardInterrupt:
        click.echo("u3v: interrupted: the report has what was done so far", err=True)
        return False
    return True


@contextlib.contextmanager
def _ctrl_c() -> "Iterator[list[int]]":
    """KeyboardInterrupt as ever, and the list says that it was raised: GenApi swallows what comes in its midst."""
    pressed: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        pressed.append(number)
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:  # as it is in the background of a shell script
        signal.signal(signal.SIGINT, note)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


def _list(checks: "list[Check]") -> None:
    for each in checks:
        why = f" (not built: {each.unbuilt})" if each.unbuilt else ""
        click.echo(f"{each.id:16} {each.severity.value:6} {each.done}: {each.criterion} [{each.clause}]{why}")


def _write(
    report: dict[str, Any],
    before: dict[str, Any] | None,
    html: Path | None,
    junit: Path | None,
    json_file: Path | None,
) -> None:
    from gadget.tools.conformance.html import as_html
    from gadget.tools.conformance.junit import as_junit

    if json_file is not None:
        _save(json_file, json.dumps(report, indent=1).encode() + b"\n")
    if junit is not None:
        _save(junit, as_junit(report))
    if html is not None:
        _save(html, as_html(report, before).encode())


def _save(path: Path, content: bytes) -> None:
    with whole_file(path) as part:
        part.write_bytes(content)
    click.echo(f"wrote {path}", err=True)


@contextlib.contextmanager
def _route(ctx: click.Context, target: str, options: dict[str, Any], words: list[str]) -> "Iterator[Route]":
    """The way to the camera that was meant. Raises Mistake, UsbGone."""
    from gadget.tools.conformance.routes import in_process, open_address
    from gadget.tools.served import served
    from gadget.tools.targets import is_address

    if is_address(target):
        refuse_camera_options(ctx, target, _OWN_OPTIONS)
        route = open_address(target)
        with contextlib.closing(route):
            yield route
        return
    target = target or usual_model(options["model_file"])
    is_real = options["clock"] == "real" and ctx.get_parameter_source("clock") is ParameterSource.COMMANDLINE
    if options["clock"] == "lockstep":
        raise Mistake("--clock lockstep: a conformance run needs a clock that moves: use simulated or real")
    (spec,) = specs((target,), options)
    if not is_real:
        with in_process(spec, options["pcap"]) as route_here:
            yield route_here
        return
    find_model(spec.model, spec.model_files)
    with served(target, as_arguments(options), words) as camera:
        route = open_address(camera.address, virtual=True)
        with contextlib.closing(route):
            yield route
