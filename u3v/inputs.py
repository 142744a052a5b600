"""Where the outside world reaches the camera: one place for volts on lines and every signal that can trigger something.

A signal has the name of one of TriggerSource's entries ("Software", "Line1", "Action1", "Counter1End") and, where it
is electrical, an edge. The features say what becomes of it: with TriggerSource = Line1 and TriggerActivation =
FallingEdge, a falling edge of Line1 triggers, and nothing else does. What passes goes to the acquisition, which
decides whether the camera is ready for it. Counters and timers hear every signal; so what is lost here is lost to all.
"""

from collections.abc import Callable
from typing import Protocol

from u3v.device import FeatureValues
from u3v.edges import LEVELS, OPPOSITE, Edge, counts, edge_of
from u3v.family import FRAME, TRIGGER_WIDTH, Family
from u3v.lines import Lines

SOFTWARE = "Software"


class Triggered(Protocol):
    """The acquisition, as far as triggers go."""

    def trigger(self, trigger: str, now_ns: int, *, has_width: bool = False) -> None: ...

    def release(self, trigger: str, now_ns: int) -> None:
        """The end of a trigger signal that began an exposure of its own width."""


class Inputs:
    """`features`: the camera's, asked at every signal. `hear`: the counters and timers."""

    def __init__(
        self,
        family: Family,
        features: FeatureValues,
        lines: Lines,
        acquisition: Triggered,
        hear: Callable[[str, int, Edge | None], None],
    ) -> None:
        self.lines = lines
        self._family = family
        self._features = features
        self.trigger: Callable[..., None] = acquisition.trigger
        """What becomes of a trigger that passes; whoever stands in between puts something else here."""
        self._acquisition = acquisition
        self._hear = hear

    def software_trigger(self, now_ns: int) -> None:
        """TriggerSoftware: for the one trigger that TriggerSelector selects."""
        self._hear("SoftwareTrigger", now_ns, None)
        self._give(self._features.get("TriggerSelector"), SOFTWARE, None, now_ns)

    def apply(self, line: str, volts: float | None, at_ns: int, now_ns: int) -> None:
        """Volts on a line ("Line1") from `at_ns` on; None: nothing is connected."""
        self.lines.apply(line, volts, at_ns, now_ns)

    def signal(self, source: str, now_ns: int, edge: Edge | None = None) -> None:
        """Anything that a TriggerSource may name: a line's edge, an action, a counter's end, an encoder's step."""
        self._hear(source, now_ns, edge)
        for entry in self._family.triggers.values():
            self._give(entry, source, edge, now_ns)

    def holds(self, trigger: str) -> bool:
        """Whether the trigger is one that a level gives, and its line has that level now."""
        selected = {"TriggerSelector": self._family.triggers[trigger]}
        wanted = LEVELS.get(self._features.get_or("TriggerActivation", "", **selected))
        line = self._features.get("TriggerSource", **selected)
        return wanted is not None and line in self.lines.all and self.lines.level(line) == wanted

    def _give(self, entry: str, source: str, edge: Edge | None, now_ns: int) -> None:
        selected = {"TriggerSelector": entry}
        chosen = self._features.get("TriggerSource", **selected)
        trigger = self._family.trigger_of(entry)
        if trigger is None or not self._is_meant(chosen, source):
            return
        activation = self._features.get_or("TriggerActivation", Edge.RISING.value, **selected)
        if (
            edge is not None
            and trigger == FRAME
            and self._features.get_or("ExposureMode", "") == TRIGGER_WIDTH
        ):
            begins = Edge(activation) if activation in _EDGES else edge_of(LEVELS.get(activation, True))
            if edge is begins:
                self.trigger(trigger, now_ns, has_width=True)
            elif edge is OPPOSITE[begins]:
                self._acquisition.release(trigger, now_ns)
        elif activation not in LEVELS and counts(edge, activation):
            self.trigger(trigger, now_ns)

    def _is_meant(self, chosen: str, source: str) -> bool:
        """Whether a signal is the chosen one; with "All", any that could be chosen."""
        if chosen == self._family.every_source:
            return source in self._features.declared["TriggerSource"].entries
        return chosen == source


_EDGES = {edge.value for edge in Edge}
