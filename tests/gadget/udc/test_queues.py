"""Places in a kernel's queues as requests: a kernel in Python that a test looks into."""

import struct
from collections import deque

import numpy as np
import pytest

from gadget.budget.bus import Bus
from gadget.udc.queues import DEPTH, READS, RETRY_NS, Queues, Write
from gadget.usb.device import UsbDevice
from tests.gadget.toy import Toy
from tests.u3v.rig import PAYLOAD, SI_CONTROL, SI_SIZE, Painted, make_camera, picture
from u3v.errors import Stall
from u3v.function import InTransfer, Lease
from u3v.usb3v.function import UsbFunction
from u3v.wire.usb import CONTROL_IN, EVENT_IN, STREAM_IN, Speed

MS = 1_000_000
ECONNRESET, ESHUTDOWN = -104, -108


class Kernel:
    """Keeps what is written until the host (`take`) reads it; a cancelled write ends at the next `settle`."""

    def __init__(self) -> None:
        self.queue: deque[Write] = deque()
        self.cancelled: list[Write] = []
        self.reads = 0
        self.cancelled_reads = 0
        self.queues: Queues | None = None
        self.device: UsbDevice | None = None

    def write(self, write: Write) -> None:
        self.queue.append(write)

    def cancel(self, write: Write) -> None:
        self.cancelled.append(write)

    def read(self) -> None:
        self.reads += 1

    def cancel_reads(self) -> None:
        self.cancelled_reads += self.reads

    def on(self, endpoint: int) -> list[Write]:
        return [write for write in self.queue if write.endpoint == endpoint]

    def take(self, endpoint: int, now_ns: int) -> bytes:
        """The host reads the oldest write of an endpoint."""
        assert self.queues is not None
        write = self.on(endpoint)[0]
        self.queue.remove(write)
        data = b"".join(bytes(chunk) for chunk in write.chunks)
        assert len(data) == write.length
        self.queues.written(write, write.length, now_ns)
        self.queues.service(now_ns)
        return data

    def settle(self, now_ns: int, result: int = ECONNRESET) -> None:
        """Give back what was cancelled."""
        assert self.queues is not None
        for write in self.cancelled:
            if write in self.queue:
                self.queue.remove(write)
                self.queues.written(write, result, now_ns)
        self.cancelled.clear()
        self.queues.service(now_ns)


class Script(Toy):
    """Streams what is in `todo`."""

    def __init__(self, *todo: InTransfer) -> None:
        super().__init__()
        self.todo = deque(todo)

    def transfer_in(self, endpoint: int, now_ns: int) -> InTransfer | None:
        if endpoint != STREAM_IN:
            return super().transfer_in(endpoint, now_ns)
        return self.todo.popleft() if self.todo else None


def plugged(function: Toy, speed: Speed = Speed.SUPER, **sizes: int) -> Kernel:
    kernel = Kernel()
    device = UsbDevice(function, speed=Speed.SUPER, bus=Bus())
    kernel.device = device
    kernel.queues = Queues(device, kernel, **sizes)
    kernel.queues.configured(speed, 0)
    kernel.queues.service(0)
    return kernel


def lengths(kernel: Kernel) -> list[int]:
    return [write.length for write in kernel.on(STREAM_IN)]


def transfer(size: int, *, ends: bool = True, lease: Lease | None = None) -> InTransfer:
    return InTransfer(memoryview(bytes(size)), ends, lease=lease)


def test_a_queue_is_filled_to_its_depth_and_no_further() -> None:
    kernel = plugged(Toy(), stream_bytes=4096, stream_depth=3)
    assert lengths(kernel) == [4096] * 3
    assert kernel.take(STREAM_IN, 1) == (bytes(range(256)) * 16)
    assert lengths(kernel) == [4096] * 3
    assert kernel.reads == READS


@pytest.mark.parametrize(
    ("speed", "size", "written"),
    [
        (Speed.SUPER, 0, [0]),
        (Speed.SUPER, 1, [1]),
        (Speed.SUPER, 1023, [1023]),
        (Speed.SUPER, 1024, [1024, 0]),
        (Speed.SUPER, 4096, [4096]),
        (Speed.SUPER, 4097, [4096, 1]),
        (Speed.SUPER, 5120, [4096, 1024, 0]),
        (Speed.HIGH, 512, [512, 0]),
        (Speed.HIGH, 1000, [1000]),
    ],
)
def test_a_transfer_ends_by_a_short_packet(speed: Speed, size: int, written: list[int]) -> None:
    kernel = plugged(Script(transfer(size)), speed, stream_bytes=4096, stream_depth=8)
    assert lengths(kernel) == written


