"""The sequencer: settings of several frames, and what makes the camera go on from one set of them to the next.

A set holds the values of some features, and for each of its paths the signal that leads on and the set that follows.
While SequencerMode is On, a set's values are the camera's; a signal of a path loads the next set, which counts from
the next exposure on. State: the sets that were saved, and which one is active. Always true: what a host reads in the
features is what the active set has put there, for a set is loaded by writing registers and nothing else.
"""

from collections.abc import Sequence

from u3v.device import Device
from u3v.edges import Edge, counts
from u3v.feature_set import FeatureSet, Saved

PATHS, SOURCE, ACTIVATION, NEXT = (
    "SequencerPathSelector",
    "SequencerTriggerSource",
    "SequencerTriggerActivation",
    "SequencerSetNext",
)


class Sequencer:
    """`sequenced`: the features that a set holds, beside its paths."""

    def __init__(self, camera: Device, features: FeatureSet, sequenced: Sequence[str]) -> None:
        self._camera = camera
        self._features = features
        self._names = (*sequenced, SOURCE, ACTIVATION, NEXT) if sequenced else ()
        self._paths = range(len(features.values(NEXT)))
        self._sets: dict[int, Saved] = {}
        self.active = 0

    def power_up(self) -> None:
        """No set is saved any more."""
        self._sets.clear()
        self.active = 0

    def save(self) -> None:
        """SequencerSetSave: the camera's settings become the selected set."""
        self._sets[self._selected()] = self._features.save(self._names)

    def load(self) -> None:
        """SequencerSetLoad: the selected set becomes the camera's settings."""
        self._load(self._selected())

    def switch(self) -> None:
        """SequencerMode was written: with On, the first set is loaded."""
        if self._features.get("SequencerMode") == "On":
            self.active = int(self._features.get("SequencerSetStart"))
            self._load(self.active)

    def hear(self, source: str, at_ns: int, edge: Edge | None) -> None:
        """A signal: the first path that it leads along is taken."""
        features = self._features
        if not self._names or features.get("SequencerMode") != "On":
            return
        for path in self._paths:
            chosen = {PATHS: path}
            is_meant = features.get(SOURCE, **chosen) == source
            if is_meant and counts(edge, features.get(ACTIVATION, **chosen)):
                self.active = int(features.get(NEXT, **chosen))
                self._load(self.active)
                return

    def _load(self, number: int) -> None:
        """A set that was never saved changes nothing; nor does one that does not fit what else is set now, such as a
        region that binning has made too large."""
        self._features.put(self._sets.get(number, ()))
        self._camera.lines.look(self._camera.now_ns)

    def _selected(self) -> int:
        return int(self._features.get("SequencerSetSelector"))
