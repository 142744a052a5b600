"""What a program needs of a host controller and one device on it: the `HostBus`, its errors and the standard
requests everybody makes.

Endpoints carry their direction bit (0x81 is IN). A time-out of 0 waits for ever. A bus over a real host
controller has to recognise SET_CONFIGURATION, SET_INTERFACE and CLEAR_FEATURE(ENDPOINT_HALT) in `control`,
for the controller takes part in them.
"""

import struct
from typing import Protocol

from u3v.errors import Malformed, U3VError

ReadBuffer = bytes | bytearray | memoryview
WriteBuffer = bytearray | memoryview


class UsbError(U3VError):
    """A request that failed; `status` is the negative Linux errno of its answer."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class UsbTimeout(UsbError):
    """The device did not answer in time; the request has been taken back."""

    def __init__(self, message: str) -> None:
        super().__init__(message, -110)


class UsbStall(UsbError):
    """The endpoint answered STALL: clear its halt before using it again."""

    def __init__(self, message: str) -> None:
        super().__init__(message, -32)


class UsbOverflow(UsbError):
    """The device sent more than the buffer holds."""

    def __init__(self, message: str) -> None:
        super().__init__(message, -75)


class UsbGone(UsbError):
    """The device is not there any more."""

    def __init__(self, message: str) -> None:
        super().__init__(message, -19)


class HostBus(Protocol):
    """One device as its host sees it. Every method raises the errors above."""

    def control(self, setup: bytes, data_or_length: bytes | int, timeout_ms: int) -> bytes:
        """A control transfer: the data of an IN request (an int is its length), b"" for OUT."""
        ...

    def bulk_out(self, endpoint: int, data: ReadBuffer, timeout_ms: int) -> int:
        """Bytes written."""
        ...

    def bulk_in_into(self, endpoint: int, buffer: WriteBuffer, timeout_ms: int) -> int:
        """Fill a writable buffer; bytes received."""
        ...

    def submit_in(self, endpoint: int, buffer: WriteBuffer) -> int:
        """Queue a read into a writable buffer, which is the bus's until the request has ended; its handle."""
        ...

    def wait_in(self, handle: int, timeout_ms: int) -> int:
        """Bytes received. After UsbTimeout the request is still queued; after all else the handle is done."""
        ...

    def cancel_in(self, handle: int) -> None:
        """Take a queued read back; its buffer is free. Handles that are done are ignored."""
        ...

    def close(self) -> None: ...


_SETUP = struct.Struct("<BBHHH")
_TIMEOUT_MS = 1000
_DT_STRING = 3


def setup_packet(request_type: int, request: int, value: int, index: int, length: int) -> bytes:
    """The eight bytes of USB 3.2 clause 9.3."""
    return _SETUP.pack(request_type, request, value, index, length)


def get_descriptor(bus: HostBus, kind: int, number: int = 0, length: int = 255, language: int = 0) -> bytes:
    setup = setup_packet(0x80, 6, kind << 8 | number, language, length)
    return bus.control(setup, length, _TIMEOUT_MS)


def get_device_descriptor(bus: HostBus) -> bytes:
    return get_descriptor(bus, 1, 0, 18)


def get_configuration_descriptor(bus: HostBus, number: int = 0) -> bytes:
    """A configuration with all that follows it."""
    head = get_descriptor(bus, 2, number, 9)
    return get_descriptor(bus, 2, number, int.from_bytes(head[2:4], "little"))


def get_string(bus: HostBus, number: int) -> str:
    """A string descriptor in the device's first language. Raises Malformed, UsbStall."""
    languages = get_descriptor(bus, _DT_STRING)
    if len(languages) < 4:
        raise Malformed("string descriptor 0 lists no language")
    raw = get_descriptor(bus, _DT_STRING, number, 255, int.from_bytes(languages[2:4], "little"))
    if len(raw) < 2 or raw[0] > len(raw) or raw[1] != _DT_STRING:
        raise Malformed(f"string descriptor {number}: {raw.hex(' ')}")
    return raw[2 : raw[0]].decode("utf-16-le", "replace")


def get_configuration(bus: HostBus) -> int:
    return bus.control(setup_packet(0x80, 8, 0, 0, 1), 1, _TIMEOUT_MS)[0]


def set_configuration(bus: HostBus, value: int) -> None:
    bus.control(setup_packet(0x00, 9, value, 0, 0), b"", _TIMEOUT_MS)


def set_interface(bus: HostBus, interface: int, alternate: int) -> None:
    bus.control(setup_packet(0x01, 11, alternate, interface, 0), b"", _TIMEOUT_MS)


def set_halt(bus: HostBus, endpoint: int) -> None:
    bus.control(setup_packet(0x02, 3, 0, endpoint, 0), b"", _TIMEOUT_MS)


def clear_halt(bus: HostBus, endpoint: int) -> None:
    bus.control(setup_packet(0x02, 1, 0, endpoint, 0), b"", _TIMEOUT_MS)


def is_halted(bus: HostBus, endpoint: int) -> bool:
    return bool(bus.control(setup_packet(0x82, 0, 0, endpoint, 2), 2, _TIMEOUT_MS)[0] & 1)
