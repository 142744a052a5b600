"""What the features of a camera have to know of the wire that it is served on. Data only.

The camera itself never names a wire: whoever composes both passes these facts. Features that differ by wire
(DeviceTLType, the identity strings, which many wires keep in bootstrap registers) are declared from them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Link:
    """A wire at one speed: raw bits per second, and the payload bytes per second that a camera gets through."""

    bits_per_s: int
    payload_bytes_per_s: float


@dataclass(frozen=True, slots=True)
class EventLayout:
    """Where an event's node finds its value in what hosts hand to GenApi: (offset, bytes) of the event's id, and of
    each of its fields by name. `older_names`: nodes are called ExposureEndEventFrameID, not EventExposureEndFrameID,
    and there is none for the id."""

    event_id: tuple[int, int]
    fields: Mapping[str, tuple[int, int]]
    big_endian: bool = False
    older_names: bool = False

    def nodes(self, event: str, fields: Sequence[str]) -> dict[str, tuple[int, int]]:
        """Names of an event's nodes, and where their values are."""
        if self.older_names:
            return {f"{event}Event{field}": self.fields[field] for field in fields}
        return {f"Event{event}": self.event_id} | {
            f"Event{event}{field}": self.fields[field] for field in fields
        }


@dataclass(frozen=True, slots=True)
class WireNode:
    """A GenICam node on a register of the wire's own, which the camera knows nothing of.

    `kind`: "Integer", "Boolean", "Enumeration", "Command" or "String". `bits`: (least, most significant) bit of the
    value in its register, counted from the register's least significant bit; None: all of it. `entries` of an
    enumeration; `limits`: least, most, step of an integer; `command`: what is written to run a command. `signed`: an
    integer below 0 is one.
    """

    name: str
    tooltip: str
    address: int
    kind: str = "Integer"
    length: int = 4
    access: str = "RO"
    bits: tuple[int, int] | None = None
    entries: Mapping[str, int] = field(default_factory=dict)
    limits: tuple[int, int, int] | None = None
    unit: str = ""
    representation: str = "PureNumber"
    visibility: str = "Expert"
    command: int = 1
    signed: bool = False


U3V_EVENTS = EventLayout(event_id=(2, 2), fields={"Timestamp": (4, 8), "FrameID": (12, 8)})
"""GenApi's U3V event adapter strips the 12-byte header and addresses the SCD from 0 on: reserved u16, id u16,
timestamp u64, then the data (seen with the reference GenApi 3.5)."""


@dataclass(frozen=True, slots=True, eq=False)
class WireTraits:
    """`tl_type`: DeviceTLType's entry and value (SFNC). `name_space`: StandardNameSpace of the XML.
    `features_address`: where the feature registers begin. `identity`: (address, size in bytes) of the registers
    that hold the identity features, by feature name; what is missing there is a register of the camera's own.
    `events`: how its events reach the XML's nodes. `chunk_marks`: struct's format of a chunk's id and length.
    `older_names`: makers who have named features on this wire since before SFNC 2 still do.
    `versions`: (major, minor) of the standards it follows, by their name in SFNC's Device...VersionMajor.
    """

    tl_type: tuple[str, int]
    name_space: str
    features_address: int
    identity: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    events: EventLayout = U3V_EVENTS
    chunk_marks: str = "<II"
    versions: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    older_names: bool = False
