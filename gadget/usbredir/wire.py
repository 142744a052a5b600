"""usbredir messages as bytes (usb-redirection-protocol 0.7, and the header usbredirproto.h that goes with it).

All numbers are little-endian. A message is a header (type, length, id) and that many bytes; the id has 64 bits
once both sides have said so in their hello. Here is the side that has the device ("usb-host"): what it receives is
parsed into frozen records, what it sends is packed. Lengths are checked against the type before a byte of the body
is awaited, so nobody can announce more than there is room for.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

from u3v.errors import Malformed


class Kind(IntEnum):
    """Message types."""

    HELLO = 0
    DEVICE_CONNECT = 1
    DEVICE_DISCONNECT = 2
    RESET = 3
    INTERFACE_INFO = 4
    EP_INFO = 5
    SET_CONFIGURATION = 6
    GET_CONFIGURATION = 7
    CONFIGURATION_STATUS = 8
    SET_ALT_SETTING = 9
    GET_ALT_SETTING = 10
    ALT_SETTING_STATUS = 11
    START_ISO_STREAM = 12
    STOP_ISO_STREAM = 13
    ISO_STREAM_STATUS = 14
    START_INTERRUPT_RECEIVING = 15
    STOP_INTERRUPT_RECEIVING = 16
    INTERRUPT_RECEIVING_STATUS = 17
    ALLOC_BULK_STREAMS = 18
    FREE_BULK_STREAMS = 19
    BULK_STREAMS_STATUS = 20
    CANCEL_DATA_PACKET = 21
    FILTER_REJECT = 22
    FILTER_FILTER = 23
    DEVICE_DISCONNECT_ACK = 24
    START_BULK_RECEIVING = 25
    STOP_BULK_RECEIVING = 26
    BULK_RECEIVING_STATUS = 27
    CONTROL_PACKET = 100
    BULK_PACKET = 101
    ISO_PACKET = 102
    INTERRUPT_PACKET = 103
    BUFFERED_BULK_PACKET = 104


class Cap(IntEnum):
    """Capabilities: numbers of bits in the hello. One is in force where both sides have it."""

    BULK_STREAMS = 0
    CONNECT_DEVICE_VERSION = 1
    FILTER = 2
    DEVICE_DISCONNECT_ACK = 3
    EP_INFO_MAX_PACKET_SIZE = 4
    IDS_64_BITS = 5
    BULK_LENGTH_32_BITS = 6
    BULK_RECEIVING = 7


class Status(IntEnum):
    SUCCESS = 0
    CANCELLED = 1
    INVAL = 2
    IOERROR = 3
    STALL = 4
    TIMEOUT = 5
    BABBLE = 6


OUR_CAPS = frozenset(Cap) - {Cap.BULK_STREAMS, Cap.BULK_RECEIVING}
"""A camera has no SuperSpeed streams; bulk receiving is for serial adapters, whose data nobody asks for."""
SPEED_HIGH, SPEED_SUPER = 2, 3
TYPE_CONTROL, TYPE_BULK, TYPE_INVALID = 0, 2, 255
ENDPOINTS = 32
"""Endpoint addresses, as the index into ep_info: 0 to 15 are OUT, 16 to 31 IN."""
MAX_BULK_BYTES = 64 << 20
HELLO_VERSION_BYTES = 64
_MAX_HELLO_BYTES = HELLO_VERSION_BYTES + 16 * 4
_MAX_FILTER_BYTES = 64 << 10

_SHORT_HEADER = struct.Struct("<III")
_LONG_HEADER = struct.Struct("<IIQ")
_CONTROL = struct.Struct("<BBBBHHH")
_BULK = struct.Struct("<BBHI")
_LONG_BULK = struct.Struct("<BBHIH")
_CONNECT = struct.Struct("<BBBBHH")

_FIXED_BYTES = {
    Kind.RESET: 0,
    Kind.SET_CONFIGURATION: 1,
    Kind.GET_CONFIGURATION: 0,
    Kind.SET_ALT_SETTING: 2,
    Kind.GET_ALT_SETTING: 1,
    Kind.START_ISO_STREAM: 3,
    Kind.STOP_ISO_STREAM: 1,
    Kind.START_INTERRUPT_RECEIVING: 1,
    Kind.STOP_INTERRUPT_RECEIVING: 1,
    Kind.CANCEL_DATA_PACKET: 0,
    Kind.FILTER_REJECT: 0,
    Kind.DEVICE_DISCONNECT_ACK: 0,
}
_NEEDS = {
    Kind.FILTER_REJECT: Cap.FILTER,
    Kind.FILTER_FILTER: Cap.FILTER,
    Kind.DEVICE_DISCONNECT_ACK: Cap.DEVICE_DISCONNECT_ACK,
}


@dataclass(frozen=True, slots=True)
class Header:
    kind: Kind
    length: int
    packet_id: int


@dataclass(frozen=True, slots=True)
class Control:
    """A control transfer other than those that have messages of their own."""

    endpoint: int
    request: int
    request_type: int
    value: int
    index: int
    length: int
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Bulk:
    """A bulk transfer: `length` bytes wanted (IN), or `data` (OUT)."""

    endpoint: int
    length: int
    stream_id: int = 0
    data: bytes = b""


Caps = frozenset[Cap]


def header_bytes(caps: Caps | None) -> int:
    """How long headers are. `caps`: those in force; None: before the peer's hello."""
    return (_LONG_HEADER if caps and Cap.IDS_64_BITS in caps else _SHORT_HEADER).size


