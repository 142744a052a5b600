"""The stream channel: frames of the camera's memory as GVSP packets, paced; and packets again where one was lost.

State: the frame being sent and its next packet, when the next packet may leave, the last blocks by reference, the
packets that a host asked for again. Always true: blocks are numbered without gaps, whatever the camera discarded
(hosts take a gap for loss); all data packets of a block but the last have one size; a frame counts when its trailer
has been handed to the socket.

Packets leave in small bursts: nobody can sleep for the 12 us between two packets of 1500 bytes. After a stall what was
missed is not made up for, for a host's socket buffer would run over.
"""

from collections import deque
from dataclasses import dataclass

from u3v.camera import Camera
from u3v.frame_memory import Frame
from u3v.gev.bootstrap import TICKS_PER_S, Bootstrap
from u3v.happenings import Happening
from u3v.wire import gvsp
from u3v.wire.gvcp import Resend
from u3v.wire.gvsp import Layout
from u3v.wire.pfnc import PIXEL_FORMATS

QUANTUM_NS = 1_000_000
"""Packets of so much time leave together."""
MAX_CREDIT_NS = 2_000_000
MAX_RESENDS = 4096
UNPACED_PACKETS = 256
_NOTHING = memoryview(b"")


@dataclass(slots=True)
class Packet:
    """A datagram for the host: header and data are sent one behind the other. `whole`: must not be fragmented."""

    header: bytes
    data: memoryview
    whole: bool = False

    def __len__(self) -> int:
        return len(self.header) + len(self.data)


