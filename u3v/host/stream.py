"""Taking frames from a camera's stream endpoint, with requests of several frames queued in advance.

State of a `StreamReader`: slots that are posted (oldest first, each with its unfinished request handles),
free, or handed out in a `Frame` until `release`; the slot in which the stream went astray, and a leader that came
too early, whose frame is the next. Not thread safe, no clock: a timeout is per transfer.

A lost or doubled piece puts the stream out of step with the slots. Then all requests are taken back (what has come
into them meanwhile is lost) and single ones are made until a leader or a trailer ends one: after a trailer the slots
are posted again, after a leader the rest of its slot is. So a lost piece costs its own frame, and the next one where
that has begun to arrive.
Always true: each call of `next_frame` ends, with a frame or an error, after `MAX_LOST_FRAMES` frames' worth of
bytes at most.
"""

from collections import deque
from collections.abc import Iterable

from u3v.errors import U3VError
from u3v.host.assembler import (
    DEFAULT_TRANSFER_BYTES,
    Found,
    Frame,
    FrameAssembler,
    Slot,
    StreamSetup,
    mark_at_the_end,
    peek,
    plan_stream,
)
from u3v.host.bus import UsbOverflow, WriteBuffer, clear_halt
from u3v.host.client import U3VClient
from u3v.host.registers import SI_CONTROL
from u3v.wire.stream import LEADER_MAGIC, TRAILER_MAGIC

MAX_POSTED_FRAMES = 8
MAX_POSTED_BYTES = 64 << 20
MAX_LOST_FRAMES = 4


class StreamLost(U3VError):
    """The camera sends data, but no leader and no trailer among it."""


