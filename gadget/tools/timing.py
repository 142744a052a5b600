"""What a logic analyser shows: levels over time, and marks where something happened; also as a VCD file.

A VCD (value change dump, IEEE 1364) is what GTKWave and other viewers of signals read.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gadget.whole_file import whole_file
from u3v.errors import Mistake

_FIRST, _CODES = 33, 94
"""VCD names signals by printable characters."""


@dataclass
class Trace:
    """One signal of one camera. `changes`: (ns, level), rising instants; before the first it is `initial`."""

    camera: str
    name: str
    initial: bool = False
    changes: list[tuple[int, bool]] = field(default_factory=list)

    def pulses(self, begin_ns: int, end_ns: int) -> list[tuple[int, int]]:
        """When it is high: (from, to), cut to the time looked at."""
        found: list[tuple[int, int]] = []
        high_ns = begin_ns if self.initial else None
        for at_ns, level in self.changes:
            if level and high_ns is None:
                high_ns = at_ns
            elif not level and high_ns is not None:
                found.append((high_ns, at_ns))
                high_ns = None
        if high_ns is not None:
            found.append((high_ns, end_ns))
        cut = [(max(a, begin_ns), min(b, end_ns)) for a, b in found]
        return [(a, b) for a, b in cut if a < b]


@dataclass(frozen=True)
class Mark:
    """Something that happened at an instant."""

    camera: str
    what: str
    at_ns: int


@dataclass(frozen=True)
class Timeline:
    """Everything that was recorded from `begin_ns` to `end_ns`."""

    traces: Sequence[Trace]
    marks: Sequence[Mark]
    begin_ns: int
    end_ns: int


def write_vcd(timeline: Timeline, path: Path) -> None:
    """Write it as a VCD, in ns from the beginning. Raises Mistake, one line."""
    try:
        with whole_file(path) as part:
            part.write_text(to_vcd(timeline), "ascii")
    except OSError as error:
        raise Mistake(f"{path}: {error.strerror or error}") from error


def to_vcd(timeline: Timeline) -> str:
    """Traces as wires and kinds of marks as events, in a module for each camera."""
    lines = ["$timescale 1 ns $end"]
    changes: list[tuple[int, str]] = []
    initial: list[str] = []
    codes = iter(range(1_000_000))
    cameras = list(dict.fromkeys([*(t.camera for t in timeline.traces), *(m.camera for m in timeline.marks)]))
    for camera in cameras:
        lines.append(f"$scope module {_word(camera)} $end")
        for trace in (t for t in timeline.traces if t.camera == camera):
            code = _code(next(codes))
            lines.append(f"$var wire 1 {code} {_word(trace.name)} $end")
            initial.append(f"{int(trace.initial)}{code}")
            changes += [(at_ns, f"{int(level)}{code}") for at_ns, level in trace.changes]
        marks = [m for m in timeline.marks if m.camera == camera]
        for what in dict.fromkeys(m.what for m in marks):
            code = _code(next(codes))
            lines.append(f"$var event 1 {code} {_word(what)} $end")
            changes += [(m.at_ns, f"1{code}") for m in marks if m.what == what]
        lines.append("$upscope $end")
    lines += ["$enddefinitions $end", "#0", "$dumpvars", *initial, "$end"]
    return "\n".join([*lines, *_at_their_instants(timeline, changes), ""])


def _at_their_instants(timeline: Timeline, changes: Iterable[tuple[int, str]]) -> list[str]:
    lines: list[str] = []
    last_ns = timeline.begin_ns
    for at_ns, change in sorted(changes, key=lambda each: each[0]):
        if not timeline.begin_ns <= at_ns <= timeline.end_ns:
            continue
        if at_ns != last_ns:
            lines.append(f"#{at_ns - timeline.begin_ns}")
            last_ns = at_ns
        lines.append(change)
    return [*lines, f"#{timeline.end_ns - timeline.begin_ns}"]


def _code(number: int) -> str:
    text = ""
    while True:
        number, digit = divmod(number, _CODES)
        text += chr(_FIRST + digit)
        if not number:
            return text


def _word(text: str) -> str:
    return "".join(c if c.isalnum() or c == "_" else "_" for c in text)
