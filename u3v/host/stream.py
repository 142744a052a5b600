"""Taking frames from a camera's stream endpoint, with requests of several frames queued in advance.

State of a `StreamReader`: slots that are posted (oldest first, each with its unfinished request handles),
free, or handed out in a `Frame` until `release`; and whether the stream is in step with the slots. Out of
step (a leader or trailer is not where it belongs) all requests are taken back and single ones are made until
a trailer goes by; after it the slots are posted again. Not thread safe, no clock: a timeout is per transfer.
"""

from collections import deque
from collections.abc import Iterable

from u3v.errors import U3VError
from u3v.host.assembler import (
    DEFAULT_TRANSFER_BYTES,
    Frame,
    FrameAssembler,
    Slot,
    StreamSetup,
    mark_of,
    plan_stream,
)
from u3v.host.bus import UsbOverflow, WriteBuffer, clear_halt
from u3v.host.client import U3VClient
from u3v.host.registers import SI_CONTROL
from u3v.wire.stream import TRAILER_MAGIC

MAX_POSTED_FRAMES = 8
MAX_POSTED_BYTES = 64 << 20


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
        self._running = False
        self._in_step = True
        self._free: deque[Slot] = deque()
        self._posted: deque[tuple[Slot, deque[int]]] = deque()
        self._depth = max(2, min(MAX_POSTED_FRAMES, MAX_POSTED_BYTES // self.setup.plan.capacity))
        self._scratch = memoryview(bytearray(max(transfer_bytes, 1 << 16)))

    @property
    def buffer_bytes(self) -> int:
        """Memory a frame needs."""
        return self.setup.plan.capacity

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

        Raises UsbTimeout where no transfer completes in time (call again to go on waiting), UsbError.
        """
        while True:
            if not self._in_step:
                self._resync(timeout_ms)
            self._post()
            if not self._posted:
                raise U3VError("every buffer is in use: release a frame first")
            slot, handles = self._posted[0]
            while handles and self._in_step:
                trouble = ""
                try:
                    length = self._bus.wait_in(handles[0], timeout_ms)
                except UsbOverflow as error:
                    length, trouble = 0, f"overflow: {error}"
                handles.popleft()
                self._in_step = self.assembler.completed(slot, length, trouble)
            in_step = self._in_step
            self._posted.popleft()
            if not in_step:
                self.resyncs += 1
                self._give_up(handles)
            frame = self.assembler.finish(slot)
            if frame.leader is not None or in_step:
                return frame
            self._recycle(slot)

    def release(self, frame: Frame) -> None:
        """Give a frame's memory back and let the camera have it."""
        self._recycle(frame.slot)
        if self._running and self._in_step:
            self._post()

    def stop(self) -> None:
        """Take all requests back and disable the stream. A frame that had begun counts as incomplete."""
        self._running = False
        begun = self._posted[0][0] if self._posted else None
        self._give_up(deque())
        if begun is not None and begun.received:
            self.assembler.finish(begun)
        self._client.write_u32(self._sirm_address + SI_CONTROL, 0)

    def _recycle(self, slot: Slot) -> None:
        slot.clear()
        self._free.append(slot)

    def _post(self) -> None:
        while self._free and len(self._posted) < self._depth:
            slot = self._free.popleft()
            handles = deque(self._bus.submit_in(self._endpoint, view) for view in slot.views)
            self._posted.append((slot, handles))

    def _give_up(self, handles: deque[int]) -> None:
        """Take back `handles` and all that is posted; newest first, so that no data slips into them."""
        taken = [handle for _, posted in self._posted for handle in posted]
        for handle in reversed([*handles, *taken]):
            self._bus.cancel_in(handle)
        self._free.extend(slot for slot, _ in self._posted if not slot.received)
        self._posted.clear()

    def _resync(self, timeout_ms: int) -> None:
        """Read on until a trailer goes by. Leaders and trailers seen on the way are incomplete frames."""
        while not self._in_step:
            try:
                length = self._bus.bulk_in_into(self._endpoint, self._scratch, timeout_ms)
            except UsbOverflow:
                continue
            mark = mark_of(self._scratch[:length])
            if mark is None:
                continue
            magic, block_id = mark
            if block_id > self.assembler.last_block_id:
                self.assembler.count(block_id)
            self._in_step = magic == TRAILER_MAGIC
