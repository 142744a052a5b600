"""The camera's frame memory: frames claimed when they are exposed, filled with pixels, fetched by a wire, counted.

State: the frames that have a place, oldest first, and the counters. Always true: offered = delivered + discarded
+ held, in frames. A frame for which there is no room when it is exposed is discarded and its block id is skipped.
What a wire has fetched holds good until its lease has ended; a frame that is aborted while a wire sends it says so
(`is_cut`), and the wire ends it early.

The memory knows no wire: whoever sends frames takes them with `next_frame` and gives them back with `finish`.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from u3v.exposure import Exposure
from u3v.function import Lease
from u3v.happenings import Happening

MAX_FRAMES = 10_000
"""Frames that a memory holds at most, however small they are (assumed: descriptors have to be kept somewhere)."""


@dataclass(slots=True, eq=False)
class Frame:
    """A frame with a place in memory. `data`: image bytes and chunk bytes, once they are there."""

    exposure: Exposure
    data: memoryview | None = None
    late_ns: int = 0
    """From the begin of the readout to the pixels' coming: the machine's time, not the camera's."""
    is_cut: bool = False
    is_fetched: bool = False
    is_lost: bool = False
    """Its pixels could not be made: what `data` holds is not an image."""
    lease: Lease = field(default_factory=Lease)


class FrameMemory:
    """`memory_bytes`: its size. `slots()`: how many images it takes, None where only their bytes count.

    `left_behind`: those of the discarded frames that a host had not fetched when it stopped.
    """

    def __init__(
        self,
        memory_bytes: int,
        slots: Callable[[], int | None],
        happened: Callable[[Happening, int, int], None],
    ) -> None:
        self.memory_bytes = memory_bytes
        self.enabled = False
        self.offered = 0
        self.delivered = 0
        self.discarded = 0
        self.left_behind = 0
        self.bytes_delivered = 0
        self.next_block_id = 0
        self._slots = slots
        self._happened = happened
        self._frames: deque[Frame] = deque()
        self._by_index: dict[int, Frame] = {}  # the same frames by exposure: there can be 10 000 of them
        self._held_bytes = 0
        self._full = False

    @property
    def in_flight(self) -> int:
        """Frames that have a place in memory."""
        return len(self._frames)

    def has_room(self, wire_bytes: int) -> bool:
        """Whether the memory takes one more frame of this size."""
        slots = self._slots()
        if slots is not None:
            return len(self._frames) < slots
        if wire_bytes > self.memory_bytes:  # one on its way through, one being exposed
            return len(self._frames) < 2
        return self._held_bytes + wire_bytes <= self.memory_bytes and len(self._frames) < MAX_FRAMES

    def open(self) -> None:
        """A wire is ready for frames: start afresh, with block id 0."""
        self.close()
        self.enabled = True
        self.next_block_id = 0

    def close(self) -> None:
        """No wire takes frames any more: everything held is discarded, and counted apart."""
        self.enabled = False
        self.left_behind += len(self._frames)
        self.flush()

    def flush(self) -> None:
        """Discard what is held, and what was handed over but not sent."""
        for frame in self._frames:
            frame.lease.ended = True
        self.discarded += len(self._frames)
        self._frames.clear()
        self._by_index.clear()
        self._held_bytes = 0
        self._full = False

    def abort(self) -> None:
        """Discard all frames but those that a wire is sending, which are cut short."""
        while self._frames and not self._frames[-1].is_fetched:
            self._drop(self._frames.pop())
        for frame in self._frames:
            frame.is_cut = True
        self._full = self._full and bool(self._frames)

    def claims(self, wire_bytes: int) -> bool:
        """Count a frame that is being exposed. False: there is no place for it, and it is discarded already."""
        if not self.enabled:
            return False
        self.offered += 1
        self.next_block_id += 1
        if self.has_room(wire_bytes):
            return True
        self.discarded += 1
        return False

    def place(self, exposure: Exposure) -> None:
        """Keep the place that `claims` found."""
        frame = self._by_index[exposure.index] = Frame(exposure)
        self._frames.append(frame)
        self._held_bytes += exposure.settings.wire_bytes
        if not self.has_room(exposure.settings.wire_bytes):
            self._full = True
            self._happened(Happening.TRANSFER_BUFFER_FULL, exposure.start_ns, exposure.block_id)

    def holds(self, exposure: Exposure) -> bool:
        """Whether the frame of this exposure still has a place in memory."""
        return exposure.index in self._by_index

    def fill(self, exposure: Exposure, data: memoryview, now_ns: int, *, lost: bool = False) -> None:
        """The bytes of a claimed frame. Those of a frame that was discarded meanwhile are dropped."""
        frame = self._by_index.get(exposure.index)
        if frame is not None:
            frame.data = data
            frame.is_lost = lost
            frame.late_ns = max(0, now_ns - exposure.readout_start_ns)

    def next_frame(self) -> Frame | None:
        """The oldest frame that no wire has fetched, if its pixels are there. It keeps its place until `finish`."""
        frame = self._next()
        if frame is None or frame.data is None:
            return None
        frame.is_fetched = True
        return frame

    @property
    def waits_for_pixels(self) -> bool:
        """Whether the next frame is exposed, but its pixels are not there yet."""
        frame = self._next()
        return frame is not None and frame.data is None

    def _next(self) -> Frame | None:
        return next((frame for frame in self._frames if not frame.is_fetched), None)

    def finish(self, frame: Frame, sent_bytes: int, *, whole: bool, now_ns: int) -> None:
        """A wire has sent the last byte of `frame`, all of it (`whole`) or a part. One that ended before is ignored."""
        if frame.lease.ended or frame.exposure.index not in self._by_index:
            return
        while (
            self._frames[0] is not frame
        ):  # sent before this one, but its end never came: it was lost on its way
            self._drop(self._frames.popleft())
        self._frames.popleft()
        self._forget(frame)
        frame.data = None  # its buffer goes back to the pool
        exposure = frame.exposure
        if whole:
            self.delivered += 1
        else:
            self.discarded += 1
        self.bytes_delivered += sent_bytes
        if self._full and self.has_room(exposure.settings.wire_bytes):
            self._full = False
            self._happened(Happening.TRANSFER_BUFFER_READY, now_ns, exposure.block_id)
        self._happened(Happening.FRAME_TRANSFER_END, now_ns, exposure.block_id)

    def _drop(self, frame: Frame) -> None:
        frame.lease.ended = True
        frame.data = None
        self._forget(frame)
        self.discarded += 1

    def _forget(self, frame: Frame) -> None:
        del self._by_index[frame.exposure.index]
        self._held_bytes -= frame.exposure.settings.wire_bytes
