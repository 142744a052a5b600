"""The guest's side of usbredir by libusbredirparser, the library that QEMU uses: it judges our bytes and makes its own.

Its structures are typed in after usbredirparser.h and usbredirproto.h (Debian libusbredirparser-dev 0.13.0), the
offsets of packed structures included; nothing here is shared with gadget/usbredir.
"""

import ctypes
import ctypes.util
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

ALL_CAPS = 0xFF
"""QEMU 7.2 offers everything."""
STREAMS, VERSION, FILTER, ACK, PACKET_SIZE, IDS_64, LENGTH_32, RECEIVING = (1 << bit for bit in range(8))
_CALLBACKS = """
log read write device_connect device_disconnect reset interface_info ep_info set_configuration
get_configuration configuration_status set_alt_setting get_alt_setting alt_setting_status start_iso_stream
stop_iso_stream iso_stream_status start_interrupt_receiving stop_interrupt_receiving
interrupt_receiving_status alloc_bulk_streams free_bulk_streams bulk_streams_status cancel_data_packet
control_packet bulk_packet iso_packet interrupt_packet alloc_lock lock unlock free_lock hello filter_reject
filter_filter device_disconnect_ack start_bulk_receiving stop_bulk_receiving bulk_receiving_status
buffered_bulk_packet
""".split()  # noqa: SIM905 - as the header lists them
_POINTER, _INT, _ID = ctypes.c_void_p, ctypes.c_int, ctypes.c_uint64
_LOG = ctypes.CFUNCTYPE(None, _POINTER, _INT, ctypes.c_char_p)
_READ = ctypes.CFUNCTYPE(_INT, _POINTER, _POINTER, _INT)
_PLAIN = ctypes.CFUNCTYPE(None, _POINTER)
_WITH_HEADER = ctypes.CFUNCTYPE(None, _POINTER, _POINTER)
_WITH_ID = ctypes.CFUNCTYPE(None, _POINTER, _ID, _POINTER)
_WITH_DATA = ctypes.CFUNCTYPE(None, _POINTER, _ID, _POINTER, _POINTER, _INT)
_ENDPOINTS = 32


class _Parser(ctypes.Structure):
    _fields_ = [("priv", _POINTER), *((name, _POINTER) for name in _CALLBACKS)]


@dataclass(frozen=True)
class Event:
    """A packet that the library has taken: its type, id and fields, and the data behind it."""

    kind: str
    packet_id: int = 0
    fields: tuple[Any, ...] = ()
    data: bytes = b""


_HEADERS: dict[str, tuple[Any, str]] = {  # in the order of usbredirproto.h, packed
    "device_connect": (_WITH_HEADER, "<BBBBHHH"),
    "interface_info": (_WITH_HEADER, "<I32s32s32s32s"),
    "ep_info": (_WITH_HEADER, "<32s32s32s64s"),
    "configuration_status": (_WITH_ID, "<BB"),
    "alt_setting_status": (_WITH_ID, "<BBB"),
    "iso_stream_status": (_WITH_ID, "<BB"),
    "interrupt_receiving_status": (_WITH_ID, "<BB"),
    "control_packet": (_WITH_DATA, "<BBBBHHH"),
    "bulk_packet": (_WITH_DATA, "<BBHIH"),
    "interrupt_packet": (_WITH_DATA, "<BBH"),
}


