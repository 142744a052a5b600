"""Bootstrap registers as a host reads them, and what a discovery acknowledge says.

Addresses are typed in a second time here, from Wireshark's GVCP dissector: the device's own table is none of a host's.
"""

import ipaddress
from dataclasses import dataclass

from u3v.errors import Malformed

MANUFACTURER, MODEL, SERIAL = (0x0048, 32), (0x0068, 32), (0x00D8, 16)
FIRST_URL = (0x0200, 512)
CCP, HEARTBEAT_MS = 0x0A00, 0x0938
SCP, SCPS, SCDA = 0x0D00, 0x0D04, 0x0D18
CONTROL, FREE = 2, 0
FIRE, DO_NOT_FRAGMENT = 1 << 31, 1 << 30
DISCOVERY_BYTES = 0xF8


@dataclass(frozen=True, slots=True)
class Discovered:
    """A camera that has answered. `ip`: where it says it is. `version`: (major, minor) of GigE Vision."""

    ip: str
    mac: str
    manufacturer: str
    model: str
    serial: str
    user_name: str
    version: tuple[int, int]


def text(raw: bytes) -> str:
    """A NUL-padded string register."""
    return raw.partition(b"\0")[0].decode("utf-8", "replace")


def parse_discovery(raw: bytes) -> Discovered:
    """Raises Malformed."""
    if len(raw) != DISCOVERY_BYTES:
        raise Malformed(f"{len(raw)} bytes are no discovery acknowledge of {DISCOVERY_BYTES}")
    return Discovered(
        ip=str(ipaddress.IPv4Address(raw[36:40])),
        mac=raw[10:16].hex(":"),
        manufacturer=text(raw[72:104]),
        model=text(raw[104:136]),
        serial=text(raw[216:232]),
        user_name=text(raw[232:248]),
        version=(int.from_bytes(raw[0:2], "big"), int.from_bytes(raw[2:4], "big")),
    )


@dataclass(frozen=True, slots=True)
class Url:
    """Where in the camera its XML is."""

    name: str
    address: int
    size: int

    @property
    def is_zipped(self) -> bool:
        return self.name.lower().endswith(".zip")


def parse_url(said: str) -> Url:
    """`Local:NAME;ADDRESS;LENGTH`, both in hex. Raises Malformed."""
    kind, _, rest = said.partition(":")
    words = rest.removeprefix("///").partition("?")[0].split(";")
    try:
        name, address, size = words[0], int(words[1], 16), int(words[2], 16)
    except (IndexError, ValueError):
        raise Malformed(f"the camera's XML is at {said!r}, which says no address and length") from None
    if kind.lower() != "local":
        raise Malformed(f"the camera's XML is at {said!r}, not in the camera")
    return Url(name, address, size)
