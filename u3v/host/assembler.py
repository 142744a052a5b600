"""From completed transfers to frames that are complete, incomplete (and why) or missing. Pure.

`plan_stream` decides how the payload is cut; `Slot` is one frame's memory, cut accordingly, so that every
transfer lands where it belongs and nothing is copied; `FrameAssembler` judges a slot and counts. Always true
of its counters: `delivered + incomplete + discarded == last_block_id + 1 - first_block_id`, that is, each
block id up to the last one seen is exactly one of

- delivered: leader, payload and trailer whole and in agreement,
- incomplete: something of it arrived, but not all, or it contradicts itself,
- discarded: nothing of it arrived (a gap in the ids: the camera had to drop it, or it was lost in a resync).

What has no new block id (debris between frames, repeated ids) is counted in `strays`, outside of the sum.

Where a piece was lost, what follows it lands in the wrong memory. Leaders and trailers are short packets, so
each of them is the last one of its request: `mark_at_the_end` finds them there, whatever came before. Example:
the trailer of block 4 is lost; the leader of block 5 ends the request made for it, and says where the stream is.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from u3v.errors import Malformed, Status, U3VError
from u3v.host.bus import WriteBuffer
from u3v.host.registers import SI_MAX_LEADER, Sirm
from u3v.wire.stream import LEADER_MAGIC, TRAILER_MAGIC, Leader, Trailer, TransferPlan

DEFAULT_TRANSFER_BYTES = 1 << 20
LEAST_LEADER_BYTES = 52
LEAST_TRAILER_BYTES = 32

_NAMES = {LEADER_MAGIC: "leader", TRAILER_MAGIC: "trailer"}
_HEAD = struct.Struct("<IHHQ")
_LEADER = struct.Struct("<HHQIIIIIH")  # from byte 16 on: image leader
_TRAILER = struct.Struct("<HHQI")  # from byte 16 on


@dataclass(frozen=True, slots=True)
class StreamSetup:
    """What goes into the SI registers. Sizes in bytes; `plan.capacity` is the memory a frame needs."""

    payload_size: int
    leader_size: int
    trailer_size: int
    plan: TransferPlan
    max_packet: int = 1024

    def registers(self) -> bytes:
        """SI_Maximum_Leader_Size up to SI_Maximum_Trailer_Size, as they lie in the SIRM from +0x18 on."""
        plan = self.plan
        return struct.pack(
            "<6I",
            self.leader_size,
            plan.transfer_size,
            plan.transfer_count,
            plan.final1_size,
            plan.final2_size,
            self.trailer_size,
        )

    @property
    def register_offset(self) -> int:
        return SI_MAX_LEADER


def plan_stream(sirm: Sirm, max_packet: int, transfer_bytes: int = DEFAULT_TRANSFER_BYTES) -> StreamSetup:
    """Equal transfers of at most `transfer_bytes`, then one for the rest, all multiples of the alignment.

    Leader and trailer get whole packets, so that a stream out of step yields wrong data instead of babble.
    Raises U3VError where the camera's requirements cannot be met.
    """
    if not sirm.required_payload:
        raise U3VError("the camera says SI_Required_Payload_Size 0: there is nothing to stream")
    step = max(sirm.alignment, max_packet)  # both are powers of two
    if sirm.required_payload > 1 << 40 or step > transfer_bytes:
        raise U3VError(
            f"the camera wants {sirm.required_payload} bytes of payload in multiples of {sirm.alignment};"
            f" transfers of {transfer_bytes} bytes do not allow that"
        )
    size = transfer_bytes // step * step
    count, rest = divmod(sirm.required_payload, size)
    return StreamSetup(
        sirm.required_payload,
        _round_up(max(sirm.required_leader, LEAST_LEADER_BYTES), step),
        _round_up(max(sirm.required_trailer, LEAST_TRAILER_BYTES), step),
        TransferPlan(size if count else 0, count, _round_up(rest, sirm.alignment), 0),
        max_packet,
    )


def _round_up(value: int, step: int) -> int:
    return -(-value // step) * step


class Found(Enum):
    """What a completed transfer turned out to be."""

    DUE = "what was due, or a damaged one of it"
    LEADER = "a leader where something else was due"
    TRAILER = "a trailer where something else was due"
    DEBRIS = "nothing that says where in the stream it is from"


class Slot:
    """Memory of one frame: `views` are its transfers in order: leader, payload pieces, trailer.

    `buffer` is the caller's, at least `setup.plan.capacity` bytes; the payload lies in it from byte 0 on.
    `received` holds the length of each transfer that has completed so far. `stray_mark`: the leader or trailer
    that came where something else was due.
    """

    def __init__(self, setup: StreamSetup, buffer: WriteBuffer) -> None:
        self.memory = memoryview(buffer).cast("B")
        if len(self.memory) < setup.plan.capacity:
            raise ValueError(f"{len(self.memory)} bytes of memory for {setup.plan.capacity} of payload")
        self.views = [memoryview(bytearray(setup.leader_size))]
        at = 0
        for size in setup.plan.sizes():
            self.views.append(self.memory[at : at + size])
            at += size
        self.views.append(memoryview(bytearray(setup.trailer_size)))
        self.clear()

    def clear(self) -> None:
        self.received: list[int] = []
        self.leader = self.trailer = self.stray_mark = memoryview(b"")
        self.trouble = ""

    def begin_with(self, leader: memoryview) -> None:
        """Take a leader that has come already, in the memory of another request."""
        self.views[0][: len(leader)] = leader
        self.leader = self.views[0][: len(leader)]
        self.received.append(len(leader))


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame, whole or not. `payload` is the received part, in the slot's memory."""

    slot: Slot
    block_id: int | None
    leader: Leader | None
    trailer: Trailer | None
    payload: memoryview
    complete: bool
    reason: str