def parse_header(data: bytearray, at: int, caps: Caps | None) -> Header:
    """Raises Malformed for what the other side must not send, or not so long."""
    layout = _LONG_HEADER if caps and Cap.IDS_64_BITS in caps else _SHORT_HEADER
    number, length, packet_id = layout.unpack_from(data, at)
    if caps is None:
        if number != Kind.HELLO:
            raise Malformed(f"message {number} before the hello")
        _within(Kind.HELLO, length, HELLO_VERSION_BYTES, _MAX_HELLO_BYTES)
        return Header(Kind.HELLO, length, packet_id)
    try:
        kind = Kind(number)
    except ValueError:
        raise Malformed(f"message {number}, which there is not") from None
    if kind in _NEEDS and _NEEDS[kind] not in caps:
        raise Malformed(f"{kind.name} without the capability {_NEEDS[kind].name}")
    if kind in _FIXED_BYTES:
        _within(kind, length, _FIXED_BYTES[kind], _FIXED_BYTES[kind])
    elif kind is Kind.CONTROL_PACKET:
        _within(kind, length, _CONTROL.size, _CONTROL.size + 0xFFFF)
    elif kind is Kind.BULK_PACKET:
        size = _bulk(caps).size
        _within(kind, length, size, size + MAX_BULK_BYTES)
    elif kind in (Kind.ISO_PACKET, Kind.INTERRUPT_PACKET):
        _within(kind, length, 4, 4 + 0xFFFF)
    elif kind is Kind.FILTER_FILTER:
        _within(kind, length, 0, _MAX_FILTER_BYTES)
    else:
        raise Malformed(f"{kind.name}, which is not for the side that has the device")
    return Header(kind, length, packet_id)


def parse_hello(body: bytes) -> Caps:
    """The capabilities of the other side; it may have none. Unknown ones are left out."""
    if len(body) % 4:
        raise Malformed(f"a hello of {len(body)} bytes")
    words = struct.unpack_from(f"<{(len(body) - HELLO_VERSION_BYTES) // 4}I", body, HELLO_VERSION_BYTES)
    return frozenset(cap for cap in Cap if words and words[0] >> cap & 1)


def parse_control(body: bytes) -> Control:
    endpoint, request, request_type, _status, value, index, length = _CONTROL.unpack_from(body)
    data = body[_CONTROL.size :]
    if len(data) != (0 if endpoint & 0x80 else length):
        raise Malformed(f"a control packet of {length} bytes with {len(data)}")
    return Control(endpoint, request, request_type, value, index, length, data)


