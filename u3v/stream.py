"""The stream channel: the camera's frame memory, and frames as leader, payload and trailer transfers.

State: the plan that the host's SI registers announced when it enabled the stream, the frames that have a
place in the frame memory (claimed, then filled, then sent, in order), and the counters. Always true:
offered = delivered + discarded + held, in frames. A frame for which there is no room when it is exposed is
discarded and its block id is skipped; one that was cut short says so in its trailer.

A camera whose memory is smaller than a frame streams through it: what the sensor reads out faster than the host
fetches it is lost, and the frame ends there.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from u3v.acquisition import Exposure
from u3v.errors import Status
from u3v.function import InTransfer, Lease
from u3v.wire.pfnc import PIXEL_FORMATS
from u3v.wire.stream import Leader, Trailer, TransferPlan

if TYPE_CHECKING:
    from u3v.camera import Camera

_EMPTY = memoryview(b"")


@dataclass(slots=True, eq=False)
class _Frame:
    exposure: Exposure
    data: memoryview | None = None
    late_ns: int = 0
    """From the begin of the readout to the pixels' coming: the machine's time, not the camera's."""


class StreamChannel:
    """`memory_bytes`: the camera's frame memory."""

    def __init__(self, camera: "Camera", memory_bytes: int) -> None:
        self.enabled = False
        self.memory_bytes = memory_bytes
        self.offered = 0
        self.delivered = 0
        self.discarded = 0
        self.bytes_delivered = 0
        self._camera = camera
        self._plan = TransferPlan(0, 0, 0, 0)
        self._frames: deque[_Frame] = deque()
        self._by_index: dict[int, _Frame] = {}  # the same frames by exposure: there can be 10 000 of them
        self._held_bytes = 0
        self._block_id = 0
        self._sending: Iterator[InTransfer] | None = None
        self._cut = False
        self._full = False
        self._fifo_ns = 0
        self._lease = Lease()

    @property
    def in_flight(self) -> int:
        """Frames that have a place in memory."""
        return len(self._frames)

    @property
    def next_block_id(self) -> int:
        return self._block_id

    def has_room(self, payload_bytes: int) -> bool:
        """Whether the frame memory takes one more frame of this size."""
        slots = self._camera.image_slots
        if slots is not None:
            return len(self._frames) < slots
        if payload_bytes > self.memory_bytes:  # one on its way through, one being exposed
            return len(self._frames) < 2
        return self._held_bytes + payload_bytes <= self.memory_bytes

    def enable(self, plan: TransferPlan) -> None:
        """SI_Control 1: start afresh, at a leader, with block id 0."""
        self.disable()
        self.enabled = True
        self._plan = plan
        self._block_id = 0
        self._fifo_ns = 0

    def disable(self) -> None:
        """SI_Control 0: everything held is discarded."""
        self.enabled = False
        self.flush()

    def flush(self) -> None:
        """Discard what is held, and what was handed over but not sent; the next transfer is a leader."""
        self._lease.ended = True
        self._lease = Lease()
        self.discarded += len(self._frames)
        self._frames.clear()
        self._by_index.clear()
        self._held_bytes = 0
        self._sending = None
        self._cut = False
        self._full = False

    def abort(self) -> None:
        """Discard all frames but the one on the wire, which is cut short."""
        if self._sending is None:
            self.flush()
            return
        self._cut = True
        while len(self._frames) > 1:
            dropped = self._frames.pop().exposure
            del self._by_index[dropped.index]
            self._held_bytes -= dropped.payload_bytes
            self.discarded += 1

    def claim(self, exposure: Exposure) -> bool:
        """Room for a frame that is being exposed. False: none, the frame is discarded."""
        if not self.enabled:
            return False
        self.offered += 1
        self._block_id += 1
        if not self.has_room(exposure.payload_bytes):
            self.discarded += 1
            return False
        frame = self._by_index[exposure.index] = _Frame(exposure)
        self._frames.append(frame)
        self._held_bytes += exposure.payload_bytes
        if not self.has_room(exposure.payload_bytes):
            self._full = True
            self._camera.emit("TransferBufferFull", exposure.start_ns, exposure.block_id)
        return True

    def holds(self, exposure: Exposure) -> bool:
        """Whether the frame of this exposure still has a place in memory."""
        return exposure.index in self._by_index

    def deliver(self, exposure: Exposure, data: memoryview) -> None:
        """The pixels of a claimed frame. Of a frame that was discarded meanwhile they are dropped."""
        frame = self._by_index.get(exposure.index)
        if frame is not None:
            frame.data = data
            frame.late_ns = max(0, self._camera.now_ns - exposure.readout_start_ns)

    def next_transfer(self) -> InTransfer | None:
        if self._sending is None:
            if not self._frames or self._frames[0].data is None:
                return None
            self._sending = self._transfers(self._frames[0])
        return next(self._sending, None)

    def _transfers(self, frame: _Frame) -> Iterator[InTransfer]:
        exposure, data = frame.exposure, frame.data
        assert data is not None
        pixel_format = PIXEL_FORMATS[exposure.pixel_format]
        # Bytes leave the camera's FIFO at the rate of the slower of sensor and throughput limit.
        camera = self._camera
        rate, start_ns = 0.0, 0
        if camera.acquisition.paced:
            rate = min(camera.throughput_bytes_per_s, len(data) * 1e9 / exposure.readout_ns)
            start_ns = max(exposure.readout_start_ns, self._fifo_ns)
            self._fifo_ns = start_ns + int(len(data) * 1e9 / rate)
        leader = Leader(
            exposure.block_id,
            exposure.timestamp_ns,
            pixel_format.code,
            exposure.width,
            exposure.height,
            exposure.offset_x,
            exposure.offset_y,
        )
        lease = self._lease
        yield InTransfer(memoryview(leader.pack()), ready_ns=start_ns, lease=lease)
        sent, kept = 0, len(data)
        status = Status.SUCCESS
        small = camera.acquisition.paced and len(data) > self.memory_bytes
        packet = camera.speed.max_packet
        for size in self._plan.sizes():
            room, ended = size, False
            step = max(packet, self.memory_bytes // 4 // packet * packet) if small else size
            while not ended:  # where the memory is small, look often whether it has run over
                ready_ns = start_ns + int(sent * 1e9 / rate) if rate else 0
                if small and kept == len(data):
                    kept = self._kept(frame, sent, ready_ns)
                part = min(room, step)
                piece = _EMPTY if self._cut else data[sent : min(sent + part, kept)]
                room -= len(piece)
                ended = not room or len(piece) < part
                yield InTransfer(piece, ended and room > 0, ready_ns, rate, lease)
                sent += len(piece)
        if sent < len(data):
            status = Status.DATA_DISCARDED if self._cut else Status.DATA_OVERRUN
        line_bits = exposure.width * pixel_format.bits_per_pixel
        trailer = Trailer(exposure.block_id, status, sent, sent * 8 // line_bits)
        self._frames.popleft()
        del self._by_index[exposure.index]
        self._held_bytes -= exposure.payload_bytes
        self._sending = None
        self._cut = False
        if self._full and self.has_room(exposure.payload_bytes):
            self._full = False
            self._camera.emit("TransferBufferReady", camera.now_ns, exposure.block_id)
        if status is Status.SUCCESS:
            self.delivered += 1
        else:
            self.discarded += 1
        self.bytes_delivered += sent
        yield InTransfer(memoryview(trailer.pack()), ready_ns=self._fifo_ns, lease=lease)

    def _kept(self, frame: _Frame, sent: int, ready_ns: int) -> int:
        """How many bytes of a frame have a place in a memory smaller than it, when `sent` have left.

        Looked at when the next byte may leave, or later where host or bus were late.
        """
        exposure, size = frame.exposure, frame.exposure.payload_bytes
        at_ns = max(ready_ns, self._camera.now_ns - frame.late_ns)
        read = min(size, size * (at_ns - exposure.readout_start_ns) // exposure.readout_ns)
        if read - sent <= self.memory_bytes:
            return size
        self._camera.emit("FrameBufferOverrun", self._camera.now_ns, exposure.block_id)
        return min(size, sent + self.memory_bytes)