class FrameAssembler:
    """Judges slots whose transfers have completed; see the module's text for the counters."""

    def __init__(self, setup: StreamSetup, first_block_id: int = 0) -> None:
        self.setup = setup
        self.first_block_id = first_block_id
        self.last_block_id = first_block_id - 1
        self.delivered = 0
        self.incomplete = 0
        self.discarded = 0
        self.strays = 0

    def completed(self, slot: Slot, length: int, trouble: str = "") -> Found:
        """Note that the next transfer of `slot` has completed. DUE: the stream is in step with it.

        `trouble` says what else happened to the transfer, such as an overflow. A short packet where a leader or
        trailer was due is a damaged one of those: what follows it is still where it belongs.
        """
        index = len(slot.received)
        view = slot.views[index][:length]
        last = len(slot.views) - 1
        due = LEADER_MAGIC if index == 0 else TRAILER_MAGIC if index == last else None
        if due is not None and peek(view, due) is not None:
            slot.received.append(length)
            if due == LEADER_MAGIC:
                slot.leader = view
            else:
                slot.trailer = view
            return Found.DUE
        found = Found.DUE
        if trouble and due is not None:
            found = Found.DEBRIS
        elif length < len(slot.views[index]):  # a full request has no mark at its end
            mark = mark_at_the_end(view, self.setup.max_packet)
            if mark is not None:
                slot.stray_mark, length = mark, length - len(mark)
                found = Found.LEADER if peek(mark, LEADER_MAGIC) is not None else Found.TRAILER
        elif due is not None:
            found = Found.DEBRIS
        if not trouble and due is not None:
            trouble = f"no {_NAMES[due]} where one was due"
        elif not trouble and found is not Found.DUE:
            trouble = f"a {found.name.lower()} where payload was due"
        slot.trouble = slot.trouble or trouble
        slot.received.append(0 if due is not None else length)
        return found

    def finish(self, slot: Slot) -> Frame:
        """Judge a slot, also one that was given up half-way."""
        leader, trouble = self._leader(slot)
        trailer, more = self._trailer(slot)
        pieces = slot.received[1 : len(slot.views) - 1]
        received = _contiguous(pieces, [len(view) for view in slot.views[1:-1]])
        reason = slot.trouble or trouble or more
        if leader is not None and trailer is not None and not reason:
            reason = self._contradiction(leader, trailer, received)
        block_id = (
            leader.block_id if leader is not None else trailer.block_id if trailer is not None else None
        )
        if block_id is not None and block_id <= self.last_block_id:
            reason = f"block id {block_id} comes after {self.last_block_id}"
        self.count(block_id, complete=not reason)
        payload = slot.memory[:received]
        return Frame(slot, block_id, leader, trailer, payload, not reason, reason)

    def count(self, block_id: int | None, *, complete: bool = False) -> None:
        """Account for a block id that was seen, as delivered or incomplete; none or an old one: a stray."""
        if block_id is None or block_id <= self.last_block_id:
            self.strays += 1
            return
        self.discarded += block_id - self.last_block_id - 1
        self.last_block_id = block_id
        if complete:
            self.delivered += 1
        else:
            self.incomplete += 1

    def _leader(self, slot: Slot) -> tuple[Leader | None, str]:
        if not slot.leader:
            return None, "no leader"
        try:
            return parse_leader(slot.leader), ""
        except Malformed as error:
            return None, f"leader: {error}"

    def _trailer(self, slot: Slot) -> tuple[Trailer | None, str]:
        if not slot.trailer:
            return None, "no trailer"
        try:
            return parse_trailer(slot.trailer), ""
        except Malformed as error:
            return None, f"trailer: {error}"

    def _contradiction(self, leader: Leader, trailer: Trailer, received: int) -> str:
        if trailer.block_id != leader.block_id:
            return f"leader of block {leader.block_id}, trailer of block {trailer.block_id}"
        if trailer.status:
            return f"trailer status {_status(trailer.status)}"
        if received != self.setup.payload_size:
            return f"{received} of {self.setup.payload_size} payload bytes arrived"
        if trailer.valid_payload_size != received:
            return f"trailer says {trailer.valid_payload_size} bytes are valid, {received} arrived"
        if trailer.size_y != leader.size_y:
            return f"trailer says {trailer.size_y} of {leader.size_y} lines were sent"
        return ""


