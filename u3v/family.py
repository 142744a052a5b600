"""What a family of cameras has: its features, its events and its words for what every camera does."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from u3v.auto_brightness import AutoWords
from u3v.chunks import Chunk
from u3v.device import Device
from u3v.features import Feature
from u3v.files import DeviceFile
from u3v.happenings import Happening
from u3v.model import Model
from u3v.thermal import ThermalLimits
from u3v.wire_traits import WireTraits

FRAME, BURST = "FrameStart", "FrameBurstStart"
"""The triggers that the acquisition knows."""
TRIGGER_WIDTH = "TriggerWidth"
"""ExposureMode's entry for exposures as long as their trigger signal."""
TEST_EVENT_ID = 0x4FFF
"""The event that bootstrap registers and TestEventGenerate send (GenCP: namespace of the technology)."""


def gain_in_db(camera: Device) -> float:
    """Gain of cameras whose Gain is in dB."""
    return float(camera.features.get("Gain"))


@dataclass(frozen=True)
class Family:
    """`features` declares all features of a model, in the order hosts show them.

    `events`: names of the events, with what they tell. `event_names`: the maker's names for what happens, where
    they differ from SFNC's. `triggers`: TriggerSelector's entries for the core's triggers; a camera has no others.
    `every_source`: TriggerSource's entry for any signal at all. `user_sets`: the first is the factory's.
    `gain_db`: the gain in dB, whatever Gain's unit. `thermal`: what it does when it gets warm; None: nothing.
    `abort_after_readout`: AcquisitionAbort waits for the frame that is being read out. `chunks`: what may follow the
    pixels. `files`: what FileSelector offers. `sequenced`: the features that a sequencer set holds;
    none: there is no sequencer. `auto`: its words for what it sets by itself. `older_names`: those of events' nodes.
    """

    features: Callable[[Model, WireTraits], list[Feature]]
    events: Mapping[str, str]
    event_names: Mapping[Happening, str]
    triggers: Mapping[str, str]
    user_sets: tuple[str, ...]
    every_source: str = ""
    gain_db: Callable[[Device], float] = gain_in_db
    thermal: ThermalLimits | None = None
    abort_after_readout: bool = False
    chunks: Callable[[Model], Sequence[Chunk]] = lambda model: ()
    files: Callable[[Model], Sequence[DeviceFile]] = lambda model: ()
    sequenced: tuple[str, ...] = ()
    auto: AutoWords | None = None
    older_names: bool = False
    event_ids: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        """Event ids of real cameras are not published: these are from the device-specific range (assumed)."""
        ids = {name: 0x9001 + index for index, name in enumerate(self.events)}
        object.__setattr__(self, "event_ids", ids | ({"Test": TEST_EVENT_ID} if "Test" in ids else {}))

    def event_name(self, what: Happening) -> str | None:
        """The event for what has happened, if these cameras have one."""
        name = self.event_names.get(what, what.value)
        return name if name in self.events else None

    def trigger_of(self, entry: str) -> str | None:
        """The core's name of the trigger that TriggerSelector calls `entry`."""
        return next((trigger for trigger, name in self.triggers.items() if name == entry), None)


def pick(features: Iterable[Feature], names: str, **changed: Mapping[str, Any]) -> list[Feature]:
    """The features of these names (blank-separated), in this order; `changed`: fields that differ, by feature.

    Raises KeyError for a name that is not among them.
    """
    known = {feature.name: feature for feature in features}
    return [replace(known[name], **changed.get(name, {})) for name in names.split()]
