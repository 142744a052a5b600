"""A camera's digital I/O put together: lines, the signals inside, counters and timers, and the one entry for inputs."""

from collections.abc import Callable
from typing import Protocol

from u3v.counters import Counters
from u3v.edges import Edge
from u3v.family import BURST, Family
from u3v.feature_set import FeatureSet
from u3v.happenings import Happenings
from u3v.inputs import Inputs, Triggered
from u3v.lines import Lines
from u3v.model import Model
from u3v.signals import Signals

_SOURCES = (
    "TriggerSource",
    "LineSource",
    "CounterEventSource",
    "CounterResetSource",
    "TimerTriggerSource",
    "SequencerTriggerSource",
)


class Engine(Triggered, Protocol):
    """The acquisition, as what triggers it sees it."""

    def waits_for(self, trigger: str, now_ns: int) -> bool: ...


class DigitalIO:
    """`acquisition`: what triggers go to. `undefined`: see `Lines`."""

    def __init__(
        self,
        model: Model,
        family: Family,
        features: FeatureSet,
        happenings: Happenings,
        acquisition: Engine,
        undefined: str | int,
    ) -> None:
        has_bursts = BURST in family.triggers
        waits: Callable[[int], bool] = lambda at_ns: has_bursts and acquisition.waits_for(BURST, at_ns)  # noqa: E731
        self.signals = Signals(family, happenings, self._show, self._hand_on, waits, self._is_wanted)
        self._family = family
        self._features = features
        self._chosen: tuple[int, frozenset[str]] = (-1, frozenset())
        self.lines = Lines(model.lines, features, happenings, self.signals.line, self.signals.of, undefined)
        self.counters = Counters(features, happenings, self.signals.pulse, self.signals.level)
        self.listeners: list[Callable[[str, int, Edge | None], None]] = [self.counters.hear]
        """Who hears of every signal."""
        self.inputs = Inputs(family, features, self.lines, acquisition, self._hear)

    def power_up(self, now_ns: int) -> None:
        """Counters at 0, signals low; what is broken stays broken."""
        self.counters.power_up()
        self.signals.power_up(now_ns)
        self.lines.look(now_ns)

    def _is_wanted(self, name: str) -> bool:
        """Whether any source feature names this signal. Looked up once for each change of the features."""
        version = self._features.version
        if self._chosen[0] != version:
            chosen = {str(value) for source in _SOURCES for value in self._features.values(source)}
            if self._family.every_source in chosen:
                chosen |= set(getattr(self._features.declared["TriggerSource"], "entries", ()))
            self._chosen = version, frozenset(chosen)
        return name in self._chosen[1]

    def _hear(self, source: str, at_ns: int, edge: Edge | None) -> None:
        for listener in self.listeners:
            listener(source, at_ns, edge)

    def _show(self, name: str, at_ns: int) -> None:
        self.lines.drive(name, at_ns)

    def _hand_on(self, name: str, at_ns: int, edge: Edge | None) -> None:
        self.inputs.signal(name, at_ns, edge)
