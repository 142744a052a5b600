"""The stream channel: frames of the camera's memory as leader, payload and trailer transfers.

State: the plan that the host's SI registers announced when it enabled the stream, the frame being sent and how far
it is, and when the last byte of the frame before has left the camera. Always true: a frame's transfers come in
order, the next one starts with a leader, and a frame whose lease has ended sends nothing more. A frame counts when
its trailer has been taken, because only then does the host have all of it.

A camera whose memory is smaller than a frame sends it while it is read out. When the host is slower than the sensor
the memory runs over: the frame ends there, and its trailer says DATA_OVERRUN. A frame that an abort cut short says
DATA_DISCARDED.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

from u3v.errors import Status
from u3v.exposure import Exposure
from u3v.frame_memory import Frame, FrameMemory
from u3v.function import InTransfer
from u3v.happenings import Happening
from u3v.wire.pfnc import PIXEL_FORMATS
from u3v.wire.stream import PAYLOAD_IMAGE, PAYLOAD_IMAGE_CHUNKS, Leader, Trailer, TransferPlan

_EMPTY = memoryview(b"")


class Streamed(Protocol):
    """The camera, as its stream sees it."""

    @property
    def frames(self) -> FrameMemory: ...

    @property
    def now_ns(self) -> int: ...

    @property
    def is_paced(self) -> bool: ...

    @property
    def throughput_bytes_per_s(self) -> float: ...

    def happened(self, what: Happening, at_ns: int, block_id: int = 0) -> None: ...

    def frame_wanted(self) -> None: ...


class StreamChannel:
    """`max_packet()`: wMaxPacketSize at the speed of the link, bytes."""

    def __init__(self, camera: Streamed, max_packet: Callable[[], int]) -> None:
        self._camera = camera
        self._max_packet = max_packet
        self._plan = TransferPlan(0, 0, 0, 0)
        self._sending: _Sending | None = None
        self._fifo_ns = 0
        self._is_told = False
        """Whether STREAM_START was told, and no STREAM_END since."""

    @property
    def enabled(self) -> bool:
        return self._camera.frames.enabled

    def enable(self, plan: TransferPlan) -> None:
        """SI_Control 1: start afresh, at a leader, with block id 0."""
        self.disable()
        self._camera.frames.open()
        self._plan = plan
        self._fifo_ns = 0
        self._is_told = True
        self._camera.happened(Happening.STREAM_START, self._camera.now_ns)

    def disable(self) -> None:
        """SI_Control 0: everything held is discarded. The camera may have closed the frames itself, as in a reset."""
        was_told, self._is_told = self._is_told, False
        self._camera.frames.close()
        self._sending = None
        if was_told:
            self._camera.happened(Happening.STREAM_END, self._camera.now_ns)

    def flush(self) -> None:
        """Discard what is held, and what was handed over but not sent; the next transfer is a leader."""
        self._camera.frames.flush()
        self._sending = None

    def next_transfer(self) -> InTransfer | None:
        """What goes out on the stream endpoint next; None: nothing yet."""
        if self._sending is None or self._sending.is_over:
            frame = self._camera.frames.next_frame()
            if frame is None:
                self._sending = None
                self._camera.frame_wanted()
                frame = self._camera.frames.next_frame()
                if frame is None:
                    return None
            self._sending = self._begin(frame)
        return self._sending.next_transfer()

    def _begin(self, frame: Frame) -> "_Sending":
        """Bytes leave the camera's FIFO at the rate of the slower of sensor and throughput limit."""
        camera, exposure = self._camera, frame.exposure
        rate, start_ns = 0.0, 0
        size = exposure.settings.wire_bytes
        if camera.is_paced:
            rate = min(camera.throughput_bytes_per_s, size * 1e9 / exposure.readout_ns)
            start_ns = max(exposure.readout_start_ns, self._fifo_ns)
            self._fifo_ns = start_ns + int(size * 1e9 / rate)
        return _Sending(camera, frame, self._plan.sizes(), start_ns, rate, self._max_packet())


