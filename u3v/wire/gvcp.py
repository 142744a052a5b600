"""GVCP, GigE Vision's control protocol: commands and acknowledges as bytes, both directions. Big-endian throughout.

Names and numbers are those of Wireshark's GVCP dissector, which the standard's association contributed.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

from u3v.errors import Malformed

PORT = 3956
KEY = 0x42
ACK_REQUIRED = 0x01
EXTENDED_IDS = 0x10
"""On PACKETRESEND, EVENT and EVENTDATA: block ids have 64 bits. On DISCOVERY: the answer may be a broadcast."""
SCHEDULED = 0x80
"""On ACTION: a time follows."""
OVERFLOW, ACTION_LATE = 0x8015, 0x8016
"""Statuses of scheduled actions, for hosts that know them (GVCP_Configuration)."""
MAX_PAYLOAD = 540
MAX_MEMORY = 536
"""Bytes that READMEM and WRITEMEM carry at most: a command fits a datagram of 576 bytes."""
HEADER = struct.Struct(">BBHHH")
_ACK = struct.Struct(">HHHH")
_TWO = struct.Struct(">II")


class Code(IntEnum):
    """Commands. An acknowledge has the number of its command plus 1."""

    DISCOVERY = 0x0002
    FORCEIP = 0x0004
    PACKETRESEND = 0x0040
    READREG = 0x0080
    WRITEREG = 0x0082
    READMEM = 0x0084
    WRITEMEM = 0x0086
    PENDING = 0x0088
    EVENT = 0x00C0
    EVENTDATA = 0x00C2
    ACTION = 0x0100


@dataclass(frozen=True, slots=True)
class Command:
    """`code`: one of `Code`, or a number that no standard knows."""

    flags: int
    code: int
    request_id: int
    payload: bytes

    @property
    def wants_ack(self) -> bool:
        return bool(self.flags & ACK_REQUIRED)

    def pack(self) -> bytes:
        return HEADER.pack(KEY, self.flags, self.code, len(self.payload), self.request_id) + self.payload


def parse_command(datagram: bytes) -> Command:
    """Raises Malformed where it is no command: nobody answers those."""
    if len(datagram) < HEADER.size:
        raise Malformed(f"{len(datagram)} bytes are no GVCP command")
    key, flags, code, length, request_id = HEADER.unpack_from(datagram)
    if (
        key != KEY or length != len(datagram) - HEADER.size or request_id == 0 or code & 1
    ):  # odd: acknowledges
        raise Malformed("not a GVCP command")
    return Command(flags, code, request_id, datagram[HEADER.size :])


@dataclass(frozen=True, slots=True)
class Ack:
    """`code`: that of the command it answers. An acknowledge of a refused command carries no payload."""

    status: int
    code: int
    request_id: int
    payload: bytes = b""

    def pack(self) -> bytes:
        return _ACK.pack(self.status, self.code + 1, len(self.payload), self.request_id) + self.payload


def parse_ack(datagram: bytes) -> Ack:
    """Raises Malformed."""
    if len(datagram) < _ACK.size:
        raise Malformed(f"{len(datagram)} bytes are no GVCP acknowledge")
    status, code, length, request_id = _ACK.unpack_from(datagram)
    if length != len(datagram) - _ACK.size or not code & 1:
        raise Malformed("not a GVCP acknowledge")
    return Ack(status, code - 1, request_id, datagram[_ACK.size :])


def addresses(payload: bytes) -> list[int]:
    """Of READREG. Raises Malformed."""
    if not payload or len(payload) % 4:
        raise Malformed("READREG takes addresses of 4 bytes each")
    return [address for (address,) in struct.iter_unpack(">I", payload)]


def writes(payload: bytes) -> list[tuple[int, bytes]]:
    """(address, 4 bytes of memory) of WRITEREG. Raises Malformed."""
    if not payload or len(payload) % 8:
        raise Malformed("WRITEREG takes pairs of address and value")
    return [(address, value) for address, value in struct.iter_unpack(">I4s", payload)]


def memory_read(payload: bytes) -> tuple[int, int]:
    """Address and count of READMEM. Raises Malformed."""
    if len(payload) != 8:
        raise Malformed("READMEM takes an address and a count")
    address, count = _TWO.unpack(payload)
    return address, count & 0xFFFF


def memory_write(payload: bytes) -> tuple[int, bytes]:
    """Address and data of WRITEMEM. Raises Malformed."""
    if len(payload) < 8:
        raise Malformed("WRITEMEM takes an address and data")
    return int.from_bytes(payload[:4], "big"), payload[4:]


@dataclass(frozen=True, slots=True)
class Resend:
    """PACKETRESEND: packets `first` .. `last`, both included, of one block."""

    channel: int
    block_id: int
    first: int
    last: int


def parse_resend(command: Command) -> Resend:
    """Raises Malformed."""
    try:
        if command.flags & EXTENDED_IDS:
            channel, _, first, last, block_id = struct.unpack(">HHIIQ", command.payload)
        else:
            channel, block_id, first, last = struct.unpack(">HHII", command.payload)
            first, last = first & 0xFFFFFF, last & 0xFFFFFF
    except struct.error:
        raise Malformed("PACKETRESEND of a wrong length") from None
    return Resend(channel, block_id, first, last)


@dataclass(frozen=True, slots=True)
class Action:
    """ACTION: what is to be done by every device with this key in one of these groups.

    `time`: when, in ticks of the device's clock; 0: now.
    """

    device_key: int
    group_key: int
    group_mask: int
    time: int = 0


def parse_action(command: Command) -> Action:
    """Raises Malformed."""
    layout = ">IIIQ" if command.flags & SCHEDULED else ">III"
    if len(command.payload) != struct.calcsize(layout):
        raise Malformed("ACTION of a wrong length")
    return Action(*struct.unpack(layout, command.payload))


def event(
    event_id: int,
    block_id: int,
    timestamp: int,
    request_id: int,
    *,
    extended: bool,
    ack: bool,
    data: bytes = b"",
) -> bytes:
    """An EVENT command of one item, from a camera to its host; EVENTDATA if `data` follows. `timestamp` in ticks."""
    if extended:
        item = struct.pack(">HHHHQQ", 24 + len(data), event_id, 0, 0, block_id, timestamp)
    else:
        item = struct.pack(">HHHHQ", 0, event_id, 0, block_id & 0xFFFF, timestamp)
    flags = (ACK_REQUIRED if ack else 0) | (EXTENDED_IDS if extended else 0)
    return Command(flags, Code.EVENTDATA if data else Code.EVENT, request_id, item + data).pack()
