"""The stream channel: frames of the camera's memory as GVSP packets, paced; and packets again where one was lost.

State: the frame being sent and its next packet, when the next packet may leave, the last blocks by reference, the
packets that a host asked for again. Always true: blocks are numbered without gaps, whatever the camera discarded
(hosts take a gap for loss); all data packets of a block but the last have one size; a frame counts when its trailer
has been handed to the socket.

Packets leave in small bursts: nobody can sleep for the 12 us between two packets of 1500 bytes. After a stall what was
missed is not made up for, for a host's socket buffer would run over."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from u3v.camera import Camera
from u3v.frame_memory import Frame
from u3v.gev.bandwidth import Bandwidth
from u3v.gev.bootstrap import TICKS_PER_S, Bootstrap
from u3v.happenings import Happening
from u3v.wire import gvsp
from u3v.wire.gvcp import Resend
from u3v.wire.gvsp import Layout
from u3v.wire.pfnc import PIXEL_FORMATS

QUANTUM_NS = 500_000
"""Packets of so much time leave together at most, and no sooner than half of it after others: sockets of hosts take 90
packets of 1500 bytes, unless asked for more, and one call of the kernel sends 43."""
SPACED_NS = 100_000
"""The same for a host that wants a delay between packets (GevSCPD): they leave one by one, if it is a long one."""
MAX_CREDIT_NS = 5_000_000
"""So much of what was missed is made up for."""
MAX_RESENDS = 4096
_NOTHING = memoryview(b"")


@dataclass(slots=True)
class Packet:
    """A datagram for the host: header and data are sent one behind the other. `whole`: must not be fragmented."""

    header: bytes
    data: memoryview
    whole: bool = False

    def __len__(self) -> int:
        return len(self.header) + len(self.data)

    @property
    def count(self) -> int:
        return 1

    @property
    def data_bytes(self) -> int:
        return len(self.data)


@dataclass(slots=True)
class Run:
    """Data packets of one size (the last may be shorter) that leave together: header, data, header, data ..."""

    parts: list[bytes | memoryview]

    @property
    def count(self) -> int:
        return len(self.parts) // 2

    @property
    def data_bytes(self) -> int:
        return sum(map(len, self.parts[1::2]))


Sent = Packet | Run


def apart(sent: Iterable[Sent]) -> list[Packet]:
    """One by one."""
    packets: list[Packet] = []
    for one in sent:
        if isinstance(one, Packet):
            packets.append(one)
        else:
            pairs = zip(one.parts[::2], one.parts[1::2], strict=True)
            packets += [Packet(bytes(header), memoryview(data)) for header, data in pairs]
    return packets


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
        self.data_bytes = data_bytes
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
        if packet_id == 0:
            kind, data = gvsp.LEADER, memoryview(self._leader)
        elif packet_id == self.last:
            kind, data = gvsp.TRAILER, memoryview(self._trailer)
        else:
            at = (packet_id - 1) * self.data_bytes
            kind, data = gvsp.PAYLOAD, self.data[at : at + self.data_bytes]
        return Packet(self._layout.header(status, self.block_id, kind, packet_id), data)

    def run(self, first: int, end: int) -> Run:
        """The data packets from `first` on, up to `end`."""
        size, data = self.data_bytes, self.data
        parts: list[bytes | memoryview] = [b""] * (2 * (end - first))
        parts[::2] = self._layout.headers(self.block_id, range(first, end))
        parts[1::2] = [data[at : at + size] for at in range((first - 1) * size, (end - 1) * size, size)]
        return Run(parts)


class StreamChannel:
    """Frames of `camera`, to the host that SCDA and SCP name."""

    def __init__(self, camera: Camera, bootstrap: Bootstrap) -> None:
        self._camera = camera
        self._bootstrap = bootstrap
        self.bandwidth = Bandwidth(camera, bootstrap)
        self._blocks = 0
        self._sending: _Block | None = None
        self._next = 0
        self._ready_ns = 0
        """When the next packet may leave."""
        self._saved_ns = 0
        """Since when nothing of the link's reserve has been used."""
        self._burst_ns = -QUANTUM_NS
        """When the last packets left."""
        self._is_idle = True
        """Whether the link had nothing to carry before the next frame: time that passed then is no credit."""
        self._kept: deque[_Block] = deque(maxlen=max(1, bootstrap.options.resend_blocks))
        self._wanted: deque[tuple[int, int]] = deque()
        self._tests: deque[Packet] = deque()
        self.resent = 0
        self._was_open = False
        """Whether SCP named a port when it was last written; a reset closes the frames before it is."""
        bootstrap.when_written("SCP", written=self._port_written)
        bootstrap.on_test_packet = self._test

    @property
    def is_open(self) -> bool:
        return self._camera.frames.enabled

    @property
    def is_sending(self) -> bool:
        """Whether a frame has begun to be sent, and has not ended."""
        return self._sending is not None

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
            if block is not None and block is self._sending and packet_id >= self._next:
                return  # these come by themselves: a refusal would have pylon give the frame up
            self._wanted.append((wanted.block_id, packet_id))

    def take(self, now_ns: int, most: int) -> list[Sent]:
        """The packets that leave now, at most so many."""
        taken: list[Sent] = []
        while self._tests and most:
            taken.append(self._tests.popleft())
            most -= 1
        ns_per_byte = 1e9 / self._camera.throughput_bytes_per_s
        packet_ns = ns_per_byte * self.bandwidth.data_bytes
        if self._camera.is_paced:
            quantum_ns = self._quantum_ns
            if now_ns < self._burst_ns + quantum_ns // 2:
                return taken
            self._ready_ns = max(self._ready_ns, now_ns - MAX_CREDIT_NS)
            most = min(most, max(1, int(quantum_ns / packet_ns)))
        while most and (self._wanted or self._begin(now_ns)):
            saved = self._saved(now_ns, packet_ns) if self._wanted else 0
            room = min(most, saved or self._allowed(now_ns, most, packet_ns))
            if not room:
                break
            sent = self._again(room) if self._wanted else self._go_on(now_ns, room)
            took_ns = sum([one.data_bytes for one in sent]) * ns_per_byte
            if saved:
                self._saved_ns += int(took_ns / self.bandwidth.reserve)
            else:
                self._ready_ns += int(took_ns)
            self._burst_ns = now_ns
            most -= sum([one.count for one in sent])
            taken += sent
        return taken

    def next_wakeup_ns(self) -> int | None:
        """When `take` has something; 0: at once."""
        if self._tests:
            return 0
        if not (self._wanted or self._sending is not None or self._has_frame()):
            return None
        if not self._camera.is_paced:
            return 0
        quantum_ns = self._quantum_ns
        soon_ns = self._ready_ns if self._sending is None else self._ready_ns + quantum_ns
        return max(soon_ns, self._burst_ns + quantum_ns // 2)

    @property
    def _quantum_ns(self) -> int:
        return SPACED_NS if self.bandwidth.is_spaced else QUANTUM_NS

    def _allowed(self, now_ns: int, most: int, packet_ns: float) -> int:
        """How many data packets may leave now."""
        if not self._camera.is_paced:
            return most
        if self._ready_ns > now_ns:
            return 0
        return min(most, 1 + int((now_ns - self._ready_ns) / packet_ns))

    def _saved(self, now_ns: int, packet_ns: float) -> int:
        """How many packets the link's reserve has room for now."""
        if not self.bandwidth.reserve:
            return 0
        self._saved_ns = max(self._saved_ns, now_ns - self.bandwidth.saved_ns)
        return int((now_ns - self._saved_ns) * self.bandwidth.reserve / packet_ns)

    def _has_frame(self) -> bool:
        frames = self._camera.frames
        return (
            frames.enabled and frames.in_flight > 0 and not frames.waits_for_pixels and self._sending is None
        )

    def _begin(self, now_ns: int) -> bool:
        """Whether there is a frame to be sent: the one that has begun, or else the next one."""
        if self._sending is not None:
            if not self._sending.frame.lease.ended:
                return True
            self._sending, self._is_idle = None, True
        camera = self._camera
        frame = camera.frames.next_frame()
        if frame is None:
            camera.frame_wanted()
            frame = camera.frames.next_frame()
            if frame is None:
                self._is_idle = True
                return False
        layout = self._bootstrap.layout
        self._sending = _Block(frame, layout.block_id(self._blocks), layout, self.bandwidth.data_bytes)
        self._next = 0
        self._blocks += 1
        self._kept.append(self._sending)
        if self._is_idle:
            self._ready_ns = max(self._ready_ns, now_ns)
        if delay_ns := self.bandwidth.frame_delay_ns:
            self._ready_ns = max(self._ready_ns, frame.exposure.readout_start_ns + delay_ns)
        return True

    def _go_on(self, now_ns: int, most: int) -> list[Sent]:
        """The next packets of the frame being sent."""
        block = self._sending
        assert block is not None
        first, end = self._next, min(self._next + most, block.last + 1)
        sent: list[Sent] = []
        if first == 0:
            sent.append(block.packet(0))
            first = 1
        if first < min(end, block.last):
            sent.append(block.run(first, min(end, block.last)))
        self._next = end
        if end > block.last:
            sent.append(block.packet(block.last))
            self._sending = None
            sent_bytes = len(block.data)
            self._camera.frames.finish(block.frame, sent_bytes, whole=not block.frame.is_cut, now_ns=now_ns)
            self._is_idle = not self._has_frame()
        return sent

    def _again(self, most: int) -> list[Sent]:
        """What a host has asked for again; of packets that are not kept any more, a word that they are not."""
        wanted = [self._wanted.popleft() for _ in range(min(most, len(self._wanted)))]
        self.resent += len(wanted)
        return [self._once_more(*one) for one in wanted]

    def _once_more(self, block_id: int, packet_id: int) -> Packet:
        block = self._block(block_id)
        if block is None or packet_id > block.last:
            layout = self._bootstrap.layout
            return Packet(layout.header(gvsp.PACKET_UNAVAILABLE, block_id, gvsp.PAYLOAD, packet_id), _NOTHING)
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
        if is_open == self._was_open:
            return
        self._was_open = is_open
        self._sending, self._is_idle = None, True
        self._kept.clear()
        self._wanted.clear()
        self._blocks = self._ready_ns = 0
        if is_open:
            camera.frames.open()
        else:
            camera.frames.close()
        camera.happened(Happening.STREAM_START if is_open else Happening.STREAM_END, camera.now_ns)