class _Sending:
    """One frame on its way: `sizes` are those of the payload transfers that the host asked for.

    `start_ns`, `rate`: byte k of the payload leaves the FIFO at `start_ns + k / rate` (rate 0: all at once).
    """

    def __init__(
        self,
        camera: Streamed,
        frame: Frame,
        sizes: Iterator[int],
        start_ns: int,
        rate: float,
        max_packet: int,
    ) -> None:
        assert frame.data is not None
        self._camera = camera
        self._frame = frame
        self._data = frame.data
        self._sizes = sizes
        self._start_ns = start_ns
        self._rate = rate
        memory_bytes = camera.frames.memory_bytes
        self._runs_through = rate > 0 and len(frame.data) > memory_bytes
        self._step = max(max_packet, memory_bytes // 4 // max_packet * max_packet)
        self._kept = len(frame.data)
        self._sent = 0
        self._last = 0
        self._room: int | None = None
        self._has_leader = self._has_trailer = False

    @property
    def is_over(self) -> bool:
        """Nothing of it is left to send, or may be sent."""
        return self._has_trailer or self._frame.lease.ended

    def next_transfer(self) -> InTransfer:
        if not self._has_leader:
            self._has_leader = True
            leader = _leader(self._frame.exposure)
            return InTransfer(memoryview(leader.pack()), ready_ns=self._start_ns, lease=self._frame.lease)
        self._sent += self._last
        self._last = 0
        if self._room is None:
            self._room = next(self._sizes, None)
        if self._room is None:
            return self._trailer()
        return self._piece(self._room)

    def _piece(self, room: int) -> InTransfer:
        """What goes into a payload transfer of the host that has `room` bytes left."""
        ready_ns = self._leaves_ns(self._sent)
        part = room
        if self._runs_through:  # where the memory is small, look often whether it has run over
            part = min(room, self._step)
            if self._kept == len(self._data):
                self._kept = self._what_fits(ready_ns)
        end = min(self._sent + part, self._kept)
        piece = _EMPTY if self._frame.is_cut else self._data[self._sent : max(end, self._sent)]
        self._last = len(piece)
        left = room - len(piece)
        ended = not left or len(piece) < part
        self._room = None if ended else left
        return InTransfer(piece, ended and left > 0, ready_ns, self._rate, self._frame.lease)

    def _trailer(self) -> InTransfer:
        self._has_trailer = True
        frame, exposure = self._frame, self._frame.exposure
        status = Status.SUCCESS
        if self._sent < len(self._data):
            status = Status.DATA_DISCARDED if frame.is_cut else Status.DATA_OVERRUN
        elif frame.is_lost:
            status = Status.DATA_DISCARDED
        pixel_format = PIXEL_FORMATS[exposure.settings.pixel_format]
        line_bits = exposure.settings.width * pixel_format.bits_per_pixel
        lines = min(self._sent, exposure.settings.image_bytes) * 8 // line_bits
        layout_id = None if exposure.tail is None else exposure.tail.layout_id
        trailer = Trailer(exposure.block_id, status, self._sent, lines, layout_id)
        sent, whole = self._sent, status is Status.SUCCESS

        def taken() -> None:
            camera = self._camera
            camera.frames.finish(frame, sent, whole=whole, now_ns=camera.now_ns)

        ends_ns = self._leaves_ns(len(self._data))
        self._data = _EMPTY
        return InTransfer(memoryview(trailer.pack()), ready_ns=ends_ns, lease=frame.lease, taken=taken)

    def _leaves_ns(self, byte: int) -> int:
        return self._start_ns + int(byte * 1e9 / self._rate) if self._rate else 0

    def _what_fits(self, ready_ns: int) -> int:
        """How many bytes of the frame have a place in a memory smaller than it.

        Looked at when the next byte may leave, or later where host or bus were late.
        """
        exposure, size = self._frame.exposure, len(self._data)
        at_ns = max(ready_ns, self._camera.now_ns - self._frame.late_ns)
        read = min(size, size * (at_ns - exposure.readout_start_ns) // exposure.readout_ns)
        memory_bytes = self._camera.frames.memory_bytes
        if read - self._sent <= memory_bytes:
            return size
        self._camera.happened(Happening.FRAME_BUFFER_OVERRUN, self._camera.now_ns, exposure.block_id)
        return min(size, self._sent + memory_bytes)


def _leader(exposure: Exposure) -> Leader:
    settings = exposure.settings
    return Leader(
        exposure.block_id,
        exposure.timestamp_ns,
        PIXEL_FORMATS[settings.pixel_format].code,
        settings.width,
        settings.height,
        settings.offset_x,
        settings.offset_y,
        payload_type=PAYLOAD_IMAGE if exposure.tail is None else PAYLOAD_IMAGE_CHUNKS,
    )
