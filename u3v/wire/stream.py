"""Leader and trailer of the USB3 Vision stream channel, and how a host's SI registers cut the payload."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from u3v.errors import Malformed

LEADER_MAGIC = 0x4C563355  # "U3VL"
TRAILER_MAGIC = 0x54563355  # "U3VT"
PAYLOAD_IMAGE = 0x0001
PAYLOAD_IMAGE_CHUNKS = 0x4001

LEADER_BYTES = 52
TRAILER_BYTES = 32
CHUNK_TRAILER_BYTES = 36

_LEADER = struct.Struct("<IHHQHHQIIIIIHH")
_TRAILER = struct.Struct("<IHHQHHQI")


@dataclass(frozen=True, slots=True)
class Leader:
    """Image leader (52 bytes). Sizes and offsets in pixels, `padding_x` bytes per line, timestamp in ns."""

    block_id: int
    timestamp: int
    pixel_format: int
    size_x: int
    size_y: int
    offset_x: int = 0
    offset_y: int = 0
    padding_x: int = 0
    payload_type: int = PAYLOAD_IMAGE

    def pack(self) -> bytes:
        return _LEADER.pack(
            LEADER_MAGIC,
            0,
            LEADER_BYTES,
            self.block_id,
            0,
            self.payload_type,
            self.timestamp,
            self.pixel_format,
            self.size_x,
            self.size_y,
            self.offset_x,
            self.offset_y,
            self.padding_x,
            0,
        )

    @classmethod
    def parse(cls, packet: memoryview) -> "Leader":
        """Raises Malformed."""
        if len(packet) != LEADER_BYTES:
            raise Malformed(f"{len(packet)} bytes are no image leader of {LEADER_BYTES}")
        magic, _, size, block, _, kind, stamp, fmt, sx, sy, ox, oy, pad, _ = _LEADER.unpack(packet)
        if magic != LEADER_MAGIC or size != LEADER_BYTES:
            raise Malformed(f"magic {magic:#010x}, size {size}: no image leader")
        return cls(block, stamp, fmt, sx, sy, ox, oy, pad, kind)


@dataclass(frozen=True, slots=True)
class Trailer:
    """Image trailer (32 bytes). `size_y`: lines really sent. `chunk_layout_id`: of an image with chunks, whose trailer
    has 36 bytes."""

    block_id: int
    status: int
    valid_payload_size: int
    size_y: int
    chunk_layout_id: int | None = None

    def pack(self) -> bytes:
        layout_id = self.chunk_layout_id
        rest = b"" if layout_id is None else layout_id.to_bytes(4, "little")
        return (
            _TRAILER.pack(
                TRAILER_MAGIC,
                0,
                TRAILER_BYTES + len(rest),
                self.block_id,
                self.status,
                0,
                self.valid_payload_size,
                self.size_y,
            )
            + rest
        )

    @classmethod
    def parse(cls, packet: memoryview) -> "Trailer":
        """Raises Malformed."""
        if len(packet) not in (TRAILER_BYTES, CHUNK_TRAILER_BYTES):
            raise Malformed(f"{len(packet)} bytes are no image trailer of {TRAILER_BYTES}")
        magic, _, size, block, status, _, valid, size_y = _TRAILER.unpack_from(packet)
        if magic != TRAILER_MAGIC or size != len(packet):
            raise Malformed(f"magic {magic:#010x}, size {size}: no image trailer")
        rest = bytes(packet[TRAILER_BYTES:])
        return cls(block, status, valid, size_y, int.from_bytes(rest, "little") if rest else None)


@dataclass(frozen=True, slots=True)
class TransferPlan:
    """How the host announced it would read one payload (SI registers), bytes."""

    transfer_size: int
    transfer_count: int
    final1_size: int
    final2_size: int

    @property
    def capacity(self) -> int:
        return self.transfer_size * self.transfer_count + self.final1_size + self.final2_size

    def sizes(self) -> Iterator[int]:
        """The announced transfers in order; those of size 0 do not exist."""
        if self.transfer_size:
            for _ in range(self.transfer_count):
                yield self.transfer_size
        if self.final1_size:
            yield self.final1_size
        if self.final2_size:
            yield self.final2_size
