"""Counters and timers: what happens in or at the camera moves them, and their ends are signals themselves.

A counter counts the edges of its CounterEventSource; at CounterDuration it gives CounterNEnd and stands still until
it is reset. A counter that is its own reset source divides: with CounterDuration = 4 every fourth edge of an encoder
gives a Counter1End, which can trigger. A timer is a pulse: TimerDelay after its trigger, TimerDuration long; while it
runs it hears no other trigger (assumed). Where one signal both counts and resets, it counts first (assumed).
"""

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

from u3v.device import FeatureValues
from u3v.edges import Edge, counts
from u3v.happenings import Happening, Happenings

MAX_COUNT = 65535

Signal = Callable[[str, int, Edge | None], None]
"""Gets a signal's name, its instant and, where it has one, its edge."""


class Counter:
    """State: its value, the value before its last reset, the instant of its last end."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.value = 0
        self.value_at_reset = 0
        self.ended_ns = -1

    def reset(self) -> None:
        self.value_at_reset, self.value = self.value, 0


class Timer:
    """State: whether its pulse is on, and whether one is still to come or to end."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_running = False


class Counters:
    """All counters and timers of a camera. `level(name, level, at_ns)`: a timer's pulse; `signal`: an end."""

    def __init__(
        self,
        features: FeatureValues,
        happenings: Happenings,
        signal: Signal,
        level: Callable[[str, bool, int], None],
    ) -> None:
        self._features = features
        self._happenings = happenings
        self._signal = signal
        self._level = level
        self._sequence = count()
        self._to_come: list[tuple[int, int, Timer, bool]] = []
        self.counters = {name: Counter(name) for name in self._entries("CounterSelector")}
        self.timers = {name: Timer(name) for name in self._entries("TimerSelector")}

    def _entries(self, selector: str) -> list[str]:
        if selector not in self._features:
            return []
        return list(self._features.declared[selector].entries)

    def power_up(self) -> None:
        for counter in self.counters.values():
            counter.value = counter.value_at_reset = 0
        for timer in self.timers.values():
            timer.is_running = False
        self._to_come.clear()

    def value(self, name: str) -> int:
        return self.counters[name].value

    def value_at_reset(self, name: str) -> int:
        return self.counters[name].value_at_reset

    def reset(self, name: str) -> None:
        """CounterReset."""
        self.counters[name].reset()

    def hear(self, source: str, at_ns: int, edge: Edge | None) -> None:
        """A signal, to whoever has it as its source."""
        for timer in self.timers.values():
            if not timer.is_running and self._is_of(timer.name, "Timer", "Trigger", source, edge):
                self._start(timer, at_ns)
        for counter in self.counters.values():
            if self._is_of(counter.name, "Counter", "Event", source, edge):
                self._count(counter, at_ns)
            if self._is_of(counter.name, "Counter", "Reset", source, edge):
                counter.reset()

    def next_wakeup_ns(self) -> int | None:
        return self._to_come[0][0] if self._to_come else None

    def tick(self, now_ns: int) -> None:
        while self._to_come and self._to_come[0][0] <= now_ns:
            at_ns, _, timer, is_on = heappop(self._to_come)
            self._level(f"{timer.name}Active", is_on, at_ns)
            self._happenings.tell(Happening(f"{timer.name}{'Start' if is_on else 'End'}"), at_ns)
            if not is_on:
                timer.is_running = False
                self._signal(f"{timer.name}End", at_ns, None)

    def _is_of(self, name: str, kind: str, purpose: str, source: str, edge: Edge | None) -> bool:
        """Whether this signal is the one that the counter or timer has chosen for a purpose."""
        features, selected = self._features, {f"{kind}Selector": name}
        if features.get(f"{kind}{purpose}Source", **selected) != source:
            return False
        wanted = features.get_or(f"{kind}{purpose}Activation", Edge.RISING.value, **selected)
        return counts(edge, wanted)

    def _start(self, timer: Timer, at_ns: int) -> None:
        timer.is_running = True
        delay_us, duration_us = (
            self._features.get(f"Timer{what}", TimerSelector=timer.name) for what in ("Delay", "Duration")
        )
        on_ns = at_ns + round(delay_us * 1000)
        heappush(self._to_come, (on_ns, next(self._sequence), timer, True))
        heappush(self._to_come, (on_ns + round(duration_us * 1000), next(self._sequence), timer, False))

    def _count(self, counter: Counter, at_ns: int) -> None:
        duration = self._features.get_or("CounterDuration", 0, CounterSelector=counter.name)
        if counter.value >= (duration or MAX_COUNT):  # above: CounterDuration has become less
            if duration:
                return
            counter.value = -1
        counter.value += 1
        if (
            counter.value == duration and at_ns > counter.ended_ns
        ):  # two that feed each other end once an instant
            counter.ended_ns = at_ns
            self._happenings.tell(Happening(f"{counter.name}End"), at_ns)
            self._signal(f"{counter.name}End", at_ns, None)
