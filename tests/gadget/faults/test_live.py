"""Faults while a camera runs, and what each fault does to a host: seen by our own grabber in the same process."""

import contextlib
from collections.abc import Iterator

import pytest

from gadget import VirtualCamera
from gadget.faults.catalogue import on_wire, parse_fault
from gadget.faults.wrappers import USB
from gadget.front_door.camera_verbs import CameraError
from u3v.errors import U3VError
from u3v.host.client import U3VClient
from u3v.wire.usb import Speed

SMALL = {"Width": 128, "Height": 64, "scene": "uniform"}


@pytest.fixture
def camera() -> Iterator[VirtualCamera]:
    with VirtualCamera(**SMALL) as camera:
        yield camera


def test_added_listed_cleared(camera: VirtualCamera) -> None:
    (added,) = camera.faults.add("lost-trailer", frame=2)
    assert added == {"number": 1, "fault": "lost-trailer:frame=2", "struck": 0, "chances": 0, "over": False}
    assert [frame.complete for frame in camera.grab(5)].count(False) == 1
    assert camera.faults.list() == [{**added, "struck": 1, "chances": 1, "over": True}]
    assert camera.counters()["fault_strikes"] == 1
    assert camera.faults.clear() == 1 and camera.faults.list() == []
    assert all(frame.complete for frame in camera.grab(5))


def test_one_of_several_is_cleared(camera: VirtualCamera) -> None:
    camera.faults.add("lost-trailer", times=0)
    camera.faults.add("eproto", nth=1000)
    camera.faults.add("trailer-status:times=0,status=0xA101")
    assert camera.faults.clear(1) == 1
    assert [each["number"] for each in camera.faults.list()] == [2, 3]
    assert not camera.grab().complete
    camera.faults.clear(3)
    assert camera.grab().complete
    with pytest.raises(CameraError, match="no fault 7: there is 2"):
        camera.faults.clear(7)


def test_what_cannot_be_added(camera: VirtualCamera) -> None:
    with pytest.raises(CameraError, match="give it when the camera is started"):
        camera.faults.add("no-stream-interface")
    with pytest.raises(CameraError, match="did you mean 'ExposureTime'"):
        camera.faults.add("refused:register=ExposureTme")
    with pytest.raises(CameraError, match="it is about Ethernet, and this camera is on USB"):
        camera.faults.add("lost-packets")
    with pytest.raises(CameraError, match="no such fault"):
        camera.faults.add("yankk")
    with pytest.raises(CameraError, match="a text, such as"):
        camera.faults._ask("add_fault", fault=3)
    assert camera.faults.list() == []


def test_the_same_seed_strikes_the_same_frames() -> None:
    def struck(seed: int) -> list[bool]:
        fault = f"trailer-status:p=0.4,times=0,seed={seed}"
        with VirtualCamera(faults=[fault], **SMALL) as camera:
            return [frame.complete for frame in camera.grab(20)]

    first = struck(1)
    assert first == struck(1) != struck(2)
    assert 3 <= first.count(False) <= 15


def test_at_an_instant(camera: VirtualCamera) -> None:
    camera.faults.add("trailer-status", at_ms=20, times=0)
    frames = camera.grab(20)
    started_ns = frames[0].timestamp_ns
    assert {f.complete for f in frames if f.timestamp_ns < started_ns + 5_000_000} == {True}
    assert not frames[-1].complete


def test_a_cable_pulled_in_mid_frame_comes_back_without_settings(camera: VirtualCamera) -> None:
    camera.faults.add("yank", frame=2, back_ms=300)
    with pytest.raises(U3VError):
        camera.grab(10)
    camera.wait_for("plugged", timeout_s=2)
    assert camera.features["Width"] == 4096
    assert camera.counters()["bus_drops"] == 1


def test_a_camera_that_keeps_its_power_keeps_its_settings(camera: VirtualCamera) -> None:
    camera.faults.add("yank", frame=2, back_ms=300, power="kept")
    with pytest.raises(U3VError):
        camera.grab(10)
    camera.wait_for("plugged", timeout_s=2)
    assert camera.features["Width"] == 128
    assert len(camera.grab(3)) == 3


def test_a_link_that_falls_back_is_slower(camera: VirtualCamera) -> None:
    camera.faults.add("fall-back", frame=2, back_ms=300, power="kept")
    with pytest.raises(U3VError):
        camera.grab(10)
    camera.wait_for("plugged", timeout_s=2)
    built = camera._bench._live(0).built
    assert built.device.speed is Speed.HIGH
    assert all(frame.complete for frame in camera.grab(3))
    assert built.device.descriptors.configuration.count(b"\x07\x05\x83\x02\x00\x02") == 1


