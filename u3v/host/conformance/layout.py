"""A configuration descriptor taken apart for checks: leniently, so that one wrong field fails one check.

USB 3.2 clause 9.6; the device information descriptor 0x24/0x01 and the protocols of the interfaces after
USB3 Vision 1.0.
"""

from dataclasses import dataclass, field

INTERFACE, ENDPOINT, ASSOCIATION, DEVICE_INFO, COMPANION = 0x04, 0x05, 0x0B, 0x24, 0x30
CONTROL, EVENT, STREAM = 0, 1, 2
INFO_INDEXES = {
    "iDeviceGUID": 11,
    "iVendorName": 12,
    "iModelName": 13,
    "iFamilyName": 14,
    "iDeviceVersion": 15,
    "iManufacturerInfo": 16,
    "iSerialNumber": 17,
    "iUserDefinedName": 18,
}
"""Where the device information descriptor keeps its string indexes."""


@dataclass(slots=True)
class Endpoint:
    """`raw`: the descriptor; `companion`: the one of type 0x30 directly behind it, b"" where there is none."""

    raw: bytes
    companion: bytes = b""

    @property
    def address(self) -> int:
        return self.raw[2] if len(self.raw) > 2 else 0

    @property
    def is_in(self) -> bool:
        return bool(self.address & 0x80)

    @property
    def is_bulk(self) -> bool:
        return len(self.raw) > 3 and self.raw[3] & 3 == 2

    @property
    def max_packet(self) -> int:
        return int.from_bytes(self.raw[4:6], "little") & 0x7FF


@dataclass(slots=True)
class Interface:
    """`others` are (position, descriptor) of what is neither interface nor endpoint nor companion."""

    raw: bytes
    at: int
    endpoints: list[Endpoint] = field(default_factory=list)
    others: list[tuple[int, bytes]] = field(default_factory=list)

    @property
    def number(self) -> int:
        return self.raw[2]

    @property
    def alternate(self) -> int:
        return self.raw[3]

    @property
    def is_u3v(self) -> bool:
        return tuple(self.raw[5:7]) == (0xEF, 0x05)

    @property
    def protocol(self) -> int:
        return self.raw[7]


@dataclass(slots=True)
class Layout:
    """`parts` are (position, descriptor) in order; `broken` says where walking ended early, "" if it did not."""

    raw: bytes
    parts: list[tuple[int, bytes]]
    broken: str
    interfaces: list[Interface]
    associations: list[tuple[int, bytes]]

    @property
    def value(self) -> int:
        """bConfigurationValue."""
        return self.raw[5] if len(self.raw) > 5 else 0

    @property
    def endpoints(self) -> list[Endpoint]:
        return [endpoint for interface in self.interfaces for endpoint in interface.endpoints]

    @property
    def bulk(self) -> list[Endpoint]:
        """Endpoints of the USB3 Vision interfaces."""
        return [
            e for interface in self.interfaces if interface.is_u3v for e in interface.endpoints if e.is_bulk
        ]

    def of(self, protocol: int) -> list[Interface]:
        """The USB3 Vision interfaces (alternate setting 0) of a protocol."""
        return [i for i in self.interfaces if i.is_u3v and i.protocol == protocol and not i.alternate]

    def pipe(self, protocol: int, inward: bool = True) -> Endpoint | None:
        """The first bulk endpoint of a channel in a direction."""
        found = [e for i in self.of(protocol) for e in i.endpoints if e.is_bulk and e.is_in == inward]
        return found[0] if found else None

    @property
    def info(self) -> bytes:
        """The device information descriptor, b"" where there is none of full length."""
        found = [raw for i in self.of(CONTROL) for _, raw in i.others if raw[1] == DEVICE_INFO]
        return found[0] if found and len(found[0]) >= 20 else b""


def walk(raw: bytes) -> tuple[list[tuple[int, bytes]], str]:
    """The descriptors with their positions, and what stopped the walk ("": nothing did)."""
    parts: list[tuple[int, bytes]] = []
    at = 0
    while at < len(raw):
        length = raw[at]
        if length < 2 or at + length > len(raw):
            return parts, f"the descriptor at byte {at} says {length} bytes, {len(raw) - at} are left"
        parts.append((at, raw[at : at + length]))
        at += length
    return parts, ""


def parse(raw: bytes) -> Layout:
    parts, broken = walk(raw)
    interfaces: list[Interface] = []
    associations = []
    behind: Endpoint | None = None
    for at, part in parts:
        kind = part[1]
        if kind == INTERFACE and len(part) >= 9:
            interfaces.append(Interface(part, at))
        elif kind == ENDPOINT and interfaces:
            behind = Endpoint(part)
            interfaces[-1].endpoints.append(behind)
            continue
        elif kind == COMPANION and behind is not None:
            behind.companion = part
        elif kind == ASSOCIATION:
            associations.append((at, part))
        elif interfaces:
            interfaces[-1].others.append((at, part))
        behind = None
    return Layout(raw, parts, broken, interfaces, associations)