class StreamReader:
    """`start()`, then `next_frame()` and `release()` again and again, then `stop()`.

    The caller runs AcquisitionStart after `start()` and AcquisitionStop before `stop()`.
    """

    def __init__(self, client: U3VClient, transfer_bytes: int = DEFAULT_TRANSFER_BYTES) -> None:
        """Read the stream registers and plan the transfers. Raises U3VError where it cannot stream."""
        pipe = client.function.stream_in
        if pipe is None:
            raise U3VError("the camera has no stream interface")
        self._client = client
        self._bus = client.bus
        self._endpoint = pipe.address
        sirm = client.sirm()
        self._sirm_address = sirm.address
        self.setup: StreamSetup = plan_stream(sirm, pipe.max_packet, transfer_bytes)
        self.assembler = FrameAssembler(self.setup)
        self.resyncs = 0
        self.after_stop = 0
        self._running = False
        self._astray: Slot | None = None
        self._passed_id: int | None = None
        self._debris_bytes = 0
        self._early_leader = memoryview(b"")
        self._free: deque[Slot] = deque()
        self._posted: deque[tuple[Slot, deque[int]]] = deque()
        self._depth = max(2, min(MAX_POSTED_FRAMES, MAX_POSTED_BYTES // self.setup.plan.capacity))
        size = max(transfer_bytes, 1 << 16)
        self._scratch = memoryview(bytearray(size - size % pipe.max_packet))

    @property
    def buffer_bytes(self) -> int:
        """Memory a frame needs."""
        return self.setup.plan.capacity

    @property
    def payload_size(self) -> int:
        """Of each frame, in bytes."""
        return self.setup.payload_size

    @property
    def posted(self) -> int:
        """Frames whose requests are queued. With 0 and nothing to release, `next_frame` cannot work."""
        return len(self._posted)

    def start(self, buffers: Iterable[WriteBuffer]) -> None:
        """Enable the stream; queue requests into `buffers`, each for one frame of `buffer_bytes`."""
        self._free.extend(Slot(self.setup, buffer) for buffer in buffers)
        if not self._free:
            raise ValueError("a stream needs at least one buffer")
        control = self._sirm_address + SI_CONTROL
        self._client.write_u32(control, 0)
        clear_halt(self._bus, self._endpoint)  # whatever a host that died has left there
        raw = self.setup.registers()
        for at in range(0, len(raw), 4):
            self._client.write(self._sirm_address + self.setup.register_offset + at, raw[at : at + 4])
        self._client.write_u32(control, 1)
        self._running = True
        self._post()

    def next_frame(self, timeout_ms: int) -> Frame:
        """The next frame, complete or not. Its memory is the caller's until `release(frame)`.

        Raises UsbTimeout where no transfer completes in time (call again to go on waiting), StreamLost, UsbError.
        """
        while True:
            if self._astray is None:
                self._post()
                if not self._posted:
                    raise U3VError("every buffer is in use: release a frame first")
                slot = self._receive(timeout_ms)
                if slot is not None:
                    return self.assembler.finish(slot)
            frame = self._find_step(timeout_ms)
            if frame is not None:
                return frame

    def release(self, frame: Frame) -> None:
        """Give a frame's memory back and let the camera have it."""
        self._recycle(frame.slot)
        if self._running and self._astray is None:
            self._post()

    def stop(self) -> None:
        """Take all requests back and disable the stream. A frame that had begun counts as incomplete.

        Frames that came into requests nobody waited for any more are none of the assembler's: see `after_stop`.
        """
        self._running = False
        begun = self._posted[0][0] if self._posted else None
        waiting = [slot for slot, _ in self._posted if not slot.received]
        self._take_back()
        self.after_stop = sum(peek(slot.views[0], LEADER_MAGIC) is not None for slot in waiting)
        if self._astray is not None:
            self.assembler.finish(self._astray)
        elif begun is not None and begun.received:
            self.assembler.finish(begun)
        if self._early_leader:
            self.assembler.count(peek(self._early_leader, LEADER_MAGIC))
        self._client.write_u32(self._sirm_address + SI_CONTROL, 0)

    def _receive(self, timeout_ms: int) -> Slot | None:
        """The oldest slot when all its transfers have completed; None where the stream goes astray in it."""
        slot, handles = self._posted[0]
        while handles:
            trouble = ""
            try:
                length = self._bus.wait_in(handles[0], timeout_ms)
            except UsbOverflow as error:
                length, trouble = 0, f"overflow: {error}"
            handles.popleft()
            if self.assembler.completed(slot, length, trouble) is not Found.DUE:
                self.resyncs += 1
                self._astray, self._debris_bytes = slot, 0
                self._take_back()
                self._passed_id = peek(slot.stray_mark, LEADER_MAGIC)
                if self._passed_id is not None:  # what followed it may be in the requests just taken back
                    slot.stray_mark = memoryview(b"")
                return None
        self._posted.popleft()
        return slot

    def _find_step(self, timeout_ms: int) -> Frame | None:
        """Read on until a leader or trailer goes by. The frame that went astray; None where it was debris only."""
        slot = self._astray
        assert slot is not None
        while not slot.stray_mark:
            self._read_on(slot, timeout_ms)
        self._astray = None
        mark = memoryview(bytes(slot.stray_mark))
        own_id, leader_id = peek(slot.leader, LEADER_MAGIC), peek(mark, LEADER_MAGIC)
        trailer_id = peek(mark, TRAILER_MAGIC)
        if leader_id is not None:
            self._early_leader = mark  # no request is queued, so what follows it is still to come
        elif own_id in (None, trailer_id):
            slot.trailer = mark
        frame = None
        if slot.trailer or own_id not in (None, leader_id):
            frame = self.assembler.finish(slot)
        else:  # nothing but debris before a leader, or the same leader twice
            self.assembler.strays += 1
            self._recycle(slot)
        for block_id in (self._passed_id, trailer_id):  # of frames of which nothing else was seen
            if block_id is not None and block_id > self.assembler.last_block_id:
                self.assembler.count(block_id)
        return frame

    def _read_on(self, slot: Slot, timeout_ms: int) -> None:
        try:
            length = self._bus.bulk_in_into(self._endpoint, self._scratch, timeout_ms)
        except UsbOverflow:
            length = 0
        mark = mark_at_the_end(self._scratch[:length], self.setup.max_packet)
        if mark is not None:
            slot.stray_mark = memoryview(bytes(mark))
            return
        self._debris_bytes += max(length, self.setup.max_packet)
        if self._debris_bytes > MAX_LOST_FRAMES * self.buffer_bytes + len(self._scratch):
            raise StreamLost(
                f"the camera sent {self._debris_bytes} bytes, {MAX_LOST_FRAMES} frames' worth,"
                " without a leader or trailer among them"
            )

    def _recycle(self, slot: Slot) -> None:
        slot.clear()
        self._free.append(slot)

    def _post(self) -> None:
        while self._free and len(self._posted) < self._depth:
            slot = self._free.popleft()
            if self._early_leader:
                slot.begin_with(self._early_leader)
                self._early_leader = memoryview(b"")
            else:
                slot.views[0][:4] = bytes(4)  # the leader that was there before
            views = slot.views[len(slot.received) :]
            self._posted.append((slot, deque(self._bus.submit_in(self._endpoint, view) for view in views)))

    def _take_back(self) -> None:
        """Take back all that is posted; newest first, so that no data slips into them."""
        for handle in reversed([handle for _, handles in self._posted for handle in handles]):
            self._bus.cancel_in(handle)
        self._free.extend(slot for slot, _ in self._posted if not slot.received)
        self._posted.clear()
