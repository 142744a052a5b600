"""Faults of the stream: parts of a frame lost, doubled, cut, padded or changed, and clocks and counters that jump."""

import struct
from collections.abc import Iterable
from typing import Any

from gadget.faults.wrappers import MS, StreamFault, changed, part_of, patched
from u3v.function import InTransfer
from u3v.wire.bootstrap import ABRM, SIRM, SIRM_ADDRESS
from u3v.wire.gencp import READMEM_CMD, WRITEMEM_CMD, parse_command
from u3v.wire.pfnc import PIXEL_FORMATS
from u3v.wire.usb import CONTROL_IN, CONTROL_OUT, STREAM_IN

Sent = Iterable[InTransfer]
LEADER_FIELDS = {
    "magic": (0, 4),
    "size": (6, 2),
    "payload_type": (18, 2),
    "timestamp": (20, 8),
    "pixel_format": (28, 4),
    "size_x": (32, 4),
    "size_y": (36, 4),
    "offset_x": (40, 4),
    "offset_y": (44, 4),
    "padding_x": (48, 2),
}
TRAILER_FIELDS = {
    "magic": (0, 4),
    "size": (6, 2),
    "status": (16, 2),
    "valid_size": (20, 8),
    "size_y": (28, 4),
}
_BLOCK_ID = 8


class LostLeader(StreamFault):
    """The leader is not sent."""

    def leader(self, transfer: InTransfer, now_ns: int) -> Sent:
        return ()


class DoubleLeader(StreamFault):
    """The leader is sent twice."""

    def leader(self, transfer: InTransfer, now_ns: int) -> Sent:
        return (changed(transfer, transfer.data), transfer)


class LostTrailer(StreamFault):
    """The trailer is not sent; the next leader comes instead."""

    def trailer(self, transfer: InTransfer, now_ns: int) -> Sent:
        return ()


class LostPayload(StreamFault):
    """One transfer of the payload is not sent: the `transfer`th, from 0."""

    def leader(self, transfer: InTransfer, now_ns: int) -> Sent:
        self.number = 0
        return (transfer,)

    def payload(self, transfer: InTransfer, now_ns: int) -> Sent:
        self.number += 1
        return () if self.number - 1 == self.values["transfer"] else (transfer,)


class ShortPayload(StreamFault):
    """The last `bytes` of the payload are missing; `trailer` = honest: its valid size says so."""

    def leader(self, transfer: InTransfer, now_ns: int) -> Sent:
        size = self.victim.camera.wire_bytes
        self.kept = max(0, size - self.values["bytes"])
        return (transfer,)

    def payload(self, transfer: InTransfer, now_ns: int) -> Sent:
        left = max(0, self.kept - self.at_byte)
        if left >= len(transfer.data):
            return (transfer,)
        if not left and self.at_byte and not transfer.ends:
            return ()
        return (changed(transfer, transfer.data[:left], ends=True),)

    def trailer(self, transfer: InTransfer, now_ns: int) -> Sent:
        if self.values["trailer"] == "honest":
            return (patched(transfer, TRAILER_FIELDS["valid_size"][0], struct.pack("<Q", self.kept)),)
        return (transfer,)


class PaddedPayload(StreamFault):
    """`bytes` more than the payload are sent at its end."""

    def payload(self, transfer: InTransfer, now_ns: int) -> Sent:
        if self.at_byte + len(transfer.data) < self.victim.camera.wire_bytes:
            return (transfer,)
        return (changed(transfer, bytes(transfer.data) + bytes(self.values["bytes"]), ends=True),)


class MissingZeroPacket(StreamFault):
    """The payload ends with whole packets and no empty one: a request with room left goes on with the trailer."""

    def payload(self, transfer: InTransfer, now_ns: int) -> Sent:
        return (changed(transfer, transfer.data, ends=False),)


class ExtraZeroPacket(StreamFault):
    """An empty transfer comes before the trailer."""

    def trailer(self, transfer: InTransfer, now_ns: int) -> Sent:
        return (changed(transfer, b"", taken=None), transfer)


class PayloadMagic(StreamFault):
    """The image begins with the four letters of a leader or trailer, which is legal."""

    def payload(self, transfer: InTransfer, now_ns: int) -> Sent:
        if self.at_byte or len(transfer.data) < 4:
            return (transfer,)
        return (patched(transfer, 0, b"U3VL" if self.values["what"] == "leader" else b"U3VT"),)


