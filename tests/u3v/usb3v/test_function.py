"""What USB does to a camera: halts, resets, power-up, and the status codes that belong to them."""

from collections import deque

import pytest

from tests.u3v.rig import (
    EI_CONTROL,
    EVENT_IN,
    MS,
    PAYLOAD,
    SBRM,
    SI_CONTROL,
    SI_SIZE,
    STREAM_IN,
    Host,
    Painted,
    Refused,
    make_camera,
    picture,
)
from u3v.function import InTransfer
from u3v.happenings import Happening
from u3v.host import bus as usb
from u3v.host.bus import UsbTimeout
from u3v.usb3v.function import UsbFunction
from u3v.wire.usb import Speed


@pytest.fixture
def host() -> Host:
    return Host()


def refused(host: Host, address: int, value: int) -> int:
    with pytest.raises(Refused) as caught:
        host.write_int(address, value)
    return caught.value.status


def test_b18_a_cleared_halt_goes_on_at_a_leader(host: Host) -> None:
    """Clearing alone, in mid-frame: what was queued is dropped, the stream stays enabled."""
    host.start()
    host.transfer(1024)
    host.transfer(1024)
    host.clear(STREAM_IN)
    frame = host.frame()
    assert frame.payload == picture(frame.block_id, PAYLOAD)
    assert frame.block_id > 0
    assert host.read_int(SI_CONTROL) == 1


def test_h3_a_halt_suspends_the_acquisition(host: Host) -> None:
    """Cancel all buffers and go on: halt, clear, enable again, without AcquisitionStart."""
    host.start()
    assert host.frame().block_id == 0
    host.halt(STREAM_IN)
    assert host.read_int(SI_CONTROL) == 0
    host.clear(STREAM_IN)
    with pytest.raises(UsbTimeout):
        host.transfer(1024, timeout_ms=5)
    host.write_int(SI_CONTROL, 1)
    assert host.camera.acquisition.active
    frame = host.frame()
    assert frame.block_id == 0  # ids start afresh with the stream
    host.run("AcquisitionStop")


def test_h3_a_host_after_one_that_died_finds_nothing_locked(host: Host) -> None:
    """It halts the stream endpoint when it opens the camera, sets what it likes and starts."""
    host.start()
    host.frame()
    host.halt(STREAM_IN)
    host.clear(STREAM_IN)
    host.set("Width", 48)
    host.plan(1024, 1, 416)
    host.write_int(SI_CONTROL, 1)
    assert not host.camera.acquisition.active  # no frame before it asks for one
    host.run("AcquisitionStart")
    assert len(host.frame().payload) == 48 * 30


def test_h3_an_acquisition_that_was_ended_does_not_come_back(host: Host) -> None:
    host.start()
    host.frame()
    host.halt(STREAM_IN)
    host.clear(STREAM_IN)
    host.run("AcquisitionStop")
    host.write_int(SI_CONTROL, 1)
    assert not host.camera.acquisition.active


def test_h3_the_frames_that_were_left_are_the_frames_that_come(host: Host) -> None:
    host.set("AcquisitionMode", "MultiFrame")
    host.set("AcquisitionFrameCount", 10)
    host.start()
    host.frame()
    exposed = host.camera.acquisition.exposed
    host.halt(STREAM_IN)
    host.clear(STREAM_IN)
    host.write_int(SI_CONTROL, 1)
    host.bus.run(100 * MS)
    assert exposed < host.camera.acquisition.exposed == 10


def test_h2_a_halted_endpoint_cannot_be_enabled(host: Host) -> None:
    host.plan(1024, 1, 256)
    host.halt(STREAM_IN)
    assert refused(host, SI_CONTROL, 1) == 0xA002
    assert host.read_int(SI_CONTROL) == 0
    host.write_int(SI_CONTROL, 0)
    host.clear(STREAM_IN)
    host.write_int(SI_CONTROL, 1)
    host.halt(EVENT_IN)
    assert refused(host, EI_CONTROL, 1) == 0xA005
    assert host.read_int(EI_CONTROL) == 0
    host.clear(EVENT_IN)
    host.write_int(EI_CONTROL, 1)