def parse_bulk(body: bytes, caps: Caps) -> Bulk:
    layout = _bulk(caps)
    endpoint, _status, length, stream_id, *high = layout.unpack_from(body)
    length |= sum(high) << 16
    data = body[layout.size :]
    if len(data) != (0 if endpoint & 0x80 else length):
        raise Malformed(f"a bulk packet of {length} bytes with {len(data)}")
    return Bulk(endpoint, length, stream_id, data)


def pack(kind: Kind, packet_id: int, body: bytes, caps: Caps | None, more_bytes: int = 0) -> bytes:
    """A message whose last `more_bytes` bytes are sent behind it."""
    layout = _LONG_HEADER if caps and Cap.IDS_64_BITS in caps else _SHORT_HEADER
    return layout.pack(kind, len(body) + more_bytes, packet_id) + body


def pack_hello(version: str) -> bytes:
    mask = sum(1 << cap for cap in OUR_CAPS)
    body = version.encode("ascii")[: HELLO_VERSION_BYTES - 1].ljust(HELLO_VERSION_BYTES, b"\0")
    return pack(Kind.HELLO, 0, body + mask.to_bytes(4, "little"), None)


def pack_connect(
    speed: int, kind: tuple[int, int, int], vendor: int, product: int, version_bcd: int, caps: Caps
) -> bytes:
    body = _CONNECT.pack(speed, *kind, vendor, product)
    if Cap.CONNECT_DEVICE_VERSION in caps:
        body += version_bcd.to_bytes(2, "little")
    return pack(Kind.DEVICE_CONNECT, 0, body, caps)


def pack_interface_info(interfaces: list[tuple[int, tuple[int, int, int]]], caps: Caps) -> bytes:
    """`interfaces`: (number, (class, subclass, protocol)), at most 32."""
    columns = [bytes(number for number, _ in interfaces)]
    columns += [bytes(kind[part] for _, kind in interfaces) for part in range(3)]
    body = len(interfaces).to_bytes(4, "little") + b"".join(column.ljust(32, b"\0") for column in columns)
    return pack(Kind.INTERFACE_INFO, 0, body, caps)


def pack_ep_info(endpoints: dict[int, tuple[int, int, int, int]], caps: Caps) -> bytes:
    """`endpoints`: address -> (transfer type, interval, interface, wMaxPacketSize)."""
    rows = [(TYPE_INVALID, 0, 0, 0)] * ENDPOINTS
    for address, row in endpoints.items():
        rows[(address & 0x80) >> 3 | address & 0x0F] = row
    body = b"".join(bytes(row[part] for row in rows) for part in range(3))
    if Cap.EP_INFO_MAX_PACKET_SIZE in caps:
        body += struct.pack(f"<{ENDPOINTS}H", *(row[3] for row in rows))
    return pack(Kind.EP_INFO, 0, body, caps)


def pack_control(
    packet_id: int, request: Control, status: Status, length: int, caps: Caps, more_bytes: int = 0
) -> bytes:
    """The answer to a control packet: `length` bytes went, of which `more_bytes` follow (IN)."""
    body = _CONTROL.pack(
        request.endpoint,
        request.request,
        request.request_type,
        status,
        request.value,
        request.index,
        length,
    )
    return pack(Kind.CONTROL_PACKET, packet_id, body, caps, more_bytes)


def pack_bulk(
    packet_id: int, request: Bulk, status: Status, length: int, caps: Caps, more_bytes: int = 0
) -> bytes:
    """The answer to a bulk packet: `length` bytes went, of which `more_bytes` follow (IN)."""
    fields = (request.endpoint, status, length & 0xFFFF, request.stream_id)
    body = _LONG_BULK.pack(*fields, length >> 16) if Cap.BULK_LENGTH_32_BITS in caps else _BULK.pack(*fields)
    return pack(Kind.BULK_PACKET, packet_id, body, caps, more_bytes)


def _bulk(caps: Caps) -> struct.Struct:
    return _LONG_BULK if Cap.BULK_LENGTH_32_BITS in caps else _BULK


def _within(kind: Kind, length: int, least: int, most: int) -> None:
    if not least <= length <= most:
        raise Malformed(f"{kind.name} of {length} bytes, {least} to {most} are possible")