class _Block:
    """A frame as packets: 0 the leader, 1 .. n data, n + 1 the trailer."""

    def __init__(self, frame: Frame, block_id: int, layout: Layout, data_bytes: int) -> None:
        assert frame.data is not None
        settings = frame.exposure.settings
        chunks = settings.chunk_bytes
        pixel_format = PIXEL_FORMATS[settings.pixel_format]
        timestamp = frame.exposure.timestamp_ns * TICKS_PER_S // 1_000_000_000
        self.frame = frame
        self.block_id = block_id
        self.data = frame.data
        self._layout = layout
        self._size = data_bytes
        self.count = -(-len(self.data) // data_bytes)
        self._leader = gvsp.image_leader(
            timestamp,
            pixel_format.code,
            settings.width,
            settings.height,
            settings.offset_x,
            settings.offset_y,
            chunks=bool(chunks),
        )
        tail = frame.exposure.tail
        layout_id = 0 if tail is None else tail.layout_id
        self._trailer = gvsp.image_trailer(settings.height, chunks, layout_id)

    @property
    def last(self) -> int:
        """Id of the trailer."""
        return self.count + 1

    def packet(self, packet_id: int, status: int = gvsp.SUCCESS) -> Packet:
        header = self._layout.header
        if packet_id == 0:
            head = header(status, self.block_id, 0, gvsp.LEADER)
            return Packet(head, memoryview(self._leader))
        if packet_id == self.last:
            head = header(status, self.block_id, packet_id, gvsp.TRAILER)
            return Packet(head, memoryview(self._trailer))
        at = (packet_id - 1) * self._size
        head = header(status, self.block_id, packet_id, gvsp.PAYLOAD)
        return Packet(head, self.data[at : at + self._size])


class StreamChannel:
    """Frames of `camera`, to the host that SCDA and SCP name."""

    def __init__(self, camera: Camera, bootstrap: Bootstrap) -> None:
        self._camera = camera
        self._bootstrap = bootstrap
        self._blocks = 0
        self._sending: _Block | None = None
        self._next = 0
        self._ready_ns = 0
        """When the next packet may leave."""
        self._kept: deque[_Block] = deque(maxlen=max(1, bootstrap.options.resend_blocks))
        self._wanted: deque[tuple[int, int]] = deque()
        self._tests: deque[Packet] = deque()
        self.resent = 0
        bootstrap.when_written("SCP", written=self._port_written)
        bootstrap.on_test_packet = self._test

    @property
    def is_open(self) -> bool:
        return self._camera.frames.enabled

    def close(self) -> None:
        """No host takes frames any more."""
        self._bootstrap.set("SCP", 0)
        self._port_written()

    def resend(self, wanted: Resend) -> None:
        """PACKETRESEND. What is asked for beyond the trailer is not there; each packet is asked for once."""
        block = self._block(wanted.block_id)
        last = min(wanted.last, block.last if block is not None else wanted.first)
        for packet_id in range(wanted.first, last + 1):
            if len(self._wanted) >= MAX_RESENDS:
                return
            self._wanted.append((wanted.block_id, packet_id))

    def take(self, now_ns: int, most: int) -> list[Packet]:
        """The packets that leave now, at most so many."""
        taken: list[Packet] = []
        while self._tests and len(taken) < most:
            taken.append(self._tests.popleft())
        paced = self._camera.is_paced
        if paced:
            self._ready_ns = max(self._ready_ns, now_ns - MAX_CREDIT_NS)
        while len(taken) < most and (not paced or self._ready_ns <= now_ns):
            packet = self._again() or self._go_on(now_ns)
            if packet is None:
                break
            taken.append(packet)
            self._ready_ns += self._takes_ns(len(packet.data))
        return taken

    def next_wakeup_ns(self, now_ns: int) -> int | None:
        """When `take` has something."""
        if self._tests:
            return now_ns
        if not (self._wanted or self._sending is not None or self._has_frame()):
            return None
        if not self._camera.is_paced:
            return now_ns
        return max(now_ns, self._ready_ns + QUANTUM_NS if self._sending is not None else self._ready_ns)

    def _takes_ns(self, size: int) -> int:
        """Time of one packet on the link: its part of what the camera may send, and the delay a host asked for."""
        delay_ns = self._bootstrap.get("SCPD") * 1_000_000_000 // TICKS_PER_S
        return int(size * 1e9 / self._camera.throughput_bytes_per_s) + delay_ns

    def _has_frame(self) -> bool:
        frames = self._camera.frames
        return (
            frames.enabled and frames.in_flight > 0 and not frames.waits_for_pixels and self._sending is None
        )

    def _go_on(self, now_ns: int) -> Packet | None:
        """The next packet of the frame being sent, or of the next frame."""
        block = self._sending
        if block is not None and block.frame.lease.ended:
            block = self._sending = None
        if block is None:
            block = self._begin(now_ns)
            if block is None:
                return None
        packet = block.packet(self._next)
        self._next += 1
        if self._next > block.last:
            self._sending = None
            sent = len(block.data)
            self._camera.frames.finish(block.frame, sent, whole=not block.frame.is_cut, now_ns=now_ns)
        return packet

    def _begin(self, now_ns: int) -> _Block | None:
        camera = self._camera
        frame = camera.frames.next_frame()
        if frame is None:
            camera.frame_wanted()
            frame = camera.frames.next_frame()
            if frame is None:
                return None
        layout = self._bootstrap.layout
        size = layout.data_bytes(self._bootstrap.packet_size)
        block = _Block(frame, layout.block_id(self._blocks), layout, size)
        self._blocks += 1
        self._sending, self._next = block, 0
        self._kept.append(block)
        if camera.is_paced:
            self._ready_ns = max(self._ready_ns, now_ns)
        return block

    def _again(self) -> Packet | None:
        """The next packet that a host has asked for again; where it is not kept any more, a word that it is not."""
        if not self._wanted:
            return None
        block_id, packet_id = self._wanted.popleft()
        self.resent += 1
        block = self._block(block_id)
        layout = self._bootstrap.layout
        if block is None or packet_id > block.last:
            head = layout.header(gvsp.PACKET_UNAVAILABLE, block_id, packet_id, gvsp.PAYLOAD)
            return Packet(head, _NOTHING)
        if block is self._sending and packet_id >= self._next:
            head = layout.header(gvsp.PACKET_NOT_YET_AVAILABLE, block_id, packet_id, gvsp.PAYLOAD)
            return Packet(head, _NOTHING)
        return block.packet(packet_id, gvsp.PACKET_RESEND)

    def _block(self, block_id: int) -> _Block | None:
        if not self._bootstrap.options.resend_blocks:
            return None
        return next((block for block in self._kept if block.block_id == block_id), None)

    def _test(self, size: int, whole: bool) -> None:
        if len(self._tests) < 16:
            self._tests.append(Packet(bytes(size - gvsp.IP_UDP_BYTES), _NOTHING, whole))

    def _port_written(self) -> None:
        camera, is_open = self._camera, bool(self._bootstrap.get("SCP") & 0xFFFF)
        if is_open == camera.frames.enabled:
            return
        self._sending = None
        self._kept.clear()
        self._wanted.clear()
        self._blocks = 0
        if is_open:
            camera.frames.open()
        else:
            camera.frames.close()
        camera.happened(Happening.STREAM_START if is_open else Happening.STREAM_END, camera.now_ns)