def test_what_the_host_asked_for_exactly_gets_no_empty_packet() -> None:
    kernel = plugged(Script(transfer(8192, ends=False), transfer(32)), stream_bytes=4096, stream_depth=8)
    assert lengths(kernel) == [4096, 4096, 32]


def test_acknowledges_get_no_empty_packet() -> None:
    """Hosts ask for just as many bytes as come: an empty packet would be the answer to their next question."""
    toy = Toy()
    kernel = plugged(toy, Speed.HIGH)
    assert kernel.queues is not None
    kernel.queues.received(memoryview(bytes(512)), 1)
    assert [write.length for write in kernel.on(CONTROL_IN)] == [512]


def test_no_pixel_is_copied() -> None:
    """What a kernel is given is the memory that the camera has rendered into."""
    pixels = np.zeros(10_000, np.uint8)
    kernel = plugged(Script(InTransfer(memoryview(pixels)[100:9000])), stream_bytes=4096)
    chunks = [np.frombuffer(chunk, np.uint8) for write in kernel.on(STREAM_IN) for chunk in write.chunks]
    assert len(chunks) == 3 and all(np.shares_memory(chunk, pixels) for chunk in chunks)


def test_a_frame_is_delivered_when_the_host_has_its_last_byte() -> None:
    taken: list[str] = []
    last = InTransfer(memoryview(b"trailer"), taken=lambda: taken.append("taken"))
    kernel = plugged(Script(transfer(1000), last))
    kernel.take(STREAM_IN, 1)
    assert taken == []
    kernel.take(STREAM_IN, 2)
    assert taken == ["taken"]


def test_what_the_device_does_not_stand_by_is_taken_back_the_last_first() -> None:
    lease = Lease()
    kernel = plugged(Script(*(transfer(100, lease=lease) for _ in range(3)), transfer(7)))
    lease.ended = True
    assert kernel.queues is not None
    kernel.queues.service(1)
    assert [kernel.on(STREAM_IN).index(write) for write in kernel.cancelled] == [2, 1, 0]
    kernel.settle(2)
    assert lengths(kernel) == [7]


def test_stopped_stream_is_taken_back_before_the_acknowledge_is_written() -> None:
    """A real camera: the write that ends the stream is answered only once its frames are out of the kernel's queue."""
    camera = make_camera(settings={"AcquisitionMode": "MultiFrame", "AcquisitionFrameCount": 2})
    painted = Painted(camera)
    kernel = Kernel()
    device = UsbDevice(UsbFunction(camera), bus=Bus())
    queues = kernel.queues = Queues(device, kernel)
    queues.configured(Speed.SUPER, 0)
    for at, value in ((SI_SIZE, 1024), (SI_SIZE + 4, 1), (SI_SIZE + 8, 176), (SI_CONTROL, 1)):
        camera.memory.host_write(at, value.to_bytes(4, "little"))
    camera.features.host_set("AcquisitionStart", 1)
    now_ns = 0
    while len(kernel.on(STREAM_IN)) < 6 and now_ns < 100 * MS:
        now_ns += MS
        device.service(now_ns)
        queues.service(now_ns)
    assert len(painted.exposures) == 2
    assert kernel.take(STREAM_IN, now_ns)[:4] == b"U3VL"
    assert kernel.take(STREAM_IN, now_ns) == picture(
        0, PAYLOAD
    )  # full packets and a short one, as if in two writes
    order: list[str] = []
    kernel.cancel = lambda write: order.append("cancel")  # type: ignore[method-assign]
    kernel.write = lambda write: order.append("write")  # type: ignore[method-assign]
    command = struct.pack("<IHHHHQI", 0x43563355, 0x4000, 0x0802, 12, 9, SI_CONTROL, 0)
    queues.received(memoryview(command), now_ns)
    assert order[-1] == "write" and set(order[:-1]) == {"cancel"} and len(order) > 4


def test_an_endpoint_that_stalls_is_asked_again_later() -> None:
    """And does not keep the loop busy: nobody but a host's kernel could clear its halt."""

    class Stalling(Toy):
        def transfer_in(self, endpoint: int, now_ns: int) -> InTransfer | None:
            raise Stall("always")

    kernel = plugged(Stalling())
    assert kernel.queues is not None
    assert lengths(kernel) == []
    assert kernel.queues.next_wakeup_ns() == RETRY_NS