def test_b15_a_capability_that_is_missing_cannot_be_switched_on(host: Host) -> None:
    for value in (1, 2, 3, 0xFFFF):
        host.write_int(0x1E0, value, 8)
        assert host.read_int(0x1E0, 8) == 0


def test_b14_a_device_reset_is_power_up(host: Host) -> None:
    """SI sizes, selectors and everything else that a host can write: as in a camera that has just been plugged in."""
    fresh = Host()
    features = host.camera.features
    host.plan(2048, 7, 12, 8)
    host.set("TriggerSelector", "FrameBurstStart")
    host.set("EventSelector", "Test")
    host.set("Gain", 6.0)
    host.write_int(EI_CONTROL, 1)
    host.write_int(0x1F8, 1)
    host.run("DeviceReset")
    for at in range(SI_SIZE, SI_SIZE + 20, 4):
        assert host.read_int(at) == 0
    assert host.read_int(EI_CONTROL) == 0
    assert host.read_int(0x1F0, 8) == 0
    power_up = Host(camera=type(host.camera)(host.camera.model, *_parts())).camera.features
    for feature in features:
        if feature.read is None and feature.address is None:
            assert features.get(feature.name) == power_up.get(feature.name), feature.name
    assert host.read(SBRM, 0x44) == fresh.read(SBRM, 0x44)


def _parts() -> tuple[object, ...]:
    from tests.u3v.rig import PlainTiming, Room
    from u3v.usb3v.bootstrap import USB3_VISION

    return PlainTiming(), Room(), USB3_VISION


def test_b18_the_whole_abrm_reads_in_one_go(host: Host) -> None:
    """The write-only latch and the registers that this camera lacks read as zeros beside the others."""
    page = host.read(0, 0x250)
    assert page[0x1F8:0x1FC] == bytes(4) and page[0x1E8:0x1EC] == bytes(4)
    assert page[0x1D8:0x1E0] == SBRM.to_bytes(8, "little")
    with pytest.raises(Refused, match="0x8006"):
        host.read(0x1F8, 4)
    for absent in (0x1E8, 0x204, 0x20C, 0x210):
        with pytest.raises(Refused, match="0x8003"):
            host.read(absent, 4)
        assert refused(host, absent, 1) == 0x8003


def test_the_latch_is_one_bit(host: Host) -> None:
    """GenCP 1.3.1, clause 5.4.17: bit 0 latches, the rest is reserved."""
    host.bus.run(5 * MS)
    host.write_int(0x1F8, 2)
    assert host.read_int(0x1F0, 8) == 0
    host.write_int(0x1F8, 1)
    assert host.read_int(0x1F0, 8) == 5 * MS


def test_b8_the_name_is_in_the_strings_of_the_next_enumeration(host: Host) -> None:
    host.set("DeviceUserID", "left")
    assert "left" in host.function.descriptors(host.function.speed).strings.values()


def test_s11_a_frame_is_delivered_when_its_trailer_has_been_taken(host: Host) -> None:
    host.start()
    host.transfer(1024)
    host.transfer(1024)
    host.transfer(1024)
    assert host.camera.frames.delivered == 0
    seen: list[Happening] = []
    host.camera.happenings.listen(lambda what, _at, _id: seen.append(what), Happening.FRAME_TRANSFER_END)
    host.transfer(1024)
    assert host.camera.frames.delivered == 1 and seen == [Happening.FRAME_TRANSFER_END]


def test_a_set_configuration_is_a_full_stop(host: Host) -> None:
    host.start()
    host.frame()
    usb.set_configuration(host.bus, 1)
    assert not host.camera.acquisition.active
    assert host.read_int(SI_CONTROL) == 0
    frames = host.camera.frames
    assert frames.offered == frames.delivered + frames.discarded


