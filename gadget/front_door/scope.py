"""A logic analyser on the cameras of a bench: lines, exposure, readout, transfer and events over time.

    with bench.scope() as scope:
        ...
    scope.save("timing.svg")       # or .png, .pdf; .vcd for GTKWave

State: the traces and marks so far. It only listens; what the cameras do does not depend on it.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from gadget.tools.timing import Mark, Timeline, Trace, write_vcd
from u3v.camera import Camera
from u3v.happenings import Happening

EXPOSURE, READOUT, TRANSFER, TIMER = "Exposure", "Readout", "Transfer", "Timer1"
_MARKED = (
    *(Happening.FRAME_TRIGGER, Happening.FRAME_START_OVERTRIGGER, Happening.FRAME_BURST_START_OVERTRIGGER),
    *(Happening.FRAME_BUFFER_OVERRUN, Happening.FRAME_LOST, Happening.COUNTER1_END, Happening.COUNTER2_END),
    *(Happening.LINE_WARNING, Happening.LINE_DAMAGED, Happening.LINE_OVERLOAD),
)
_LEVELS = {
    Happening.EXPOSURE_START: ((EXPOSURE, True),),
    Happening.EXPOSURE_END: ((EXPOSURE, False), (READOUT, True)),
    Happening.FRAME_END: ((READOUT, False),),
    Happening.TIMER1_START: ((TIMER, True),),
    Happening.TIMER1_END: ((TIMER, False),),
}


class _Probe:
    """What is recorded of one camera."""

    def __init__(self, name: str, camera: Camera) -> None:
        self.name = name
        self.marks: list[Mark] = []
        self._read_ns: dict[int, int] = {}
        self._sent_ns = 0
        lines, of = camera.lines, camera.signals.of
        now = {EXPOSURE: of("ExposureActive"), READOUT: of("ReadoutActive"), TIMER: of("Timer1Active")}
        self.traces = {line: Trace(name, line, initial=state.level) for line, state in lines.all.items()} | {
            each: Trace(name, each, initial=now.get(each, False))
            for each in (TIMER, EXPOSURE, READOUT, TRANSFER)
        }
        lines.watchers.append(self._line)
        self._ends: list[Callable[[], None]] = [
            lambda: lines.watchers.remove(self._line),
            camera.happenings.listen(self._happened, *_LEVELS, *_MARKED, Happening.FRAME_TRANSFER_END),
        ]

    def end(self) -> None:
        for end in self._ends:
            end()
        self._ends.clear()

    def _line(self, line: str, level: bool, at_ns: int) -> None:
        self.traces[line].changes.append((at_ns, level))

    def _happened(self, what: Happening, at_ns: int, block_id: int) -> None:
        for name, level in _LEVELS.get(what, ()):
            self.traces[name].changes.append((at_ns, level))
        if what is Happening.EXPOSURE_END:
            self._read_ns[block_id] = at_ns
        elif what is Happening.FRAME_TRANSFER_END:
            begin_ns = max(self._read_ns.pop(block_id, at_ns), self._sent_ns)
            self.traces[TRANSFER].changes += [(begin_ns, True), (at_ns, False)]
            self._sent_ns = at_ns
        elif what in _MARKED:
            self.marks.append(Mark(self.name, what.value, at_ns))


class Scope:
    """`cameras`: name and core of each. A context manager; leaving it ends the recording."""

    def __init__(self, cameras: Iterable[tuple[str, Camera]], now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._begin_ns = now_ns()
        self._end_ns: int | None = None
        self._probes = [_Probe(name, camera) for name, camera in cameras]

    def __enter__(self) -> "Scope":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Record no more."""
        if self._end_ns is None:
            self._end_ns = self._now_ns()
            for probe in self._probes:
                probe.end()

    def timeline(self) -> Timeline:
        """What was recorded; signals that never moved are left out."""
        end_ns = self._now_ns() if self._end_ns is None else self._end_ns
        traces = [trace for probe in self._probes for trace in probe.traces.values() if trace.changes]
        marks = [mark for probe in self._probes for mark in probe.marks]
        return Timeline(traces, marks, self._begin_ns, end_ns)

    def save(self, path: str | Path) -> None:
        """A timing diagram (.png, .svg, .pdf; needs matplotlib) or a .vcd. Raises Mistake, one line."""
        path = Path(path)
        if path.suffix.lower() == ".vcd":
            write_vcd(self.timeline(), path)
            return
        from gadget.tools.plots import plot_timing, save

        save(plot_timing(self.timeline()), path)