class BlockId(StreamFault):
    """Block ids jump by `jump`, in leader and trailer or in the trailer alone."""

    def leader(self, transfer: InTransfer, now_ns: int) -> Sent:
        return (transfer,) if self.values["where"] == "trailer" else self._moved(transfer)

    def trailer(self, transfer: InTransfer, now_ns: int) -> Sent:
        return self._moved(transfer)

    def _moved(self, transfer: InTransfer) -> Sent:
        block_id = int.from_bytes(transfer.data[_BLOCK_ID : _BLOCK_ID + 8], "little") + self.values["jump"]
        return (patched(transfer, _BLOCK_ID, struct.pack("<Q", block_id)),)


class LeaderField(StreamFault):
    """A field of the leader says something else."""

    def leader(self, transfer: InTransfer, now_ns: int) -> Sent:
        return (_with_field(transfer, LEADER_FIELDS, self.values),)


class TrailerField(StreamFault):
    """A field of the trailer says something else."""

    def trailer(self, transfer: InTransfer, now_ns: int) -> Sent:
        return (_with_field(transfer, TRAILER_FIELDS, self.values),)


class TrailerStatus(StreamFault):
    """A whole frame whose trailer says that data are missing."""

    def trailer(self, transfer: InTransfer, now_ns: int) -> Sent:
        return (patched(transfer, TRAILER_FIELDS["status"][0], struct.pack("<H", self.values["status"])),)


class LeaderLength(StreamFault):
    """The leader is `bytes` long and says so."""

    def leader(self, transfer: InTransfer, now_ns: int) -> Sent:
        size = self.values["bytes"]
        data = bytearray(bytes(transfer.data)[:size].ljust(size, b"\0"))
        data[6:8] = size.to_bytes(2, "little")
        return (changed(transfer, data),)


