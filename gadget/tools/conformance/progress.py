"""What a person sees while a conformance run goes on: a bar on a terminal, and each failure as it comes."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from u3v.host.conformance.run import ERROR, FAIL, Outcome

Progress = Callable[[Outcome], None]


def failure_line(outcome: Outcome) -> str:
    return f"{outcome.result.upper()} {outcome.check.severity.value:6} {outcome.check.id}  {outcome.reason}"


@contextmanager
def progress(total: int) -> Iterator[Progress]:
    """A callback for each outcome: failures go to stdout; the bar is drawn on stderr where that is a terminal."""
    if not sys.stderr.isatty():
        yield _say
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as RichProgress

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        bad = 0

        def show(outcome: Outcome) -> None:
            nonlocal bad
            bad += outcome.result in (FAIL, ERROR)
            _say(outcome)
            bar.update(task, advance=1, description=f"{outcome.check.id}{f', {bad} failed' if bad else ''}")

        yield show


def _say(outcome: Outcome) -> None:
    if outcome.result in (FAIL, ERROR):
        print(failure_line(outcome), flush=True)
