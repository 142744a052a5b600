"""The electrical lines of a camera: volts in, levels out, and what goes wrong in between.

The world applies volts to a line. Its sheet says which of them are low and high; between the two nobody can know,
and `undefined` says what this camera makes of it. Too many volts are a warning, far too many destroy the line until
somebody repairs it: not even a power cycle helps. An input's level becomes valid when it has been stable for the
debouncer's time, an output follows its LineSource with its own delays; both are `Settling`. The inverter comes last.

State of a line: volts, load, damage, its level on both sides of the delay. Always true: a level changes at an
instant of its own, whenever `tick` is called, and every change is told once: to the camera (`edge`) and to `watchers`.
"""

from collections.abc import Callable, Mapping
from heapq import heappop, heappush
from itertools import count
from typing import Any
from zlib import crc32

from u3v.device import FeatureValues
from u3v.happenings import Happening, Happenings
from u3v.line_facts import LineFacts

KEEP, LOW, HIGH = "keep", "low", "high"
UNDEFINED = (KEEP, LOW, HIGH)
"""What an input makes of volts between low and high: its level stays, or is this. Or a number: see `Lines`."""

MOST_TROUBLES = 100
"""The latest ones are kept; each was told as a happening."""

Watcher = Callable[[str, bool, int], None]
"""Gets the line, its level, and since when (ns)."""


class Settling:
    """A level that follows another one later; what does not last as long as the delay, never shows."""

    def __init__(self, level: bool) -> None:
        self.level = level
        self.due_ns: int | None = None

    def follow(self, level: bool, at_ns: int, delay_ns: int) -> None:
        """The level is to be this; it will be after the delay, if nothing else comes before."""
        if level == self.level:
            self.due_ns = None
        elif self.due_ns is None:
            self.due_ns = at_ns + delay_ns

    def settle(self, now_ns: int) -> int | None:
        """When the level has changed, if it has by now."""
        if self.due_ns is None or self.due_ns > now_ns:
            return None
        at_ns, self.due_ns = self.due_ns, None
        self.level = not self.level
        return at_ns


class Line:
    """One line. `facts`: its sheet. `volts`: what the world applies; None: nothing is connected. `doubts`: how often
    they have come between low and high; `drawn`: what was drawn then, for as long as they stay there.
    """

    def __init__(self, facts: LineFacts) -> None:
        self.facts = facts
        self.volts: float | None = None
        self.load_ma = 0.0
        self.is_output = not facts.can_be_input
        self.is_damaged = False
        self.is_overloaded = False
        self.driven = False
        self.warned = False
        self.doubts = 0
        self.drawn: bool | None = None
        self.seen = False
        self.seen = not self.is_output and self.sees_high(KEEP)
        self.settling = Settling(self.seen)
        self.level = self.seen

    @property
    def name(self) -> str:
        return self.facts.name

    def sees_high(self, undefined: str | int) -> bool:
        """What the input makes of its volts."""
        facts = self.facts
        volts = facts.number("open_v", 0.0) if self.volts is None else self.volts
        if self.is_damaged:
            return False
        is_low, is_high = volts <= facts.number("low_max_v", 0.0), volts >= facts.number("high_min_v", 0.0)
        if is_low or is_high:
            self.drawn = None
            return not is_low
        if isinstance(undefined, str):
            return {KEEP: self.seen, LOW: False, HIGH: True}[undefined]
        if self.drawn is None:
            self.doubts += 1
            self.drawn = bool(crc32(f"{undefined} {self.name} {self.doubts}".encode()) & 1)
        return self.drawn


