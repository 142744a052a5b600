"""The signals inside a camera: levels that lines can show, and pulses that counters, timers and triggers can hear.

They come from what happens (ExposureActive, FrameTrigger), from counters and timers (Counter1End, Timer1Active), from a
host (UserOutput1) and from lines. Their names are those that LineSource, CounterEventSource, TimerTriggerSource and
TriggerSource give them. State: the levels, and what was heard but not handed on yet. Always true: nothing is handed on
in the middle of the work that told of it; what is, goes through the one entry `hand_on` (`Inputs.signal`).
"""

from collections import deque
from collections.abc import Callable

from u3v.edges import Edge, edge_of
from u3v.family import Family
from u3v.happenings import Happening, Happenings

EXPOSURE, READOUT, READY, BURST_READY = (
    "ExposureActive",
    "ReadoutActive",
    "TriggerReady",
    "FrameBurstTriggerWait",
)
_ALIASES = {READY: "FrameTriggerWait", BURST_READY: "AcquisitionTriggerWait"}
_LEVELS = {
    Happening.EXPOSURE_START: ((EXPOSURE, True),),
    Happening.EXPOSURE_END: ((EXPOSURE, False), (READOUT, True)),
    Happening.FRAME_END: ((READOUT, False),),
    Happening.TRIGGER_READY: ((READY, True),),
    Happening.FRAME_TRIGGER: ((READY, False),),
    Happening.ACQUISITION_END: ((READY, False),),
}
_PULSES = (
    *(Happening.EXPOSURE_START, Happening.EXPOSURE_END, Happening.FRAME_START, Happening.FRAME_END),
    *(Happening.FRAME_TRIGGER, Happening.FRAME_START_OVERTRIGGER, Happening.FRAME_BUFFER_OVERRUN),
)


class Signals:
    """`show(name, at_ns)`: a level has changed, for lines. `waits_for_burst(at_ns)`: the acquisition's.
    `is_wanted(name)`: whether anything has this signal as its source."""

    def __init__(
        self,
        family: Family,
        happenings: Happenings,
        show: Callable[[str, int], None],
        hand_on: Callable[[str, int, Edge | None], None],
        waits_for_burst: Callable[[int], bool],
        is_wanted: Callable[[str], bool],
    ) -> None:
        self._family = family
        self._show = show
        self._hand_on = hand_on
        self._waits_for_burst = waits_for_burst
        self._is_wanted = is_wanted
        self._levels: dict[str, bool] = {}
        self._heard: deque[tuple[str, int, Edge | None]] = deque()
        happenings.listen(self._happened, *{*_LEVELS, *_PULSES})

    def of(self, name: str) -> bool:
        """A signal's level. One that nobody has raised is low."""
        return self._levels.get(name, False)

    def level(self, name: str, level: bool, at_ns: int) -> None:
        """A signal is at this level from now on."""
        if level != self._levels.get(name, False):
            self._levels[name] = level
            self.pulse(name, at_ns, edge_of(level))
            if name in _ALIASES:
                self.level(_ALIASES[name], level, at_ns)

    def pulse(self, name: str, at_ns: int, edge: Edge | None = None) -> None:
        """A signal without a level, or one edge of it. What nobody has chosen as a source is forgotten."""
        if self._is_wanted(name):
            self._heard.append((name, at_ns, edge))

    def line(self, name: str, level: bool, at_ns: int) -> None:
        """An input's level."""
        self.pulse(name, at_ns, edge_of(level))

    def clear(self, now_ns: int) -> None:
        """An acquisition was aborted: nothing is exposed or read out any more."""
        for name in (EXPOSURE, READOUT, READY):
            self.level(name, False, now_ns)

    def power_up(self, now_ns: int) -> None:
        """Every signal is low again."""
        for name in list(self._levels):
            self.level(name, False, now_ns)

    def next_wakeup_ns(self) -> int | None:
        return self._heard[0][1] if self._heard else None

    def tick(self, now_ns: int) -> None:
        self.level(BURST_READY, self._waits_for_burst(now_ns), now_ns)
        while self._heard and self._heard[0][1] <= now_ns:
            name, at_ns, edge = self._heard.popleft()
            if name in self._levels:
                self._show(name, at_ns)
            self._hand_on(name, at_ns, edge)

    def _happened(self, what: Happening, at_ns: int, _block_id: int) -> None:
        for name, level in _LEVELS.get(what, ()):
            self.level(name, level, at_ns)
        if what in _PULSES:
            self.pulse(self._family.event_names.get(what, what.value), at_ns)
