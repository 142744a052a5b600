"""What a family of cameras has: its features, its events and its words for what every camera does."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from u3v.event import TEST_EVENT_ID
from u3v.features import Feature
from u3v.model import Model
from u3v.thermal import ThermalLimits

if TYPE_CHECKING:
    from u3v.camera import Camera

FRAME, BURST = "FrameStart", "FrameBurstStart"
"""The triggers that the acquisition knows."""


def gain_in_db(camera: "Camera") -> float:
    """Gain of cameras whose Gain is in dB."""
    return float(camera.features.get("Gain"))


@dataclass(frozen=True)
class Family:
    """`features` declares all features of a model, in the order hosts show them.

    `events`: names of the events, with what they tell. `event_names`: the maker's names for what the core
    emits, where they differ. `triggers`: TriggerSelector's entries for the core's triggers; a camera has no
    others. `trigger_sources`: the entries of TriggerSource that a software trigger reaches. `user_sets`: the
    first is the factory's. `gain_db`: the gain in dB, whatever Gain's unit. `thermal`: what it does when it
    gets warm; None: nothing. `abort_after_readout`: AcquisitionAbort waits for the frame that is being read out.
    """

    features: Callable[[Model], list[Feature]]
    events: Mapping[str, str]
    event_names: Mapping[str, str]
    triggers: Mapping[str, str]
    user_sets: tuple[str, ...]
    trigger_sources: tuple[str, ...] = ("Software",)
    gain_db: Callable[["Camera"], float] = gain_in_db
    thermal: ThermalLimits | None = None
    abort_after_readout: bool = False
    event_ids: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        """Event ids of real cameras are not published: these are from the device-specific range (assumed)."""
        ids = {name: 0x9001 + index for index, name in enumerate(self.events)}
        object.__setattr__(self, "event_ids", ids | ({"Test": TEST_EVENT_ID} if "Test" in ids else {}))

    def event_name(self, happened: str) -> str | None:
        """The event for what has happened, if these cameras have one."""
        name = self.event_names.get(happened, happened)
        return name if name in self.events else None


def pick(features: Iterable[Feature], names: str, **changed: Mapping[str, Any]) -> list[Feature]:
    """The features of these names (blank-separated), in this order; `changed`: fields that differ, by feature.

    Raises KeyError for a name that is not among them.
    """
    known = {feature.name: feature for feature in features}
    return [replace(known[name], **changed.get(name, {})) for name in names.split()]