def test_triggers_are_lost_and_counted(camera: VirtualCamera) -> None:
    camera.features.TriggerMode = "On"
    camera.features.TriggerSource = "Software"
    camera.faults.add("lost-triggers", nth=2)
    with camera.acquire(timeout_s=1) as frames:
        for _ in range(3):
            camera.features.execute("TriggerSoftware")
            camera.advance("100ms")
        assert [frames.next().block_id for _ in range(2)] == [0, 1]
        with pytest.raises(U3VError):
            frames.next()
    assert camera.counters()["fault_strikes"] == 1


def test_lost_triggers_are_taken_away_in_any_order(camera: VirtualCamera) -> None:
    inputs = camera._bench._live(0).built.camera.inputs
    before = inputs.trigger
    for order in ((1, 2, 3), (2, 3, 1), (3, 2, 1)):
        added = [camera.faults.add("lost-triggers")[0]["number"] for _ in order]
        for number in order:
            camera.faults.clear(added[number - 1])
        assert inputs.trigger == before
    camera.faults.add("lost-triggers")
    camera.faults.add("lost-triggers", nth=5)
    assert camera.faults.clear() == 2
    assert inputs.trigger == before


def test_a_fault_that_strikes_again_leaves_the_surroundings_as_they_were(camera: VirtualCamera) -> None:
    camera.faults.add("brown-out", times=3, volts=4.7, for_ms=200)
    camera.faults.add("over-temperature", times=3, celsius=60)
    camera.grab(5)
    assert (camera.supply()["volts"], camera.ambient()["ambient_c"]) == (4.7, 60)
    camera.advance("1s")
    assert camera.supply()["volts"] == 5
    camera.faults.add("over-temperature", celsius=70)
    camera.grab(2)
    assert camera.faults.clear() == 3
    assert camera.ambient()["ambient_c"] == 25


@pytest.mark.parametrize("spoiled", ["leader-length:bytes=20", "leader-field:field=size_x,value=0"])
def test_faults_of_frames_stand_leaders_that_another_one_has_spoiled(spoiled: str) -> None:
    faults = [f"{spoiled},times=0", "sensor-defects:what=row", "stops-after:frames=1000"]
    with VirtualCamera(faults=faults, **SMALL) as camera:
        with contextlib.suppress(U3VError):
            camera.grab(3, timeout_s=2)
        assert all(each["struck"] for each in camera.faults.list()[:2])


def test_heat_and_brown_out(camera: VirtualCamera) -> None:
    camera.faults.add("over-temperature", frame=1, celsius=120)
    camera.grab(20)
    assert camera.ambient()["camera_c"] > 100
    assert camera.features["DeviceTemperature"] > 100
    camera.faults.clear()
    assert camera.ambient()["camera_c"] < 60
    camera.faults.add("brown-out", frame=1, volts=3, for_ms=20)
    with pytest.raises(U3VError):
        camera.grab(20)
    camera.wait_for("plugged", timeout_s=2)
    assert camera.counters()["bus_drops"] == 1 and camera.supply()["fault"] == ""


PARAMETERS = {
    "leader-field": "field=payload_type,value=2",
    "trailer-field": "field=valid_size,value=1",
    "stops-after": "frames=2,beyond=0",
    "small-requests-only": "bytes=512",
    "slow-link": "mb_per_s=0.01",
    "refused": "register=Width,access=both",
    "bit-errors": "bits=8",
    "stuck-endpoint": "nth=3",
    "bad-descriptor": "type=1,byte=3,value=9",
}
QUIET = {"unaligned-refused", "lost-triggers", "stuck-registers", "lost-configuration"}
"""Those that this host gives no chance: it sizes as told, does not trigger, is not killed."""


def look_around(camera: VirtualCamera) -> None:
    """What `grab` does not do in process: read descriptors and the GenICam file, write a feature."""
    bus = camera._bench._at_home(0).bus(0)
    bus.control(bytes.fromhex("8006000100001200"), 18)
    client = U3VClient(bus)
    client.open()
    client.xml()
    client.write(camera._bench._live(0).address_of("Width"), (64).to_bytes(4, "little"))


@pytest.mark.parametrize("name", [name for name in on_wire(USB) if name not in QUIET])
def test_every_fault_strikes(name: str) -> None:
    """A session of our own host, whatever becomes of it: the fault has struck, and nothing hangs or breaks."""
    fault = parse_fault(f"{name}:{PARAMETERS.get(name, '')}".rstrip(":"))
    with VirtualCamera(faults=[fault], **SMALL) as camera:
        for _ in range(2):
            with contextlib.suppress(U3VError):
                camera.grab(5, timeout_s=2)
            with contextlib.suppress(U3VError):
                look_around(camera)
        assert camera.counters()["fault_strikes"] >= 1