class BitErrors(StreamFault):
    """`bits` bits of the payload arrive inverted, at places drawn from the seed."""

    def payload(self, transfer: InTransfer, now_ns: int) -> Sent:
        if self.at_byte or not len(transfer.data):
            return (transfer,)
        data = bytearray(transfer.data)
        for _ in range(self.values["bits"]):
            bit = self.strikes.random.randrange(len(data) * 8)
            data[bit // 8] ^= 1 << bit % 8
        return (changed(transfer, data),)


class SensorDefects(StreamFault):
    """Pixels, a row or a column of the image are white or black from some frame on."""

    def leader(self, transfer: InTransfer, now_ns: int) -> Sent:
        image = self.victim.camera.settings  # not the leader: another fault may have spoiled that
        width, height = image.width, image.height
        self.bits = PIXEL_FORMATS[image.pixel_format].bits_per_pixel
        count = self.values["count"]
        draw = type(self.strikes.random)(self.values["where"])
        places: set[int] = set()
        for _ in range(count):
            x, y = draw.randrange(width), draw.randrange(height)
            if self.values["what"] == "row":
                places |= {y * width + each for each in range(width)}
            elif self.values["what"] == "column":
                places |= {each * width + x for each in range(height)}
            else:
                places.add(y * width + x)
        self.places = sorted(places)
        return (transfer,)

    def payload(self, transfer: InTransfer, now_ns: int) -> Sent:
        first, last = self.at_byte * 8, (self.at_byte + len(transfer.data)) * 8
        inside = [
            p * self.bits for p in self.places if first <= p * self.bits and (p + 1) * self.bits <= last
        ]
        if not inside:
            return (transfer,)
        data = bytearray(transfer.data)
        white = self.values["value"] == "white"
        for bit in inside:
            at, shift = divmod(bit - first, 8)
            size = -(-(shift + self.bits) // 8)
            mask = ((1 << self.bits) - 1) << shift
            word = int.from_bytes(data[at : at + size], "little")
            word = word | mask if white else word & ~mask
            data[at : at + size] = word.to_bytes(size, "little")
        return (changed(transfer, data),)


class StopsAfter(StreamFault):
    """A camera that sends `frames` frames larger than `beyond` pixels of an acquisition, and then no more."""

    stopped = False

    def transfer_in(self, endpoint: int, now_ns: int) -> InTransfer | None:
        if endpoint == STREAM_IN and self.stopped and self.victim.camera.frames.enabled:
            if self.victim.camera.frames.next_block_id > self.values["frames"]:
                return None
            self.stopped = False
        return super().transfer_in(endpoint, now_ns)

    def leader(self, transfer: InTransfer, now_ns: int) -> Sent:
        image = self.victim.camera.settings
        _, block_id = part_of(transfer.data, None)
        if image.width * image.height > self.values["beyond"] and block_id >= self.values["frames"]:
            self.stopped = True
        return self._unless_stopped(transfer)

    def payload(self, transfer: InTransfer, now_ns: int) -> Sent:
        return self._unless_stopped(transfer)

    def trailer(self, transfer: InTransfer, now_ns: int) -> Sent:
        return self._unless_stopped(transfer)

    def _unless_stopped(self, transfer: InTransfer) -> Sent:
        return () if self.stopped else (transfer,)


class SlowFrames(StreamFault):
    """Frames come no faster than one each `period_ms`, without any error."""

    def leader(self, transfer: InTransfer, now_ns: int) -> Sent:
        ready_ns = max(transfer.ready_ns, now_ns, getattr(self, "next_ns", 0))
        self.next_ns = ready_ns + round(self.values["period_ms"] * MS)
        return (changed(transfer, transfer.data, ready_ns=ready_ns),)


class TimestampJump(StreamFault):
    """Timestamps are `by_ms` later (or earlier: negative) from some frame on: those of leaders, and the latched one."""

    offset_ns = 0
    read_timestamp = False

    def leader(self, transfer: InTransfer, now_ns: int) -> Sent:
        self.offset_ns = round(self.values["by_ms"] * MS)
        stamp = int.from_bytes(transfer.data[20:28], "little") + self.offset_ns
        return (patched(transfer, 20, struct.pack("<Q", max(0, stamp))),)

    def transfer_out(self, endpoint: int, data: memoryview, now_ns: int) -> None:
        if endpoint == CONTROL_OUT:
            self.read_timestamp = bytes(data[6:8]) == READMEM_CMD.to_bytes(2, "little") and (
                int.from_bytes(data[12:20], "little") == ABRM["Timestamp"].offset
            )
        super().transfer_out(endpoint, data, now_ns)

    def transfer_in(self, endpoint: int, now_ns: int) -> InTransfer | None:
        transfer = super().transfer_in(endpoint, now_ns)
        if (
            endpoint == CONTROL_IN
            and transfer is not None
            and self.read_timestamp
            and len(transfer.data) == 20
        ):
            stamp = int.from_bytes(transfer.data[12:20], "little") + self.offset_ns
            return patched(transfer, 12, struct.pack("<Q", max(0, stamp)))
        return transfer


class TimestampRestart(TimestampJump):
    """The camera's clock begins at 0 each time the stream is enabled."""

    def transfer_out(self, endpoint: int, data: memoryview, now_ns: int) -> None:
        if endpoint == CONTROL_OUT and len(data) >= 24:
            command = parse_command(data)
            address = int.from_bytes(data[12:20], "little")
            is_enable = address == SIRM_ADDRESS + SIRM["SI_Control"].offset and data[20] & 1
            if command.command_id == WRITEMEM_CMD and is_enable and self.strikes(now_ns):
                self.offset_ns = -self.victim.camera.timestamp_ns
        super().transfer_out(endpoint, data, now_ns)

    def _sent(self, transfer: InTransfer, now_ns: int) -> Sent:
        part, block_id = part_of(transfer.data, self.block_id)
        self.block_id = block_id if part == "leader" else self.block_id
        if part != "leader" or not self.offset_ns:
            return (transfer,)
        stamp = int.from_bytes(transfer.data[20:28], "little") + self.offset_ns
        return (patched(transfer, 20, struct.pack("<Q", max(0, stamp))),)


class IdsContinue(StreamFault):
    """Block ids go on where the last acquisition ended, instead of from 0."""

    base = last = -1

    def leader(self, transfer: InTransfer, now_ns: int) -> Sent:
        block_id = int.from_bytes(transfer.data[_BLOCK_ID : _BLOCK_ID + 8], "little")
        if block_id <= self.last:
            self.base = self.seen_id
        self.last = block_id
        return self._moved(transfer)

    def trailer(self, transfer: InTransfer, now_ns: int) -> Sent:
        return self._moved(transfer)

    def _moved(self, transfer: InTransfer) -> Sent:
        block_id = int.from_bytes(transfer.data[_BLOCK_ID : _BLOCK_ID + 8], "little") + self.base + 1
        self.seen_id = block_id
        return (patched(transfer, _BLOCK_ID, struct.pack("<Q", block_id)),)


def _with_field(
    transfer: InTransfer, fields: dict[str, tuple[int, int]], values: dict[str, Any]
) -> InTransfer:
    at, size = fields[values["field"]]
    mask = (1 << 8 * size) - 1
    return patched(transfer, at, (values["value"] & mask).to_bytes(size, "little"))
