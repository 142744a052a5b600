"""From GVSP packets to frames that are complete, incomplete (and why) or missing. Pure.

State of `Blocks`: free buffers, the blocks that have begun, and what was counted. Always true: each packet's data is
copied to where its id says, once; blocks are judged in the order of their ids; `delivered + incomplete + discarded` is
the number of ids up to the last one judged. 16-bit ids, which go from 65535 to 1, are counted on.
"""

import struct
from collections import deque
from dataclasses import dataclass

from u3v.host.bus import WriteBuffer
from u3v.wire.stream import Leader

LEADER, TRAILER, DATA = 1, 2, 3
ASK_AFTER_NS = 10_000_000
"""A block in which nothing comes any more for so long lacks something."""
GIVE_UP_NS = 1_000_000_000
MOST_ASKED = 6
"""Twice as long after each time that a block was asked for."""
MOST_RANGES = 32
NEAR = 16
"""Blocks by which an id may be ahead of the newest one. Further ahead, a second packet has to say the same: a stray one
would end all blocks before it."""
_IDS = 0xFFFF
_STANDARD = struct.Struct(">HHI")
_EXTENDED = struct.Struct(">HHI QI")
_LEADER = struct.Struct(">HHQIIIIIHH")
_TRAILER = struct.Struct(">HHI")
_ERROR_BIT, _NOT_YET = 0x8000, 0x8010
_IP_UDP_BYTES = 28
_IMAGE, _CHUNKS = 0x0001, 0x4000


@dataclass(frozen=True, slots=True)
class GigeFrame:
    """One frame, whole or not. `payload`: its bytes, in the buffer that `release` gives back."""

    block_id: int
    leader: Leader | None
    payload: memoryview
    complete: bool
    reason: str
    buffer: memoryview


@dataclass(frozen=True, slots=True)
class Missing:
    """Packets `first` .. `last`, both included, of one block. `raw_id`: as the camera counts."""

    raw_id: int
    first: int
    last: int


class _Block:
    __slots__ = (
        *("asked", "asked_ns", "buffer", "got", "have", "heard_ns", "highest"),
        *("leader", "lines", "raw_id", "refused"),
    )

    def __init__(self, raw_id: int, buffer: memoryview, packets: int, now_ns: int) -> None:
        self.raw_id = raw_id
        self.buffer = buffer
        self.got = bytearray(packets)
        self.have = 0
        self.highest = -1
        self.leader: Leader | None = None
        self.lines: int | None = None
        self.refused = 0
        self.heard_ns = now_ns
        self.asked_ns = 0
        self.asked = 0


