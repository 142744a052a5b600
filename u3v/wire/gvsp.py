"""GVSP, GigE Vision's stream protocol: the packets of a block (a frame). Big-endian; pixels are as they are.

A block is a leader (packet 0), data packets of one size, the last one shorter (1 .. n), and a trailer (n + 1). There
are two headers: 8 bytes with 16-bit block ids, and 20 bytes ("extended ids") with 64-bit ones.
"""

import struct
from dataclasses import dataclass

LEADER, TRAILER, PAYLOAD = 1, 2, 3
IMAGE = 0x0001
WITH_CHUNKS = 0x4000
IP_UDP_BYTES = 28
"""What SCPS counts beside the GVSP header: IPv4 20, UDP 8."""
ETHERNET_BYTES = 38
"""What a packet takes on Ethernet beside itself: MAC header 14, checksum 4, preamble 8, gap 12."""
SUCCESS, PACKET_RESEND = 0x0000, 0x0100
PACKET_UNAVAILABLE = 0x800C
_EXTENDED = 0x80
_STANDARD_HEADER = struct.Struct(">HHI")
_EXTENDED_HEADER = struct.Struct(">HHB3xQI")
_LEADER = struct.Struct(">HHQIIIIIHH")


@dataclass(frozen=True, slots=True)
class Layout:
    """Which ids a stream uses, and with them how long a header is."""

    extended: bool

    @property
    def header_bytes(self) -> int:
        return _EXTENDED_HEADER.size if self.extended else _STANDARD_HEADER.size

    def data_bytes(self, packet_size: int) -> int:
        """Payload of a data packet where SCPS is `packet_size`."""
        return packet_size - IP_UDP_BYTES - self.header_bytes

    def block_id(self, count: int) -> int:
        """The id of the `count`th block (from 0): 0 is never one, and 16 bits wrap to 1."""
        return count + 1 if self.extended else count % 0xFFFF + 1

    def header(self, status: int, block_id: int, kind: int, packet_id: int) -> bytes:
        if self.extended:
            return _EXTENDED_HEADER.pack(status, 0, kind | _EXTENDED, block_id, packet_id)
        return _STANDARD_HEADER.pack(status, block_id, kind << 24 | packet_id)

    def headers(self, block_id: int, ids: range) -> list[bytes]:
        """Of data packets, one for each id: thousands for a frame."""
        if self.extended:
            pack, kind = _EXTENDED_HEADER.pack, PAYLOAD | _EXTENDED
            return [pack(SUCCESS, 0, kind, block_id, packet_id) for packet_id in ids]
        pack, first = _STANDARD_HEADER.pack, PAYLOAD << 24
        return [pack(SUCCESS, block_id, first | packet_id) for packet_id in ids]


def image_leader(
    timestamp: int, pixel_format: int, width: int, height: int, offset_x: int, offset_y: int, *, chunks: bool
) -> bytes:
    """`timestamp` in ticks; the region in pixels."""
    kind = IMAGE | (WITH_CHUNKS if chunks else 0)
    return _LEADER.pack(0, kind, timestamp, pixel_format, width, height, offset_x, offset_y, 0, 0)


def image_trailer(lines: int, chunk_bytes: int, layout_id: int) -> bytes:
    """`lines` that were really sent; `chunk_bytes` behind them, whose order and sizes have this id."""
    if chunk_bytes:
        return struct.pack(">HHIII", 0, IMAGE | WITH_CHUNKS, lines, chunk_bytes, layout_id)
    return struct.pack(">HHI", 0, IMAGE, lines)
