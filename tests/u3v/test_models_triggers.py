"""How each family is triggered, and what it tells about it."""

import pytest

from tests.u3v.models import ACE, GENERIC, IDS, VCX, host_of
from tests.u3v.rig import EI_CONTROL, MS, SI_CONTROL, SI_REQUIRED_PAYLOAD, Event, Host
from u3v.features import Value
from u3v.happenings import Happening
from u3v.host.bus import UsbTimeout

SMALL: dict[str, Value] = {"Width": 64, "Height": 64}
# t_readout of 64 rows: 1201.35 us + 64 x 21.522 us.
READOUT_US = 2578.8


def triggered(name: str, settings: dict[str, Value], *events: str) -> Host:
    """A camera that waits for frame triggers, with an enabled stream and these events."""
    host = host_of(name, settings)
    entry = host.camera.family.triggers["FrameStart"]
    host.set("TriggerSelector", entry)
    host.set("TriggerMode", "On")
    if events:
        host.write_int(EI_CONTROL, 1)
    for event in events:
        host.set("EventSelector", event)
        host.set("EventNotification", "On")
    payload = host.read_int(SI_REQUIRED_PAYLOAD, 8)
    host.plan(payload, 1)
    host.write_int(SI_CONTROL, 1)
    host.run("AcquisitionStart")
    return host


def events_of(host: Host) -> list[tuple[str, int]]:
    """Names and instants (ns) of the events so far."""
    names = {number: name for name, number in host.camera.family.event_ids.items()}
    found: list[Event] = []
    try:
        while True:
            found.append(host.event(timeout_ms=0))
    except UsbTimeout:
        return [(names[e.event_id], e.timestamp) for e in found]


@pytest.mark.parametrize("name", [ACE, GENERIC, IDS, VCX])
def test_a_software_trigger_gives_one_frame(name: str) -> None:
    settings: dict[str, Value] = {"Width": 120, "Height": 64} if name != VCX else SMALL
    host = triggered(name, settings)
    assert host.painted.exposures == []
    for count in (1, 2):
        host.run("TriggerSoftware")
        host.bus.run(50 * MS)
        assert len(host.painted.exposures) == count
        host.frame()


def test_generic_events_have_their_standard_names() -> None:
    """A trigger that comes during the exposure of 15 ms is missed."""
    names = ["FrameStart", "ExposureStart", "ExposureEnd", "FrameEnd", "FrameTriggerMissed"]
    host = triggered(GENERIC, SMALL, *names)
    host.run("TriggerSoftware")
    host.bus.run(2 * MS)
    host.run("TriggerSoftware")
    host.bus.run(50 * MS)
    seen = events_of(host)
    assert sorted(name for name, _ in seen) == sorted(names)
    at_ns = dict(seen)
    assert at_ns["FrameStart"] == at_ns["ExposureStart"] < at_ns["FrameTriggerMissed"] < at_ns["ExposureEnd"]
    assert at_ns["ExposureEnd"] == at_ns["ExposureStart"] + 15 * MS < at_ns["FrameEnd"]


def test_a_trigger_source_of_off_hears_nothing() -> None:
    host = triggered(VCX, SMALL)
    for source, frames in (("Off", 0), ("Software", 1), ("All", 2)):
        host.set("TriggerSource", source)
        host.run("TriggerSoftware")
        host.bus.run(200 * MS)
        assert len(host.painted.exposures) == frames
        for _ in range(frames > 0):
            host.frame()


def test_the_fixed_delay() -> None:
    """97.7 us out of readout; up to 114.1 us while the last image is read out."""
    host = triggered(VCX, {**SMALL, "ExposureTime": 100.0}, "FrameStart")
    camera = host.camera
    camera.acquisition.trigger("FrameStart", host.bus.now_ns)
    first_ns = host.bus.now_ns
    host.bus.run(int((97.7 + 100 + READOUT_US - 20) * 1000))  # nearly all of the readout is over
    camera.at(host.bus.now_ns)
    second_ns = host.bus.now_ns
    camera.acquisition.trigger("FrameStart", second_ns)
    host.bus.run(10 * MS)
    (_, first), (_, second) = events_of(host)
    assert abs(first - first_ns - 97_700) < 8
    assert abs(second - second_ns - 114_100) < 8


def test_an_abort_waits_for_the_end_of_the_readout() -> None:
    host = triggered(VCX, {**SMALL, "ExposureTime": 100.0})
    host.run("TriggerSoftware")
    host.bus.run(1 * MS)  # exposed, and being read out
    aborted_ns = host.bus.now_ns
    host.run("AcquisitionAbort")
    assert host.camera.frames.in_flight == 1
    while host.camera.frames.in_flight:
        at_ns = host.camera.next_wakeup_ns()
        assert at_ns is not None
        host.bus.run(at_ns - host.bus.now_ns)
    exposed = host.painted.exposures[0]
    assert host.bus.now_ns == exposed.readout_start_ns + exposed.readout_ns > aborted_ns
    assert host.camera.frames.discarded == 1
    assert host.camera.next_wakeup_ns() is None
    host.run("AcquisitionStart")
    host.run("TriggerSoftware")
    assert host.frame().status == 0