@pytest.mark.parametrize("ended_by", ["SI_Control", "SET_CONFIGURATION", "halt", "DeviceReset"])
def test_a_stream_begins_and_ends_once_whatever_ends_it(host: Host, ended_by: str) -> None:
    told: list[Happening] = []
    streams = (Happening.STREAM_START, Happening.STREAM_END)
    host.camera.happenings.listen(lambda what, _at, _id: told.append(what), *streams)
    host.start()
    host.frame()
    if ended_by == "SI_Control":
        host.write_int(SI_CONTROL, 0)
    elif ended_by == "SET_CONFIGURATION":
        usb.set_configuration(host.bus, 0)
    elif ended_by == "halt":
        host.halt(STREAM_IN)
    else:
        host.camera.reset()
    assert told == list(streams)
    usb.set_configuration(host.bus, 0)
    assert told == list(streams)


def test_an_exposure_that_could_not_be_rendered_is_counted_as_lost() -> None:
    host = Host(make_camera())
    host.painted.paints = False
    host.start()
    host.bus.run(MS)
    exposure = host.painted.exposures[0]
    host.camera.deliver(exposure, memoryview(bytes(PAYLOAD)), host.bus.now_ns, lost=True)
    assert host.frame().status == 0xA100
    assert (host.camera.frames.delivered, host.camera.frames.discarded) == (0, 1)


def test_s6_a_transport_with_a_queue_of_its_own_may_ask_ahead() -> None:
    """A kernel owns endpoint 0 and takes data before a host asks: no `UsbDevice`, twelve transfers ahead."""
    camera = make_camera(settings={"AcquisitionMode": "MultiFrame", "AcquisitionFrameCount": 4})
    painted = Painted(camera)
    function = UsbFunction(camera)
    function.use_speed(Speed.SUPER)
    function.configure(1, 0)
    memory, features = camera.memory, camera.features
    for at, value in ((SI_SIZE, 1024), (SI_SIZE + 4, 1), (SI_SIZE + 8, 176), (SI_CONTROL, 1)):
        memory.host_write(at, value.to_bytes(4, "little"))
    features.host_set("AcquisitionStart", 1)
    now_ns, queue, sent = 0, deque[InTransfer](), list[bytes]()
    while len(sent) < 16 and now_ns < 100 * MS:
        now_ns += MS // 10
        function.tick(now_ns)
        while len(queue) < 12 and (transfer := function.transfer_in(STREAM_IN, now_ns)) is not None:
            queue.append(transfer)
        if queue and now_ns % MS == 0:  # the host takes all that lies there, now and then
            for transfer in queue:
                sent.append(bytes(transfer.data))
                if transfer.taken is not None:
                    transfer.taken()
            queue.clear()
    assert [data[:4] for data in sent[::4]] == [b"U3VL"] * 4
    assert [data[:4] for data in sent[3::4]] == [b"U3VT"] * 4
    assert [sent[k + 1] + sent[k + 2] for k in range(0, 16, 4)] == [picture(n, PAYLOAD) for n in range(4)]
    assert len(painted.exposures) == 4
    assert (camera.frames.delivered, camera.frames.in_flight, camera.frames.discarded) == (4, 0, 0)


def test_asking_for_descriptors_changes_nothing() -> None:
    """FunctionFS is told those of both speeds before there is a link."""
    camera = make_camera()
    function = UsbFunction(camera)
    function.use_speed(Speed.SUPER)
    link, registers = camera.link_bits_per_s, camera.memory.version
    for speed in (Speed.HIGH, Speed.SUPER, Speed.HIGH):
        assert function.descriptors(speed).device
    assert (function.speed, camera.memory.version) == (Speed.SUPER, registers)
    assert camera.link_bits_per_s == link
    function.use_speed(Speed.HIGH)
    assert camera.link_bits_per_s < link
