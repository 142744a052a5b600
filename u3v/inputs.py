"""Where the outside world reaches the camera: one place for every signal that can trigger something.

A signal has the name of one of TriggerSource's entries ("Software", "Line1", "Action1") and, where it is
electrical, an edge. The features say what becomes of it: with TriggerSource = Line1 and TriggerActivation =
FallingEdge, a falling edge of Line1 triggers, and nothing else does. What passes goes to the acquisition, which
decides whether the camera is ready for it. A line's edges are also happenings, whether they trigger or not.
"""

from collections.abc import Callable
from enum import Enum

from u3v.device import FeatureValues
from u3v.family import Family
from u3v.happenings import Happening, Happenings

SOFTWARE = "Software"


class Edge(Enum):
    RISING = "RisingEdge"
    FALLING = "FallingEdge"


class Inputs:
    """`trigger(name, at_ns)`: the acquisition's one entry. `features`: the camera's, asked at every signal."""

    def __init__(
        self,
        family: Family,
        features: FeatureValues,
        happenings: Happenings,
        trigger: Callable[[str, int], None],
    ) -> None:
        self._family = family
        self._features = features
        self._happenings = happenings
        self.trigger = trigger
        """What becomes of a trigger that passes; whoever stands in between puts something else here."""

    def software_trigger(self, now_ns: int) -> None:
        """TriggerSoftware: for the one trigger that TriggerSelector selects."""
        self._give(self._features.get("TriggerSelector"), SOFTWARE, None, now_ns)

    def line_edge(self, line: str, edge: Edge, now_ns: int) -> None:
        """The level of a line ("Line1") has changed."""
        rising = edge is Edge.RISING
        self._happenings.tell(Happening.LINE_RISING_EDGE if rising else Happening.LINE_FALLING_EDGE, now_ns)
        self.signal(line, now_ns, edge)

    def signal(self, source: str, now_ns: int, edge: Edge | None = None) -> None:
        """Anything that a TriggerSource may name: a line's edge, an action, a counter's end, an encoder's step."""
        for entry in self._family.triggers.values():
            self._give(entry, source, edge, now_ns)

    def _give(self, entry: str, source: str, edge: Edge | None, now_ns: int) -> None:
        chosen = self._features.get("TriggerSource", TriggerSelector=entry)
        trigger = self._family.trigger_of(entry)
        if trigger is None or chosen not in (source, self._family.every_source or source):
            return
        counts = self._features.get_or("TriggerActivation", Edge.RISING.value, TriggerSelector=entry)
        if edge is None or counts in (edge.value, "AnyEdge"):
            self.trigger(trigger, now_ns)