def test_an_abort_drops_what_is_only_exposed_at_once_and_a_start_waits_for_the_readout() -> None:
    host = triggered(VCX, {**SMALL, "ExposureTime": 1_000_000.0})
    host.run("TriggerSoftware")
    host.bus.run(10 * MS)
    host.run("AcquisitionAbort")
    assert (host.camera.frames.in_flight, host.camera.frames.discarded) == (0, 1)
    host = triggered(VCX, {**SMALL, "ExposureTime": 100.0})
    host.set("TriggerMode", "Off", TriggerSelector="FrameStart")
    host.bus.run(1 * MS)
    host.run("AcquisitionAbort")
    host.run("AcquisitionStart")
    first = host.painted.exposures[0]
    host.bus.run(10 * MS)
    assert host.painted.exposures[1].start_ns == first.readout_start_ns + first.readout_ns


def test_the_events_of_a_triggered_frame() -> None:
    host = triggered(
        VCX, {**SMALL, "ExposureTime": 100.0},
        "TriggerReady", "FrameStart", "ExposureStart", "ExposureEnd", "FrameEnd", "TransferBufferFull",
        "TransferBufferReady", "TriggerOverlapped", "TriggerSkipped", "FrameTransferSkipped",
    )  # fmt: skip
    at_ns = host.bus.now_ns
    host.run("TriggerSoftware")
    host.bus.run(20 * MS)
    host.frame()
    seen = dict(events_of(host))
    start_ns = host.painted.exposures[0].start_ns
    assert at_ns < start_ns
    assert seen["FrameStart"] == seen["ExposureStart"] == start_ns - start_ns % 8
    assert 0 <= start_ns + 100_000 - seen["ExposureEnd"] < 8
    assert seen["FrameEnd"] - seen["ExposureEnd"] == pytest.approx(READOUT_US * 1000, abs=1000)
    assert seen["TriggerReady"] >= seen["FrameStart"]
    assert seen["TransferBufferFull"] < seen["TransferBufferReady"]
    assert {"TriggerOverlapped", "TriggerSkipped", "FrameTransferSkipped"} & set(seen) == set()


def test_a_trigger_too_early_is_skipped() -> None:
    """While the shortest time between two exposures has not passed."""
    host = triggered(VCX, SMALL, "TriggerSkipped", "TriggerOverlapped")
    host.run("TriggerSoftware")
    host.run("TriggerSoftware")
    host.bus.run(50 * MS)
    assert [name for name, _ in events_of(host)] == ["TriggerSkipped"]
    assert len(host.painted.exposures) == 1


def test_a_trigger_during_readout_is_overlapped() -> None:
    """Exposed as early as the sensor can. The buffer holds one image: whose transfer is not over skips it."""
    host = triggered(
        VCX, {**SMALL, "ExposureTime": 100.0}, "TriggerSkipped", "TriggerOverlapped", "FrameTransferSkipped"
    )
    acquisition = host.camera.acquisition
    acquisition.trigger("FrameStart", host.bus.now_ns)
    host.bus.run(int((97.7 + 100 + READOUT_US - 20) * 1000))
    host.camera.at(host.bus.now_ns)
    acquisition.trigger("FrameStart", host.bus.now_ns)
    host.bus.run(10 * MS)
    assert [name for name, _ in events_of(host)] == ["TriggerOverlapped", "FrameTransferSkipped"]
    assert (host.camera.frames.offered, host.camera.frames.discarded) == (2, 1)


def test_delayed_triggers_queue() -> None:
    """Up to 256 triggers wait for their delay; an ace tracks one."""
    for name, settings, tracked in (
        (VCX, {"Width": 16, "Height": 1}, 256),
        (ACE, {"Width": 16, "Height": 1}, 1),
    ):
        host = triggered(name, {**settings, "ExposureTime": 50.0})
        host.set("TriggerDelay", 1_000_000.0)
        acquisition = host.camera.acquisition
        for _ in range(300):
            host.bus.run(3 * MS)
            host.camera.at(host.bus.now_ns)
            acquisition.trigger("FrameStart", host.bus.now_ns)
        assert len(acquisition._triggers) == tracked
        assert host.painted.exposures == []
        host.bus.run(1500 * MS)
        assert len(host.painted.exposures) + host.camera.frames.discarded >= tracked


def test_a_triggered_camera_reaches_the_printed_rate_and_loses_nothing() -> None:
    """9 fps at full resolution and 4 ms: each trigger one ResultingFrameRate period after the last."""
    host = triggered(VCX, {"Height": 64, "Width": 4096})
    period_ns = int(1e9 / host.get("ResultingFrameRate"))
    sizes = [4096 * 64]
    for index in range(5):
        host.camera.at(host.bus.now_ns)
        at_ns = host.bus.now_ns
        host.camera.acquisition.trigger("FrameStart", at_ns)
        assert host.frame(sizes, timeout_ms=100).block_id == index
        host.bus.run(max(0, at_ns + period_ns - host.bus.now_ns))
        assert host.bus.now_ns <= at_ns + period_ns + 100_000
    assert host.camera.frames.discarded == 0


def test_lost_events_are_told() -> None:
    host = triggered(VCX, SMALL, "EventLost", "FrameStart")
    for _ in range(70):
        host.camera.happened(Happening.FRAME_START, host.bus.now_ns)
    first = [name for name, _ in events_of(host)]
    assert first == ["FrameStart"] * 64
    host.camera.happened(Happening.FRAME_START, host.bus.now_ns)
    assert [name for name, _ in events_of(host)] == ["EventLost", "FrameStart"]
