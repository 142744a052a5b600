"""The stream channel: leaders, trailers, how the payload is cut, and where every frame goes."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.u3v.rig import (
    EI_CONTROL,
    MS,
    PAYLOAD,
    SI_CONTROL,
    SI_FINAL1,
    SI_MAX_LEADER,
    SI_MAX_TRAILER,
    SI_SIZE,
    SIRM,
    STREAM_IN,
    Host,
    Received,
    Refused,
    make_camera,
    picture,
)
from u3v.camera import Camera, Options
from u3v.exposure import Exposure
from u3v.function import InTransfer
from u3v.host import bus as usb
from u3v.host.bus import UsbOverflow, UsbTimeout
from u3v.usb3v.bootstrap import WireOptions
from u3v.usb3v.stream import StreamChannel
from u3v.wire.stream import TransferPlan
from u3v.wire.usb import Speed

MONO8, MONO12P = "01 00 08 01", "47 00 0c 01"


# -- a memory smaller than a frame ------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "count"), [(1 << 16, 16), (1 << 18, 4), (1 << 20, 1)])
@pytest.mark.parametrize("late_ns", [0, 9 * MS])
def test_a_small_memory_runs_over_and_ends_the_frame(size: int, count: int, late_ns: int) -> None:
    """1 MiB is read out in 10.24 ms, of which 19 % may leave at once: what is cut does not depend on the size
    of the host's transfers, nor on how late the pixels were drawn."""
    host = Host(make_camera(settings={"Width": 1024, "Height": 1024, "AcquisitionMode": "SingleFrame"}))
    host.camera.frames.memory_bytes = 1 << 18
    host.camera.features.set("DeviceLinkThroughputLimit", 20_000_000)
    host.set("EventNotification", "On", EventSelector="FrameBufferOverrun")
    host.write_int(EI_CONTROL, 1)
    host.plan(size, count)
    host.write_int(SI_CONTROL, 1)
    buffers = [bytearray(n) for n in (1024, *[size] * count, 1024)]
    host.painted.paints = False
    waiting = [host.bus.submit_in(STREAM_IN, buffer) for buffer in buffers]
    host.run("AcquisitionStart")
    host.bus.run(100_000 + late_ns)
    exposure = host.painted.exposures[0]
    host.camera.deliver(exposure, memoryview(picture(0, 1 << 20)), host.bus.now_ns)
    host.bus.device.service(host.bus.now_ns)
    sent = [host.bus.wait_in(each, 10_000) for each in waiting]
    status, valid, lines = struct.unpack_from("<H2xQI", buffers[-1], 16)
    assert (status, valid, lines) == (0xA101, sum(sent[1:-1]), valid // 1024)
    assert valid == pytest.approx((1 << 18) / (1 - 20e6 / (1024 * 1024 / 10.24e-3)), abs=1 << 16)
    payload = b"".join(bytes(b[:n]) for b, n in zip(buffers, sent, strict=True))[sent[0] : sent[0] + valid]
    assert payload == picture(0, 1 << 20)[:valid]
    frames = host.camera.frames
    assert (frames.offered, frames.delivered, frames.discarded, frames.in_flight) == (1, 0, 1, 0)
    assert host.event().frame_id == 0


# -- fields ---------------------------------------------------------------------------------------------------


def test_leader_and_trailer_in_bytes() -> None:
    host = Host(make_camera(settings={"Width": 640, "Height": 480}))
    host.bus.run(1_000_000)
    host.start(65536)
    frame = host.frame()
    assert frame.leader.hex(" ") == (
        "55 33 56 4c 00 00 34 00 00 00 00 00 00 00 00 00 00 00 01 00 40 42 0f 00 00 00 00 00 "
        "01 00 08 01 80 02 00 00 e0 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00"
    )
    assert frame.trailer.hex(" ") == (
        "55 33 56 54 00 00 20 00 00 00 00 00 00 00 00 00 00 00 00 00 00 b0 04 00 00 00 00 00 e0 01 00 00"
    )
    assert frame.payload == picture(0, 640 * 480)


def test_leader_says_where_and_what(host: Host) -> None:
    for name, value in (("OffsetX", 16), ("OffsetY", 3), ("PixelFormat", "Mono12p")):
        host.set(name, value)
    host.start()
    leader = host.frame().leader
    assert leader[28:32].hex(" ") == MONO12P
    assert struct.unpack_from("<IIIIHH", leader, 32) == (40, 30, 16, 3, 0, 0)


def test_settings_change_with_the_exposure_not_before(host: Host) -> None:
    """A frame is what its exposure saw, also when settings change while it waits in memory."""
    host.start()
    host.bus.run(350 * 1000)
    host.run("AcquisitionStop")
    host.write_int(host.address("Width"), 8)
    frame = host.frame([1024, 176])
    assert struct.unpack_from("<II", frame.leader, 32) == (40, 30)
    assert len(frame.payload) == frame.valid == PAYLOAD


def test_timestamps_are_the_starts_of_exposures(host: Host) -> None:
    host.bus.run(7 * MS)
    host.start()
    frames = [host.frame() for _ in range(4)]
    assert [f.timestamp for f in frames] == [7 * MS + n * 300_000 for n in range(4)]
    assert [f.timestamp for f in frames] == [e.start_ns for e in host.painted.exposures[:4]]


# -- how a frame crosses the pipe -----------------------------------------------------------------------------


def payload_camera(size: int) -> Camera:
    """Some region with exactly `size` bytes of Mono8."""
    width = next(w for w in range(4112 // 4 * 4, 0, -4) if size % w == 0 and size // w <= 2176)
    return make_camera(settings={"Width": width, "Height": size // width})


@pytest.mark.parametrize("packet", [1024, 512])
@pytest.mark.parametrize(
    ("payload", "plan", "urbs", "expected"),
    [
        # n = b: full, no ZLP
        (2048, (1024, 2, 0, 0), (1024, 1024), (1024, 1024)),
        (3072, (1024, 2, 1024, 0), (1024, 1024, 1024), (1024, 1024, 1024)),
        (1200, (1200, 1, 0, 0), (1200,), (1200,)),
        # n < b, ends in a short packet
        (1200, (1024, 1, 1024, 0), (1024, 1024), (1024, 176)),
        (1200, (4096, 1, 0, 0), (4096,), (1200,)),
        (1200, (0x100000, 0, 1024, 180), (1024, 180), (1024, 176)),
        # n < b, ends on a packet: ZLP
        (2048, (4096, 1, 0, 0), (4096,), (2048,)),
        (2048, (1024, 1, 1100, 0), (1024, 1100), (1024, 1024)),
        (2048, (2048, 1, 1024, 1024), (2048, 1024, 1024), (2048, 0, 0)),
        (2048, (1024, 5, 0, 0), (1024,) * 5, (1024, 1024, 0, 0, 0)),
        # the announced end is rounded up to the alignment, the request is not (Aravis)
        (1201 * 8, (4096, 2, 1420, 0), (4096, 4096, 1416), (4096, 4096, 1416)),
        (2048, (1024, 1, 1028, 0), (1024, 1024), (1024, 1024)),
        # a transfer size that is no multiple of a packet
        (1200, (400, 3, 0, 0), (400, 400, 400), (400, 400, 400)),
        (1200, (500, 2, 200, 0), (500, 500, 200), (500, 500, 200)),
        # transfers of size 0 do not exist
        (1200, (0, 7, 1200, 0), (1200,), (1200,)),
        (1200, (1200, 1, 0, 64), (1200, 64), (1200, 0)),
    ],
)
def test_transfers(
    payload: int,
    plan: tuple[int, int, int, int],
    urbs: tuple[int, ...],
    expected: tuple[int, ...],
    packet: int,
) -> None:
    speed = usb_speed(packet)
    host = Host(payload_camera(payload), speed=speed)
    host.plan(*plan)
    host.write_int(SI_CONTROL, 1)
    host.run("AcquisitionStart")
    for block_id in range(3):
        frame = host.frame(list(urbs))
        assert tuple(map(len, frame.pieces)) == expected
        assert (frame.block_id, frame.status, frame.valid) == (block_id, 0, payload)
        assert frame.payload == picture(block_id, payload)


def usb_speed(packet: int) -> Speed:
    return Speed.SUPER if packet == 1024 else Speed.HIGH


def test_one_request_for_many_transfers() -> None:
    """A transfer of whole packets that was announced so long runs on into the same request."""
    host = Host(payload_camera(4096))
    host.plan(1024, 4)
    host.write_int(SI_CONTROL, 1)
    host.run("AcquisitionStart")
    host.transfer(1024)
    assert host.transfer(4096) == picture(0, 4096)  # four transfers of 1024
    assert len(host.transfer(1024)) == 32


def test_a_request_of_less_than_the_transfer() -> None:
    """Whole packets: the rest follows in the next request. Otherwise the packet that does not fit is lost."""
    host = Host(payload_camera(4096))
    host.plan(4096, 1)
    host.write_int(SI_CONTROL, 1)
    host.run("AcquisitionStart")
    host.transfer(1024)
    assert host.transfer(2048) + host.transfer(2048) == picture(0, 4096)
    assert len(host.transfer(1024)) == 32
    host.transfer(1024)
    with pytest.raises(UsbOverflow):
        host.transfer(1500)
    assert host.transfer(2048) == picture(1, 4096)[2048:]
    assert len(host.transfer(1024)) == 32


def test_a_leader_request_that_is_too_short_overflows(host: Host) -> None:
    host.start()
    with pytest.raises(UsbOverflow):
        host.transfer(48)
    assert len(host.transfer(1024)) == 1024  # the leader is gone, the payload follows


def test_a_plan_too_small_for_the_payload(host: Host) -> None:
    """More data than the host announced room for: what fits, and DATA_OVERRUN in the trailer."""
    host.plan(1024, 1)
    host.write_int(SI_CONTROL, 1)
    host.run("AcquisitionStart")
    for block_id in range(3):
        frame = host.frame([1024])
        assert (frame.status, frame.valid, frame.size_y) == (0xA101, 1024, 1024 // 40)
        assert frame.payload == picture(block_id, PAYLOAD)[:1024]
    host.run("AcquisitionStop")
    host.write_int(SI_CONTROL, 0)
    assert host.get("VirtualFramesDelivered") == 0
    assert host.get("VirtualFramesDiscarded") == host.get("VirtualFramesOffered")


def test_no_plan_at_all(host: Host) -> None:
    host.write_int(SI_CONTROL, 1)
    host.run("AcquisitionStart")
    frame = host.frame([])
    assert (frame.status, frame.valid, frame.size_y) == (0xA101, 0, 0)


def test_an_aborted_frame_ends_with_its_trailer() -> None:
    """AcquisitionAbort in mid-frame: every announced transfer still ends, then the trailer says A100."""
    host = Host(payload_camera(5 * 1024 + 100), paced=False)
    host.plan(1024, 5, 100)
    host.write_int(SI_CONTROL, 1)
    host.run("AcquisitionStart")
    leader = host.transfer(1024)
    pieces = [host.transfer(1024), host.transfer(1024)]
    host.run("AcquisitionAbort")
    pieces += [host.transfer(n) for n in (1024, 1024, 1024, 100)]
    frame = Received(leader, pieces, host.transfer(1024))
    assert [len(p) for p in pieces] == [1024, 1024, 0, 0, 0, 0]
    assert (frame.status, frame.valid) == (0xA100, 2048)
    width = host.get("Width")
    assert frame.size_y == 2048 // width
    with pytest.raises(UsbTimeout):
        host.transfer(1024)
    host.run("AcquisitionStart")
    assert host.frame().status == 0


def test_an_abort_behind_the_last_byte_cuts_nothing(host: Host) -> None:
    host.start()
    leader = host.transfer(1024)
    pieces = [host.transfer(1024), host.transfer(176)]
    host.run("AcquisitionAbort")
    frame = Received(leader, pieces, host.transfer(1024))
    assert (frame.status, frame.valid) == (0, PAYLOAD)


def test_a_frame_waits_for_its_pixels(host: Host) -> None:
    host.painted.paints = False
    host.start()
    with pytest.raises(UsbTimeout):
        host.transfer(1024, timeout_ms=1)
    first, second = host.painted.exposures[:2]
    host.camera.deliver(second, memoryview(picture(second.index, PAYLOAD)), host.bus.now_ns)
    with pytest.raises(UsbTimeout):  # frames go in order
        host.transfer(1024, timeout_ms=1)
    host.camera.deliver(first, memoryview(picture(first.index, PAYLOAD)), host.bus.now_ns)
    assert [host.frame().payload for _ in range(2)] == [picture(0, PAYLOAD), picture(1, PAYLOAD)]


def test_pixels_of_a_discarded_frame_are_dropped(host: Host) -> None:
    host.painted.paints = False
    host.start()
    late = host.painted.exposures[0]
    host.write_int(SI_CONTROL, 0)
    host.write_int(SI_CONTROL, 1)
    host.camera.deliver(late, memoryview(picture(0, PAYLOAD)), host.bus.now_ns)
    with pytest.raises(UsbTimeout):
        host.transfer(1024, timeout_ms=1)


# -- block ids and lost frames --------------------------------------------------------------------------------


def test_block_ids_count_on_over_acquisitions_and_restart_with_the_stream(host: Host) -> None:
    host.set("AcquisitionMode", "MultiFrame")
    host.set("AcquisitionFrameCount", 3)
    host.start()
    assert [host.frame().block_id for _ in range(3)] == [0, 1, 2]
    host.run("AcquisitionStart")
    assert [host.frame().block_id for _ in range(3)] == [3, 4, 5]
    host.write_int(SI_CONTROL, 1)
    host.run("AcquisitionStart")
    assert [host.frame().block_id for _ in range(3)] == [0, 1, 2]


def test_frames_lost_in_the_camera_leave_a_gap() -> None:
    """Full memory: new frames are discarded, their ids are skipped, and the held ones stay as they are."""
    host = Host(make_camera(settings={"Width": 4096, "Height": 2048}))
    size = 4096 * 2048
    held = 67108864 // size
    host.painted.paints = False
    host.start(1 << 20)
    period_ns = host.camera.acquisition.period_ns()
    host.bus.run(20 * period_ns)
    counts = [host.get(f"VirtualFrames{n}") for n in ("Offered", "Delivered", "Discarded", "Held")]
    assert counts == [21, 0, 21 - held, held]
    for exposure in host.painted.exposures:
        host.camera.deliver(exposure, memoryview(picture(exposure.index, size)), host.bus.now_ns)
    host.painted.paints = True
    ids = [host.frame().block_id for _ in range(held + 2)]
    assert ids[:held] == list(range(held))
    assert ids[held] >= 21
    assert ids[held + 1] == ids[held] + 1


def test_clearing_the_halt_of_the_stream_starts_again_at_a_leader(host: Host) -> None:
    host.start()
    host.frame()
    host.transfer(1024)
    host.transfer(1024)
    usb.clear_halt(host.bus, STREAM_IN)
    frame = host.frame()
    assert frame.status == 0 and frame.block_id > 1


def test_unpaced_frames_are_never_lost() -> None:
    host = Host(make_camera(Options(paced=False)), paced=False)
    host.start()
    host.bus.run(10_000_000_000)
    assert host.get("VirtualFramesHeld") == 3
    assert [host.frame().block_id for _ in range(200)] == list(range(200))
    assert host.get("VirtualFramesDiscarded") == 0


# -- SI registers ---------------------------------------------------------------------------------------------


def refused(host: Host, address: int, value: int) -> int:
    before = host.read_int(address)
    with pytest.raises(Refused) as caught:
        host.write_int(address, value)
    assert host.read_int(address) == before
    return caught.value.status


def test_strict_stream_registers() -> None:
    host = Host(wire=WireOptions(strict=True, alignment_exponent=10))
    host.plan(1024, 1, 1024)
    for address in (SI_SIZE, SI_FINAL1, SI_MAX_LEADER, SI_MAX_TRAILER):
        for value in (32, 65, 1023, 1025):
            assert refused(host, address, value) == 0xA003
    host.write_int(SI_CONTROL, 1)
    assert refused(host, SI_SIZE, 2048) == 0x8006
    assert refused(host, SI_SIZE + 4, 2) == 0x8006
    host.write_int(SI_CONTROL, 0)
    for address, bad, good in ((SI_FINAL1, 0, 1024), (SI_MAX_LEADER, 0, 1024), (SI_MAX_TRAILER, 0, 2048)):
        host.write_int(address, bad)
        assert refused(host, SI_CONTROL, 1) == 0xA004
        host.write_int(address, good)
    host.write_int(SI_CONTROL, 1)
    host.run("AcquisitionStart")
    assert host.frame().status == 0


def test_a_strict_camera_wants_what_its_registers_say() -> None:
    """Never less than a leader and a trailer have, whatever it is asked to require."""
    host = Host(wire=WireOptions(strict=True, required_leader_bytes=0, required_trailer_bytes=0))
    assert host.read_int(SIRM + 0x10) == 52
    host.plan(1024, 1, 1024, leader=32)
    assert refused(host, SI_CONTROL, 1) == 0xA004


def test_lenient_stream_registers(host: Host) -> None:
    host.plan(33, 37, leader=17)
    host.write_int(SI_CONTROL, 1)
    host.write_int(SI_SIZE, 1200)  # takes effect with the next enable
    host.run("AcquisitionStart")
    assert [len(p) for p in host.frame([33] * 37).pieces] == [33] * 36 + [12]
    for value in (2, 3, 0x80000000):
        assert refused(host, SI_CONTROL, value) == 0x8002


@pytest.mark.parametrize(("leader", "trailer"), [(52, 32), (0, 0), (64, 36)])
def test_required_sizes_are_never_below_what_is_sent(leader: int, trailer: int) -> None:
    host = Host(wire=WireOptions(required_leader_bytes=leader, required_trailer_bytes=trailer))
    assert host.read_int(0x20010) == max(leader, 52)
    assert host.read_int(0x20014) == max(trailer, 36)


# -- properties -----------------------------------------------------------------------------------------------


@given(
    st.sampled_from([1024, 512]),
    st.integers(1, 40),
    st.tuples(st.integers(0, 5000), st.integers(0, 6), st.integers(0, 5000), st.integers(0, 5000)),
)
@settings(max_examples=120, deadline=None)
def test_any_plan_keeps_the_stream_in_step(packet: int, rows: int, plan: tuple[int, int, int, int]) -> None:
    """Whatever is announced: requests of the announced sizes get the payload from its start, then the trailer
    comes in its own request, and what did not fit is reported as such."""
    host = Host(make_camera(settings={"Width": 128, "Height": rows}), speed=usb_speed(packet), paced=False)
    payload = 128 * rows
    host.plan(*plan)
    host.write_int(SI_CONTROL, 1)
    host.run("AcquisitionStart")
    sizes = list(TransferPlan(*plan).sizes())
    sent = min(sum(sizes), payload)
    for block_id in range(2):
        frame = host.frame(sizes)
        assert frame.payload == picture(block_id, payload)[:sent]
        assert (frame.block_id, frame.valid, frame.size_y) == (block_id, sent, sent // 128)
        assert frame.status == (0 if sent == payload else 0xA101)


class Frames(RuleBasedStateMachine):
    """The frame memory under any order of events: offered = delivered + discarded + held, and what is sent is
    always leader, payload, trailer of one frame, with rising ids."""

    PLAN = TransferPlan(512, 2, 256, 0)  # 1280 bytes

    def __init__(self) -> None:
        super().__init__()
        self.camera = make_camera(Options(paced=False), {"Width": 40, "Height": 32})
        self.frames = self.camera.frames
        self.frames.memory_bytes = 4 * 1280
        self.stream = StreamChannel(self.camera, lambda: 1024)
        self.unpainted: list[Exposure] = []
        self.in_frame: list[InTransfer] = []
        self.last_id = -1
        self.index = 0

    @rule()
    def enable(self) -> None:
        self.stream.enable(self.PLAN)
        self.in_frame.clear()
        self.last_id = -1
        assert self.frames.next_block_id == 0

    @rule()
    def disable(self) -> None:
        self.stream.disable()
        self.in_frame.clear()
        assert self.frames.in_flight == 0
        assert self.stream.next_transfer() is None

    @rule()
    def flush(self) -> None:
        self.stream.flush()
        self.in_frame.clear()

    @rule()
    def abort(self) -> None:
        held = self.frames.in_flight
        self.frames.abort()
        assert self.frames.in_flight <= min(held, 2)  # one on the wire, one whose trailer was not taken yet

    @rule(count=st.integers(1, 3))
    def expose(self, count: int) -> None:
        for _ in range(count):
            block_id, room = self.frames.next_block_id, self.frames.has_room(1280)
            exposure = self.camera.exposure(self.index, block_id, self.index, self.index)
            self.index += 1
            claimed = self.frames.claims(1280)
            assert claimed == (self.frames.enabled and room)
            if self.frames.enabled:
                assert self.frames.next_block_id == block_id + 1
            if claimed:
                self.frames.place(exposure)
                self.unpainted.append(exposure)

    @precondition(lambda self: self.unpainted)
    @rule(data=st.data())
    def paint(self, data: st.DataObject) -> None:
        exposure = self.unpainted.pop(data.draw(st.integers(0, len(self.unpainted) - 1)))
        self.camera.deliver(exposure, memoryview(picture(exposure.index, 1280)), 0)

    @rule(count=st.integers(1, 6))
    def take(self, count: int) -> None:
        for _ in range(count):
            transfer = self.stream.next_transfer()
            if transfer is None:
                assert not self.in_frame, "a frame that has begun goes on"
                return
            assert transfer.lease is not None and not transfer.lease.ended
            if transfer.taken is not None:
                transfer.taken()
            self.in_frame.append(transfer)
            if len(self.in_frame) == 5:
                self.judge()

    def judge(self) -> None:
        leader, *pieces, trailer = (bytes(t.data) for t in self.in_frame)
        frame = Received(leader, pieces, trailer)
        self.in_frame.clear()
        assert frame.block_id > self.last_id
        self.last_id = frame.block_id
        assert frame.valid == len(frame.payload)
        assert frame.status == (0 if frame.valid == 1280 else 0xA100)
        exposed = frame.timestamp  # start_ns is the index here
        assert frame.payload == picture(exposed, 1280)[: frame.valid]

    @invariant()
    def every_frame_is_somewhere(self) -> None:
        s = self.frames
        assert s.offered == s.delivered + s.discarded + s.in_flight
        assert s.in_flight * 1280 <= s.memory_bytes
        assert s._held_bytes == s.in_flight * 1280


TestFrames = Frames.TestCase
TestFrames.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
