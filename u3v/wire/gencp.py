"""GenCP packets on the USB3 Vision control and event channels: bytes <-> frozen records.

A packet is a 12-byte header ("U3VC" or "U3VE") and its specific command data (SCD), little-endian
throughout (GenCP 1.1 clause 4; USB3 Vision 1.0 for prefix and flags). struct, not construct: this runs for
every command.
"""

import struct
from dataclasses import dataclass

from u3v.errors import GenCPError, Malformed, Status

PREFIX_CONTROL = 0x43563355  # "U3VC"
PREFIX_EVENT = 0x45563355  # "U3VE"

FLAG_REQUEST_ACK = 0x4000
FLAG_COMMAND_RESEND = 0x8000

READMEM_CMD, READMEM_ACK = 0x0800, 0x0801
WRITEMEM_CMD, WRITEMEM_ACK = 0x0802, 0x0803
PENDING_ACK = 0x0805
EVENT_CMD = 0x0C00

HEADER_BYTES = 12
READMEM_SCD_BYTES = 12
WRITEMEM_SCD_HEAD_BYTES = 8

_HEADER = struct.Struct("<IHHHH")
_READ = struct.Struct("<QHH")
_ADDRESS = struct.Struct("<Q")
_TWO = struct.Struct("<HH")
_EVENT = struct.Struct("<HHQ")


@dataclass(frozen=True, slots=True)
class Command:
    """A command as received: `scd` is the specific command data, `request_id` is echoed."""

    flags: int
    command_id: int
    request_id: int
    scd: memoryview

    @property
    def wants_ack(self) -> bool:
        return bool(self.flags & FLAG_REQUEST_ACK)

    @property
    def resend(self) -> bool:
        return bool(self.flags & FLAG_COMMAND_RESEND)


@dataclass(frozen=True, slots=True)
class ReadMem:
    """What a READMEM_CMD asks for: `count` bytes."""

    address: int
    count: int


@dataclass(frozen=True, slots=True)
class WriteMem:
    """What a WRITEMEM_CMD brings."""

    address: int
    data: memoryview


@dataclass(frozen=True, slots=True)
class Ack:
    """An acknowledge as the host sees it."""

    status: int
    command_id: int
    request_id: int
    scd: memoryview


@dataclass(frozen=True, slots=True)
class Event:
    """One event message; `data` follows id and timestamp (USB3 Vision event channel)."""

    request_id: int
    event_id: int
    timestamp: int
    data: bytes = b""


def parse_command(packet: memoryview) -> Command:
    """Raises Malformed where there is no header to answer to: too short, or not "U3VC"."""
    if len(packet) < HEADER_BYTES:
        raise Malformed(f"{len(packet)} bytes are no GenCP header of {HEADER_BYTES}")
    prefix, flags, command_id, _length, request_id = _HEADER.unpack_from(packet)
    if prefix != PREFIX_CONTROL:
        raise Malformed(f"prefix {prefix:#010x} is not 'U3VC'")
    return Command(flags, command_id, request_id, packet[HEADER_BYTES:])


def check_header(packet: memoryview) -> None:
    """Raises GenCPError(INVALID_HEADER) for reserved flags, or an SCD length that is not what arrived."""
    _, flags, _, announced, _ = _HEADER.unpack_from(packet)
    if flags & ~(FLAG_REQUEST_ACK | FLAG_COMMAND_RESEND):
        raise GenCPError(Status.INVALID_HEADER, f"flags {flags:#06x}: reserved bits are set")
    arrived = len(packet) - HEADER_BYTES
    if announced != arrived:
        raise GenCPError(Status.INVALID_HEADER, f"SCD length {announced} announced, {arrived} bytes arrived")


def parse_readmem(scd: memoryview) -> ReadMem:
    """Raises GenCPError: INVALID_HEADER for a wrong SCD length, INVALID_PARAMETER for a reserved field in use."""
    if len(scd) != READMEM_SCD_BYTES:
        raise GenCPError(Status.INVALID_HEADER, f"READMEM_CMD with {len(scd)} bytes of SCD, not 12")
    address, reserved, count = _READ.unpack(scd)
    if reserved:
        raise GenCPError(Status.INVALID_PARAMETER, f"READMEM_CMD: reserved field {reserved:#06x}")
    return ReadMem(address, count)


def parse_writemem(scd: memoryview) -> WriteMem:
    """Raises GenCPError(INVALID_HEADER) where there is no data after the address."""
    if len(scd) <= WRITEMEM_SCD_HEAD_BYTES:
        raise GenCPError(Status.INVALID_HEADER, f"WRITEMEM_CMD with {len(scd)} bytes of SCD, not 9 or more")
    return WriteMem(_ADDRESS.unpack_from(scd)[0], scd[WRITEMEM_SCD_HEAD_BYTES:])


def pack_ack(status: int, ack_id: int, request_id: int, scd: bytes = b"") -> bytes:
    return _HEADER.pack(PREFIX_CONTROL, status, ack_id, len(scd), request_id) + scd


def pack_write_ack(request_id: int, written: int) -> bytes:
    return pack_ack(Status.SUCCESS, WRITEMEM_ACK, request_id, _TWO.pack(0, written))


def pack_pending_ack(request_id: int, timeout_ms: int) -> bytes:
    return pack_ack(Status.SUCCESS, PENDING_ACK, request_id, _TWO.pack(0, timeout_ms))


def pack_readmem(request_id: int, address: int, count: int) -> bytes:
    return _HEADER.pack(
        PREFIX_CONTROL, FLAG_REQUEST_ACK, READMEM_CMD, READMEM_SCD_BYTES, request_id
    ) + _READ.pack(address, 0, count)


def pack_writemem(request_id: int, address: int, data: bytes) -> bytes:
    length = WRITEMEM_SCD_HEAD_BYTES + len(data)
    header = _HEADER.pack(PREFIX_CONTROL, FLAG_REQUEST_ACK, WRITEMEM_CMD, length, request_id)
    return header + _ADDRESS.pack(address) + data


def parse_ack(packet: memoryview) -> Ack:
    """Raises Malformed for anything that is not one whole acknowledge."""
    if len(packet) < HEADER_BYTES:
        raise Malformed(f"{len(packet)} bytes are no GenCP header of {HEADER_BYTES}")
    prefix, status, ack_id, length, request_id = _HEADER.unpack_from(packet)
    if prefix != PREFIX_CONTROL:
        raise Malformed(f"prefix {prefix:#010x} is not 'U3VC'")
    if length != len(packet) - HEADER_BYTES:
        raise Malformed(f"SCD length {length} announced, {len(packet) - HEADER_BYTES} bytes arrived")
    return Ack(status, ack_id, request_id, packet[HEADER_BYTES:])


def parse_write_ack(scd: memoryview) -> int:
    """Bytes written. Raises Malformed."""
    if len(scd) != _TWO.size:
        raise Malformed(f"WRITEMEM_ACK with {len(scd)} bytes of SCD, not 4")
    return int(_TWO.unpack(scd)[1])


def parse_pending_ack(scd: memoryview) -> int:
    """The announced wait in milliseconds. Raises Malformed."""
    if len(scd) != _TWO.size:
        raise Malformed(f"PENDING_ACK with {len(scd)} bytes of SCD, not 4")
    return int(_TWO.unpack(scd)[1])


def pack_event(event: Event) -> bytes:
    """A single-event message: the size field stays 0 (reserved), as GenApi's event adapter expects."""
    scd = _EVENT.pack(0, event.event_id, event.timestamp) + event.data
    return _HEADER.pack(PREFIX_EVENT, 0, EVENT_CMD, len(scd), event.request_id) + scd