class Guest:
    """`take(bytes)` gives what the library makes of them; `sent()` its own bytes. `complaints`: its error messages."""

    def __init__(self, caps: int = ALL_CAPS) -> None:
        name = ctypes.util.find_library("usbredirparser")
        assert name is not None, "needs libusbredirparser1 (QEMU's packages bring it)"
        self._lib = ctypes.CDLL(name)
        self._lib.usbredirparser_create.restype = ctypes.POINTER(_Parser)
        self.events: list[Event] = []
        self.complaints: list[str] = []
        self._incoming: deque[int] = deque()
        self._outgoing = bytearray()
        self._keep: list[Any] = []
        self._parser = self._lib.usbredirparser_create()
        body = self._parser.contents
        self._set(body, "log", _LOG(self._log))
        self._set(body, "read", _READ(self._read))
        self._set(body, "write", _READ(self._write))
        for name in ("device_disconnect", "reset", "filter_reject", "device_disconnect_ack"):
            self._set(body, name, _PLAIN(lambda _priv, name=name: self.events.append(Event(name))))
        self._set(body, "hello", _WITH_HEADER(self._hello))
        for name, (kind, layout) in _HEADERS.items():
            self._set(body, name, kind(self._taker(name, kind, struct.Struct(layout))))
        mask = (ctypes.c_uint32 * 1)(caps)
        self._lib.usbredirparser_init(self._parser, b"the guest", mask, 1, 0)

    def take(self, data: bytes) -> list[Event]:
        """What the library says of these bytes of the other side."""
        self._incoming.extend(data)
        self.events = []
        while self._incoming:
            assert self._lib.usbredirparser_do_read(self._parser) == 0, self.complaints
        return self.events

    def sent(self) -> bytes:
        """What it has to say, since the last time."""
        while self._lib.usbredirparser_has_data_to_write(self._parser):
            self._lib.usbredirparser_do_write(self._parser)
        sent, self._outgoing = bytes(self._outgoing), bytearray()
        return sent

    def send(self, kind: str, packet_id: int | None, header: bytes = b"", data: bytes = b"") -> bytes:
        """One packet, made by the library. `packet_id` None: of a type without one."""
        arguments: list[Any] = [self._parser]
        if packet_id is not None:
            arguments.append(_ID(packet_id))
        if header:
            arguments.append(ctypes.create_string_buffer(header, len(header)))
        if kind.endswith("_packet") and kind != "cancel_data_packet":
            arguments += [ctypes.create_string_buffer(data, len(data)) if data else None, len(data)]
        getattr(self._lib, f"usbredirparser_send_{kind}")(*arguments)
        return self.sent()

    def close(self) -> None:
        self._lib.usbredirparser_destroy(self._parser)

    def _set(self, body: _Parser, name: str, callback: Any) -> None:
        self._keep.append(callback)
        setattr(body, name, ctypes.cast(callback, _POINTER).value)

    def _log(self, _priv: int, level: int, text: bytes) -> None:
        if level <= 2:
            self.complaints.append(text.decode())

    def _read(self, _priv: int, into: int, count: int) -> int:
        count = min(count, len(self._incoming))
        ctypes.memmove(into, bytes(self._incoming.popleft() for _ in range(count)), count)
        return count

    def _write(self, _priv: int, data: int, count: int) -> int:
        self._outgoing += ctypes.string_at(data, count)
        return count

    def _hello(self, _priv: int, header: int) -> None:
        version = ctypes.string_at(header, 64).rstrip(b"\0")
        self.events.append(Event("hello", fields=(version,)))

    def _taker(self, name: str, kind: Any, layout: struct.Struct) -> Callable[..., None]:
        def fields(address: int) -> tuple[Any, ...]:
            return layout.unpack(ctypes.string_at(address, layout.size))

        def with_header(_priv: int, header: int) -> None:
            self.events.append(Event(name, 0, fields(header)))

        def with_id(_priv: int, packet_id: int, header: int) -> None:
            self.events.append(Event(name, packet_id, fields(header)))

        def with_data(_priv: int, packet_id: int, header: int, data: int | None, length: int) -> None:
            content = ctypes.string_at(data, length) if data else b""
            self.events.append(Event(name, packet_id, fields(header), content))
            if data:
                self._lib.usbredirparser_free_packet_data(self._parser, _POINTER(data))

        return {_WITH_HEADER: with_header, _WITH_ID: with_id, _WITH_DATA: with_data}[kind]


def control(endpoint: int, request_type: int, request: int, value: int, index: int, length: int) -> bytes:
    return struct.pack("<BBBBHHH", endpoint, request, request_type, 0, value, index, length)


def bulk(endpoint: int, length: int, stream_id: int = 0) -> bytes:
    return struct.pack("<BBHIH", endpoint, 0, length & 0xFFFF, stream_id, length >> 16)