class Lines:
    """All lines of a camera. `edge(line, level, at_ns)`: an input's level has changed.

    `source(name)`: the level of a signal that LineSource can name. `undefined`: one of UNDEFINED, or a number: then
    each change into the region between low and high is drawn like a coin, the same in every run with that number.
    """

    def __init__(
        self,
        facts: tuple[LineFacts, ...],
        features: FeatureValues,
        happenings: Happenings,
        edge: Callable[[str, bool, int], None],
        source: Callable[[str], bool],
        undefined: str | int = KEEP,
    ) -> None:
        self.undefined = undefined
        self.watchers: list[Watcher] = []
        self.troubles: list[str] = []
        self._lines = {each.name: Line(each) for each in facts}
        self._features = features
        self._happenings = happenings
        self._edge = edge
        self._source = source
        self._to_come: list[tuple[int, int, str, float | None]] = []
        self._sequence = count()

    # -- the world ----------------------------------------------------------------------------------------

    @property
    def all(self) -> Mapping[str, Line]:
        return self._lines

    def apply(self, name: str, volts: float | None, at_ns: int, now_ns: int) -> None:
        """Volts on a line from `at_ns` on, which may be still to come. None: nothing is connected any more."""
        heappush(self._to_come, (max(at_ns, now_ns), next(self._sequence), name, volts))

    def load(self, name: str, load_ma: float, now_ns: int) -> None:
        """What hangs on an output draws so much while it is on."""
        line = self._lines[name]
        line.load_ma = load_ma
        self._check_load(line, now_ns)

    def repair(self, name: str) -> None:
        """A damaged line is as new, with nothing connected to it."""
        line = self._lines[name]
        line.is_damaged = line.warned = line.is_overloaded = False
        line.volts = None

    # -- the camera ---------------------------------------------------------------------------------------

    def level(self, name: str) -> bool:
        """A line's level as the camera sees it, behind debouncer and inverter."""
        return self._lines[name].level

    def is_overloaded(self, name: str) -> bool:
        """LineOverloadStatus."""
        return self._lines[name].is_overloaded

    def status_all(self) -> int:
        """LineStatusAll: a bit for each line, at the place of LineSelector's entry."""
        entries: Mapping[str, int] = self._features.declared["LineSelector"].entries
        return sum(line.level << entries[name] for name, line in self._lines.items())

    def drive(self, source: str, now_ns: int) -> None:
        """A signal has changed: outputs that show it follow."""
        for line in self._lines.values():
            if line.is_output and self._get("LineSource", "", line) == source:
                self._follow(line, now_ns)

    def look(self, now_ns: int) -> None:
        """A host has set up lines otherwise."""
        for line in self._lines.values():
            was_output, line.is_output = line.is_output, self._is_output(line)
            if was_output != line.is_output:
                line.seen = False
                line.settling = Settling(False if line.is_output else line.sees_high(self.undefined))
            self._follow(line, now_ns)
            self._show(line, now_ns)

    def next_wakeup_ns(self) -> int | None:
        instants = [line.settling.due_ns for line in self._lines.values()]
        if self._to_come:
            instants.append(self._to_come[0][0])
        return min((at for at in instants if at is not None), default=None)

    def tick(self, now_ns: int) -> None:
        while self._to_come and self._to_come[0][0] <= now_ns:
            at_ns, _, name, volts = heappop(self._to_come)
            self._settle(at_ns)
            self._apply(self._lines[name], volts, at_ns)
        self._settle(now_ns)

    def _settle(self, now_ns: int) -> None:
        while True:
            due = [line for line in self._lines.values() if line.settling.due_ns is not None]
            line = min(due, key=lambda each: each.settling.due_ns or 0, default=None)
            at_ns = None if line is None else line.settling.settle(now_ns)
            if line is None or at_ns is None:
                return
            self._show(line, at_ns)

    def _apply(self, line: Line, volts: float | None, at_ns: int) -> None:
        line.volts = volts
        facts, size = line.facts, abs(volts or 0.0)
        highest = facts.number("absolute_max_v", float("inf"))
        safe = facts.number("safe_max_v", float("inf"))
        if size > highest and not line.is_damaged:
            line.is_damaged = True
            self._trouble(line, f"{size:g} V, above {highest:g} V: damaged", Happening.LINE_DAMAGED, at_ns)
        elif size > safe and not line.warned:
            self._trouble(line, f"{size:g} V, above the safe {safe:g} V", Happening.LINE_WARNING, at_ns)
        line.warned = size > safe
        self._follow(line, at_ns)

    def _follow(self, line: Line, at_ns: int) -> None:
        """Let the line go where it is driven to, from inside or from outside."""
        if line.is_output:
            wanted = self._source(self._get("LineSource", "", line)) ^ bool(
                self._get("LineInverter", False, line)
            )
            wanted = wanted and not line.is_damaged
            key = "on_delay_us" if wanted else "off_delay_us"
            delay_us = line.facts.number(key, 0.0)
        else:
            wanted = line.seen = line.sees_high(self.undefined)
            which = "High" if wanted else "Low"
            delay_us = self._get(
                f"LineDebouncer{which}TimeAbs", self._get("LineDebouncerTime", 0.0, line), line
            )
        line.settling.follow(wanted, at_ns, round(delay_us * 1000))

    def _show(self, line: Line, at_ns: int) -> None:
        """The line's level, once it has settled."""
        inverted = not line.is_output and bool(self._get("LineInverter", False, line))
        level = line.settling.level ^ inverted
        if level == line.level:
            return
        line.level = level
        self._check_load(line, at_ns)
        self.tell_edge(line.name, level, at_ns)
        for watch in tuple(self.watchers):
            watch(line.name, level, at_ns)
        if not line.is_output:
            self._edge(line.name, level, at_ns)

    def tell_edge(self, name: str, level: bool, at_ns: int) -> None:
        """A line's edge is a happening, whether it triggers or not."""
        what = _EDGES.get((name, level))
        if what is not None:
            self._happenings.tell(what, at_ns)

    def _check_load(self, line: Line, at_ns: int) -> None:
        highest = line.facts.number("load_max_ma", float("inf"))
        over = line.is_output and line.level and line.load_ma > highest
        if over and not line.is_overloaded:
            text = f"{line.load_ma:g} mA, above {highest:g} mA: overloaded"
            self._trouble(line, text, Happening.LINE_OVERLOAD, at_ns)
        line.is_overloaded = over

    def _trouble(self, line: Line, text: str, what: Happening, at_ns: int) -> None:
        self.troubles = [*self.troubles[1 - MOST_TROUBLES :], f"{line.name}: {text}"]
        self._happenings.tell(what, at_ns)

    def _is_output(self, line: Line) -> bool:
        if line.facts.can_be_input and line.facts.can_be_output:
            return bool(self._get("LineMode", "Input", line) == "Output")
        return line.facts.can_be_output

    def _get(self, feature: str, default: Any, line: Line) -> Any:
        return self._features.get_or(feature, default, LineSelector=line.name)


_EDGES = {
    (f"Line{number}", level): Happening(f"Line{number}{'Rising' if level else 'Falling'}Edge")
    for number in range(5)
    for level in (False, True)
}
