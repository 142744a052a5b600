"""What the surroundings are told of the stream. The clock is the test's."""

from typing import Any

import pytest

from tests.u3v.rig import PAYLOAD, SI_CONTROL, Host, Room, make_camera
from u3v.camera import Options
from u3v.throughput import WINDOW_NS

PERIOD = 300_000
FULL = PAYLOAD * 1e9 / PERIOD


def streaming(triggered: bool = False, **settings: Any) -> Host:
    host = Host(make_camera(Options(), settings))
    host.plan(1024, 1, 176)
    host.write_int(SI_CONTROL, 1)
    if triggered:
        host.set("TriggerSelector", "FrameStart")
        host.set("TriggerMode", "On")
    host.run("AcquisitionStart")
    return host


def rates(host: Host) -> list[float]:
    room = host.camera.surroundings
    assert isinstance(room, Room)
    return [rate for _, configured, rate in room.loads if configured]


def read_for(host: Host, duration_ns: int) -> None:
    """A host that takes whatever comes."""
    end_ns = host.bus.now_ns + duration_ns
    while host.bus.now_ns < end_ns:
        host.frame(timeout_ms=1)


def test_a_stream_is_taken_to_run_at_its_settings_rate_and_then_counted() -> None:
    host = streaming()
    assert rates(host)[-1] == pytest.approx(FULL)
    host.bus.run(3 * WINDOW_NS)  # nobody reads
    assert rates(host)[-1] == 0.0


def test_a_camera_that_waits_for_triggers_draws_what_an_idle_one_does() -> None:
    host = streaming(triggered=True)
    assert rates(host)[-1] == 0.0
    assert host.camera.next_wakeup_ns() is None
    for _ in range(10):
        host.run("TriggerSoftware")
        host.frame()
        host.bus.run(WINDOW_NS // 8)
    assert rates(host)[-1] == pytest.approx(8 * PAYLOAD, rel=0.2)
    host.bus.run(2 * WINDOW_NS)
    assert rates(host)[-1] == 0.0
    assert host.camera.next_wakeup_ns() is None


def test_the_last_frame_of_a_window_does_not_stay_in_the_load() -> None:
    host = streaming(triggered=True)
    host.run("TriggerSoftware")
    host.frame()
    end_ns = host.camera.throughput.next_wakeup_ns()
    assert end_ns is not None
    host.bus.run(end_ns - 300_000 - host.bus.now_ns)
    host.run("TriggerSoftware")  # exposed in this window, sent in the next
    host.bus.run(350_000)
    host.frame()
    host.bus.run(3 * WINDOW_NS)
    assert rates(host)[-1] == 0.0
    assert host.camera.next_wakeup_ns() is None


def test_a_camera_that_waits_for_bursts_draws_what_an_idle_one_does() -> None:
    host = Host(make_camera())
    host.set("TriggerMode", "On", TriggerSelector="FrameBurstStart")
    host.start()
    assert rates(host)[-1] == 0.0


def test_an_unpaced_camera_has_the_load_of_its_settings() -> None:
    host = Host(make_camera(Options(paced=False)), paced=False)
    host.set("TriggerMode", "On", TriggerSelector="FrameStart")
    host.start()
    assert rates(host)[-1] == pytest.approx(FULL)


def test_a_start_while_it_runs_changes_nothing() -> None:
    host = streaming()
    host.bus.run(3 * WINDOW_NS)  # nobody reads
    host.run("AcquisitionStart")
    assert rates(host)[-1] == 0.0


def test_a_camera_that_is_too_hot_for_its_sensor_draws_little_although_it_streams() -> None:
    host = streaming()
    room = host.camera.surroundings
    assert isinstance(room, Room)
    room.celsius = 82.0
    host.camera.thermal.look(host.bus.now_ns)
    assert host.camera.thermal.is_stopped
    read_for(host, WINDOW_NS * 3 // 2)
    assert host.camera.frames.delivered > 1000  # test image 2
    assert rates(host)[-1] == 0.0


def test_stopping_ends_the_load_and_the_windows() -> None:
    host = streaming()
    host.bus.run(10 * PERIOD)
    assert host.camera.throughput.next_wakeup_ns() is not None
    host.run("AcquisitionStop")
    assert rates(host)[-1] == 0.0
    assert host.camera.throughput.next_wakeup_ns() is None


def test_a_stream_at_full_rate_does_not_move_the_load() -> None:
    host = streaming()
    before = len(rates(host))
    read_for(host, WINDOW_NS * 3 // 2)
    assert rates(host)[before:] == []