class Blocks:
    """`payload_bytes` of each frame, in packets of `packet_bytes` (SCPS: with IP and UDP headers)."""

    def __init__(self, payload_bytes: int, packet_bytes: int) -> None:
        self.payload_bytes = payload_bytes
        self._packet_bytes = packet_bytes
        self._header_bytes = 0
        self._other = b""
        self._data_bytes = self._rest = self._trailer = 0
        self._free: deque[memoryview] = deque()
        self._open: dict[int, _Block] = {}
        self._newest = 0
        self._far: tuple[int, bytes] | None = None
        self.is_extended = False
        self.first_block_id = 1
        self.last_block_id = 0
        self.delivered = self.incomplete = self.discarded = self.strays = 0

    @property
    def room(self) -> int:
        """Buffers that wait for blocks, or have one in them."""
        return len(self._free) + len(self._open)

    @property
    def begun(self) -> int:
        """Blocks of which something has come."""
        return len(self._open)

    def add(self, buffer: WriteBuffer) -> None:
        """Memory for a frame. Raises ValueError where it is too small."""
        memory = memoryview(buffer).cast("B")
        if len(memory) < self.payload_bytes:
            raise ValueError(f"{len(memory)} bytes of memory for {self.payload_bytes} of payload")
        self._free.append(memory)

    def packet(self, datagram: memoryview, now_ns: int) -> None:
        """One packet of the stream, whatever its bytes."""
        if len(datagram) < _STANDARD.size:
            self.strays += 1
            return
        if datagram[4] & 0x80:
            if len(datagram) < _EXTENDED.size:
                self.strays += 1
                return
            status, _, kind, raw_id, packet_id = _EXTENDED.unpack_from(datagram)
            kind, at = kind >> 24 & 0x7F, _EXTENDED.size
        else:
            status, raw_id, kind = _STANDARD.unpack_from(datagram)
            kind, packet_id, at = kind >> 24, kind & 0xFFFFFF, _STANDARD.size
        if at != self._header_bytes and raw_id:
            first, self._other = self._other, bytes(datagram)
            if self._header_bytes and not first:
                self.strays += 1  # until a second one in a row has this header, too
                return
            self._learn(at)
            if first:
                self.strays -= 1
                self.packet(memoryview(first), now_ns)
        self._other = b""
        if raw_id and not self._is_likely(self._id_of(raw_id), datagram, now_ns):
            return
        block = self._block(raw_id, now_ns) if raw_id else None
        if block is None or packet_id > self._trailer:
            self.strays += 1
            return
        block.heard_ns = now_ns
        if block.got[packet_id]:
            return
        if status & _ERROR_BIT:
            block.refused = status if status != _NOT_YET else block.refused
            return
        if kind == DATA:
            size = self._rest if packet_id == self._trailer - 1 else self._data_bytes
            if not 0 < packet_id < self._trailer or len(datagram) - at < size:
                self.strays += 1
                return
            to = (packet_id - 1) * self._data_bytes
            block.buffer[to : to + size] = datagram[at : at + size]
        elif not self._mark(block, kind, packet_id, datagram[at:]):
            self.strays += 1
            return
        block.got[packet_id] = 1
        block.have += 1
        if packet_id > block.highest:
            block.highest = packet_id

    def take(self, now_ns: int) -> GigeFrame | None:
        """The oldest block, if it is whole or nothing more of it will come."""
        if not self._open:
            return None
        block_id = min(self._open)
        block = self._open[block_id]
        whole = block.have == self._trailer + 1
        if not whole and not block.refused and now_ns - block.heard_ns < GIVE_UP_NS:
            return None
        del self._open[block_id]
        self.discarded += block_id - self.last_block_id - 1
        self.last_block_id = block_id
        reason = "" if whole else self._reason(block)
        if whole and block.leader is not None and block.lines != block.leader.size_y:
            reason = f"the trailer says {block.lines} of {block.leader.size_y} lines were sent"
        self.delivered += not reason
        self.incomplete += bool(reason)
        payload = block.buffer[: self.payload_bytes]
        return GigeFrame(block_id, block.leader, payload, not reason, reason, block.buffer)

    def missing(self, now_ns: int) -> list[Missing]:
        """What to ask for again now."""
        wanted: list[Missing] = []
        for block_id, block in self._open.items():
            overtaken = block_id < self._newest or now_ns - block.heard_ns > ASK_AFTER_NS
            end = self._trailer if overtaken else block.highest
            if (
                block.have > end
                or block.asked >= MOST_ASKED
                or now_ns - block.asked_ns < ASK_AFTER_NS << block.asked
            ):
                continue
            block.asked_ns, block.asked = now_ns, block.asked + 1
            wanted += _ranges(block, end)[:MOST_RANGES]
        return wanted

    def _learn(self, header_bytes: int) -> None:
        """The first packet shows which header they have, and so how the payload is cut. What has come with another
        header fits no more.
        """
        self.is_extended = header_bytes == _EXTENDED.size
        self._header_bytes = header_bytes
        self._data_bytes = self._packet_bytes - _IP_UDP_BYTES - header_bytes
        packets = -(-self.payload_bytes // self._data_bytes)
        self._rest = self.payload_bytes - (packets - 1) * self._data_bytes
        self._trailer = packets + 1
        self._free.extend(block.buffer for block in self._open.values())
        self._open.clear()

    def _block(self, raw_id: int, now_ns: int) -> _Block | None:
        block_id = self._id_of(raw_id)
        block = self._open.get(block_id)
        if block is not None:
            return block
        if block_id <= self.last_block_id or not self._free:
            return None
        block = _Block(raw_id, self._free.popleft(), self._trailer + 1, now_ns)
        self._open[block_id] = block
        self._newest = max(self._newest, block_id)
        return block

    def _is_likely(self, block_id: int, datagram: memoryview, now_ns: int) -> bool:
        """Whether this is a block's packet. One that is far ahead is kept, and counts once another one follows it."""
        if block_id <= self._newest + NEAR:
            return True
        first, self._far = self._far, (block_id, bytes(datagram))
        if first is None or not 0 <= block_id - first[0] <= 1 or first[1] == datagram:
            self.strays += 1
            return False
        self._newest, self._far = first[0], None
        self.strays -= 1
        self.packet(memoryview(first[1]), now_ns)
        return True

    def _id_of(self, raw_id: int) -> int:
        return raw_id if self.is_extended else self._counted_on(raw_id)

    def _counted_on(self, raw_id: int) -> int:
        """Of all numbers that a 16-bit id may stand for, the one next to the newest block."""
        ahead = (raw_id - self._newest) % _IDS
        return self._newest + (ahead if ahead <= _IDS // 2 or self._newest + ahead < _IDS else ahead - _IDS)

    def _mark(self, block: _Block, kind: int, packet_id: int, data: memoryview) -> bool:
        """Whether this is the leader or the trailer that its id promises."""
        if kind == LEADER and packet_id == 0 and len(data) >= _LEADER.size:
            _, payload_type, timestamp, code, x, y, offset_x, offset_y, pad, _ = _LEADER.unpack_from(data)
            if payload_type & ~_CHUNKS != _IMAGE:
                return False
            block.leader = Leader(block.raw_id, timestamp, code, x, y, offset_x, offset_y, pad, payload_type)
            return True
        if kind == TRAILER and packet_id == self._trailer and len(data) >= _TRAILER.size:
            block.lines = _TRAILER.unpack_from(data)[2]
            return True
        return False

    def _reason(self, block: _Block) -> str:
        if block.refused:
            return f"the camera does not have a packet any more: status {block.refused:#06x}"
        if not block.got[0]:
            return "no leader"
        if not block.got[self._trailer]:
            return "no trailer"
        return f"{self._trailer + 1 - block.have} of {self._trailer + 1} packets are missing"


def _ranges(block: _Block, end: int) -> list[Missing]:
    """The holes in a block up to the packet `end`."""
    found: list[Missing] = []
    first = block.got.find(0, 0, end + 1)
    while first >= 0:
        after = block.got.find(1, first, end + 1)
        last = end if after < 0 else after - 1
        found.append(Missing(block.raw_id, first, last))
        first = -1 if after < 0 else block.got.find(0, after, end + 1)
    return found