def test_acknowledges_are_never_more_than_their_queue() -> None:
    kernel = plugged(Toy())
    assert kernel.queues is not None
    for number in range(5):
        kernel.queues.received(memoryview(bytes([number])), 1)
    assert len(kernel.on(CONTROL_IN)) == DEPTH
    assert [kernel.take(CONTROL_IN, 2) for _ in range(5)] == [bytes([number]) for number in range(5)]


class TestConfigurations:
    def test_each_is_a_full_stop_for_the_function(self) -> None:
        toy = Toy()
        kernel = plugged(toy)
        assert kernel.queues is not None
        toy.configured.clear()
        kernel.queues.configured(Speed.SUPER, 1)
        assert toy.configured[-1] == 1 and 0 in toy.configured
        kernel.queues.unconfigured(2)
        assert toy.configured[-1] == 0

    def test_what_is_queued_is_taken_back(self) -> None:
        kernel = plugged(Toy(), stream_depth=3)
        assert kernel.queues is not None
        kernel.queues.unconfigured(1)
        assert len(kernel.cancelled) == 3 and kernel.cancelled_reads == READS
        kernel.settle(2)
        assert not kernel.queue

    def test_packets_follow_the_speed(self) -> None:
        kernel = plugged(Script(transfer(512)), Speed.HIGH)
        assert lengths(kernel) == [512, 0]
        assert kernel.queues is not None
        kernel.queues.configured(Speed.SUPER, 1)
        assert plugged(Script(transfer(512)), Speed.SUPER).queue[0].length == 512

    def test_a_refusal_of_the_kernel_is_not_tried_again_at_once(self) -> None:
        kernel = plugged(Toy())
        assert kernel.queues is not None
        reads = kernel.reads
        kernel.queues.not_read(ESHUTDOWN, 1000)
        assert kernel.queues.next_wakeup_ns() == 1000 + RETRY_NS
        kernel.queues.service(1001)
        assert kernel.reads == reads
        kernel.queues.service(1000 + RETRY_NS)
        assert kernel.reads == reads + 1


class TestHostsThatDie:
    LOOK = struct.pack("<IHHHHQHH", 0x43563355, 0x4000, 0x0800, 12, 7, 0x1D8, 0, 8)

    def test_who_opens_a_camera_whose_stream_nobody_reads_has_cleared_its_halt(self) -> None:
        toy = Toy()
        kernel = plugged(toy)
        assert kernel.queues is not None
        kernel.queues.received(memoryview(self.LOOK), 500 * MS)
        assert toy.halts == [("set", STREAM_IN), ("clear", STREAM_IN)]

    @pytest.mark.parametrize("what", [b"", b"nonsense", LOOK.replace(b"\xd8\x01", b"\x00\x00")])
    def test_others_have_not(self, what: bytes) -> None:
        toy = Toy()
        kernel = plugged(toy)
        assert kernel.queues is not None
        kernel.queues.received(memoryview(what), 500 * MS)
        assert toy.halts == []

    def test_nor_has_one_who_reads_the_stream(self) -> None:
        toy = Toy()
        kernel = plugged(toy)
        assert kernel.queues is not None
        kernel.take(STREAM_IN, 450 * MS)
        kernel.queues.received(memoryview(self.LOOK), 500 * MS)
        assert toy.halts == []


def test_an_endpoint_that_never_has_anything_waits_once() -> None:
    kernel = plugged(Toy())
    assert kernel.on(EVENT_IN) == []
    assert kernel.queues is not None
    assert kernel.queues.next_wakeup_ns() is None


@pytest.mark.parametrize("size", [2048, 0])
def test_an_empty_packet_is_taken_back_with_what_it_ends(size: int) -> None:
    """The next stream would begin with it."""
    lease = Lease()
    kernel = plugged(Script(transfer(size, lease=lease)))
    assert lengths(kernel)[-1:] == [0]
    lease.ended = True
    kernel.queues.service(1)
    kernel.settle(2)
    assert lengths(kernel) == []


def test_what_waits_for_more_of_its_frame_is_dropped_with_it() -> None:
    """The next stream's leader would come behind it."""
    lease = Lease()
    function = Script(transfer(1024, ends=False, lease=lease))
    kernel = plugged(function)
    assert lengths(kernel) == []
    lease.ended = True
    kernel.queues.service(1)
    function.todo.append(transfer(52, lease=Lease()))
    kernel.device.service(2)
    assert lengths(kernel) == [52]
