"""What the features of a camera have to know of the wire that it is served on. Data only.

The camera itself never names a wire: whoever composes both passes these facts. Features that differ by wire
(DeviceTLType, the identity strings, which many wires keep in bootstrap registers) are declared from them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Link:
    """A wire at one speed: raw bits per second, and the payload bytes per second that a camera gets through."""

    bits_per_s: int
    payload_bytes_per_s: float


@dataclass(frozen=True, slots=True, eq=False)
class WireTraits:
    """`tl_type`: DeviceTLType's entry and value (SFNC). `name_space`: StandardNameSpace of the XML.
    `features_address`: where the feature registers begin. `identity`: (address, size in bytes) of the registers
    that hold the identity features, by feature name; what is missing there is a register of the camera's own.
    """

    tl_type: tuple[str, int]
    name_space: str
    features_address: int
    identity: Mapping[str, tuple[int, int]] = field(default_factory=dict)