def peek(view: memoryview, magic: int) -> int | None:
    """The block id of a leader or trailer, by its magic alone; None where this is not one."""
    if len(view) < _HEAD.size:
        return None
    found, _, _, block_id = _HEAD.unpack_from(view)
    return int(block_id) if found == magic else None


def mark_at_the_end(view: memoryview, max_packet: int) -> memoryview | None:
    """The leader or trailer that ended a request: a last packet whose magic and size agree; None without one."""
    tail = view[len(view) // max_packet * max_packet :]
    return tail if any(_is_mark(tail, magic) for magic in _NAMES) else None


def _is_mark(view: memoryview, magic: int) -> bool:
    return peek(view, magic) is not None and int(_HEAD.unpack_from(view)[2]) == len(view)


def parse_leader(view: memoryview) -> Leader:
    """An image leader; longer ones are taken by their first 52 bytes. Raises Malformed."""
    if len(view) < LEAST_LEADER_BYTES:
        raise Malformed(f"{len(view)} bytes are no image leader of {LEAST_LEADER_BYTES}")
    magic, _, size, block_id = _HEAD.unpack_from(view)
    if magic != LEADER_MAGIC or size != len(view):
        raise Malformed(f"magic {magic:#010x} and size {size} in {len(view)} bytes")
    _, kind, timestamp, code, size_x, size_y, offset_x, offset_y, padding = _LEADER.unpack_from(view, 16)
    if kind & 0x3FFF != 1:  # 0x4000: with chunks
        raise Malformed(f"payload type {kind:#06x} is no image")
    return Leader(block_id, timestamp, code, size_x, size_y, offset_x, offset_y, padding, kind)


def parse_trailer(view: memoryview) -> Trailer:
    """A trailer; longer ones (chunks) are taken by their first 32 bytes. Raises Malformed."""
    if len(view) < LEAST_TRAILER_BYTES:
        raise Malformed(f"{len(view)} bytes are no image trailer of {LEAST_TRAILER_BYTES}")
    magic, _, size, block_id = _HEAD.unpack_from(view)
    if magic != TRAILER_MAGIC or size != len(view):
        raise Malformed(f"magic {magic:#010x} and size {size} in {len(view)} bytes")
    status, _, valid, size_y = _TRAILER.unpack_from(view, 16)
    return Trailer(block_id, status, valid, size_y)


def _contiguous(lengths: Sequence[int], sizes: Sequence[int]) -> int:
    """Payload bytes without a hole in front of them."""
    total = 0
    for length, size in zip(lengths, sizes, strict=False):
        total += length
        if length < size:
            break
    return total


def _status(code: int) -> str:
    try:
        return f"{Status(code).name} ({code:#06x})"
    except ValueError:
        return f"{code:#06x}"
