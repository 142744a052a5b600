"""Single bytes of USB traffic, altered on their way as by a foreign proxy: in this process and over USB/IP.

An alteration hears what goes out and may change what comes in. It knows protocols by their public layouts alone, and
shares no code with the camera.
"""

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from u3v.host.bus import HostBus, ReadBuffer, WriteBuffer

CONTROL_OUT, CONTROL_IN, EVENT_IN, STREAM_IN = 0x01, 0x81, 0x82, 0x83
DEVICE, CONFIGURATION, STRING, BOS = 1, 2, 3, 15
READMEM = 0x0800


class Alteration:
    """None at all."""

    def out(self, endpoint: int, data: bytes) -> None:
        """What the host sends on a bulk endpoint."""

    def back(self, endpoint: int, setup: bytes, data: bytearray) -> None:
        """What the device sends, which may be changed; `setup` is b"" or zeros but on endpoint 0."""


@dataclass
class Descriptor(Alteration):
    """A byte of each descriptor of a kind and number, wherever it is asked for."""

    kind: int
    number: int
    at: int
    change: int

    def back(self, endpoint: int, setup: bytes, data: bytearray) -> None:
        asked = (
            endpoint == 0x80 and setup[:2] == b"\x80\x06" and setup[2:4] == bytes([self.number, self.kind])
        )
        if asked and len(data) > self.at:
            data[self.at] ^= self.change


@dataclass
class Ack(Alteration):
    """A byte of acknowledges longer than `longer_than`."""

    at: int
    change: int
    longer_than: int = 0

    def back(self, endpoint: int, setup: bytes, data: bytearray) -> None:
        if endpoint == CONTROL_IN and len(data) > max(self.at, self.longer_than):
            data[self.at] ^= self.change


@dataclass
class Register(Alteration):
    """The byte at an address of the register space, in whatever read it is."""

    address: int
    change: int
    _first: int = 0
    _count: int = 0

    def out(self, endpoint: int, data: bytes) -> None:
        if endpoint == CONTROL_OUT and len(data) == 24 and data[6:8] == READMEM.to_bytes(2, "little"):
            self._first, self._count = struct.unpack_from("<Q2xH", data, 12)
        elif endpoint == CONTROL_OUT:
            self._count = 0

    def back(self, endpoint: int, setup: bytes, data: bytearray) -> None:
        at = 12 + self.address - self._first
        if endpoint == CONTROL_IN and 12 <= at < min(12 + self._count, len(data)):
            data[at] ^= self.change


@dataclass
class Packet(Alteration):
    """A byte of what begins like this on an endpoint: leaders, trailers, event messages."""

    endpoint: int
    magic: bytes
    at: int
    change: int

    def back(self, endpoint: int, setup: bytes, data: bytearray) -> None:
        if endpoint == self.endpoint and data[:4] == self.magic and len(data) > self.at:
            data[self.at] ^= self.change


def seeded(seed: int, places: range, count: int) -> Iterator[tuple[int, int]]:
    """(place, change) of one bit or several, never none."""
    chance = random.Random(seed)
    for place in sorted(chance.sample(places, min(count, len(places)))):
        yield place, chance.choice((1 << chance.randrange(8), chance.randrange(1, 256)))


@dataclass
class AlteredBus:
    """Another bus with an alteration in between."""

    inner: HostBus
    alteration: Alteration
    _queued: dict[int, tuple[int, WriteBuffer]] = field(default_factory=dict)

    def control(self, setup: bytes, data_or_length: bytes | int, timeout_ms: int) -> bytes:
        data = bytearray(self.inner.control(setup, data_or_length, timeout_ms))
        if isinstance(data_or_length, int):
            self.alteration.back(0x80, setup, data)
        return bytes(data)

    def bulk_out(self, endpoint: int, data: ReadBuffer, timeout_ms: int) -> int:
        self.alteration.out(endpoint, bytes(data))
        return self.inner.bulk_out(endpoint, data, timeout_ms)

    def bulk_in_into(self, endpoint: int, buffer: WriteBuffer, timeout_ms: int) -> int:
        return self._altered(endpoint, buffer, self.inner.bulk_in_into(endpoint, buffer, timeout_ms))

    def submit_in(self, endpoint: int, buffer: WriteBuffer) -> int:
        handle = self.inner.submit_in(endpoint, buffer)
        self._queued[handle] = endpoint, buffer
        return handle

    def wait_in(self, handle: int, timeout_ms: int) -> int:
        length = self.inner.wait_in(handle, timeout_ms)
        endpoint, buffer = self._queued.pop(handle)
        return self._altered(endpoint, buffer, length)

    def cancel_in(self, handle: int) -> None:
        self._queued.pop(handle, None)
        self.inner.cancel_in(handle)

    def close(self) -> None:
        self.inner.close()

    def _altered(self, endpoint: int, buffer: WriteBuffer, length: int) -> int:
        data = bytearray(buffer[:length])
        self.alteration.back(endpoint, b"", data)
        buffer[:length] = data
        return length
