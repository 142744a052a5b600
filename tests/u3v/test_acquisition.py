"""When frames happen, to the nanosecond. The clock is the test's.

The plain timing: 10 us for each row, 1 us between two exposures. 30 rows are read out in 300 us; with 100 us of
exposure the readout rules, from 299 us on the exposure does.
"""

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frames.sensor import load_sensor
from tests.u3v.rig import MODEL, MS, SI_CONTROL, Host, Refused, Room, make_camera
from u3v.camera import Camera, Options
from u3v.features import Value
from u3v.happenings import Happening
from u3v.model import load_model
from u3v.usb3v.bootstrap import USB3_VISION

US = 1_000
PERIOD = 300 * US


class Bench:
    """A camera with an enabled stream and a clock that jumps."""

    def __init__(self, settings: dict[str, Value] | None = None, paced: bool = True) -> None:
        self.host = Host(make_camera(Options(paced=paced), settings), paced=paced)
        self.camera = self.host.camera
        self.host.plan(1024, 1, 176)
        self.host.write_int(SI_CONTROL, 1)
        for name in ("FrameStart", "FrameBurstStart", "FrameStartOvertrigger", "FrameBurstStartOvertrigger"):
            self.camera.features.set("EventNotification", "On", EventSelector=name)
        self.host.write_int(0x30000, 1)
        self.host.bus.device.service(0)
        assert self.host.bus.now_ns == 0

    def trigger_on(self, *selectors: str, delay_us: float = 0.0) -> None:
        for selector in selectors:
            self.host.set("TriggerMode", "On", TriggerSelector=selector)
            self.host.set("TriggerDelay", delay_us, TriggerSelector=selector)

    def trigger(self, selector: str = "FrameStart") -> None:
        self.host.set("TriggerSelector", selector)
        self.host.run("TriggerSoftware")

    def run_to(self, at_ns: int) -> None:
        self.host.bus.run(at_ns - self.host.bus.now_ns)

    @property
    def starts(self) -> list[int]:
        return [e.start_ns for e in self.host.painted.exposures]

    def overtriggers(self) -> int:
        """How many triggers were lost, by the events sent so far."""
        lost = 0
        queue = self.host.function.event._queue
        for raw in queue:
            event_id = int.from_bytes(raw[14:16], "little")
            lost += event_id in OVERTRIGGERS
        return lost

    @property
    def status(self) -> tuple[bool, bool, bool]:
        """FrameBurstTriggerWait, FrameTriggerWait, AcquisitionActive, as a host reads them."""
        entries = ("FrameBurstTriggerWait", "FrameTriggerWait", "AcquisitionActive")
        values = []
        for entry in entries:
            self.host.set("AcquisitionStatusSelector", entry)
            values.append(bool(self.host.get("AcquisitionStatus")))
        return values[0], values[1], values[2]


OVERTRIGGERS = (0x9004, 0x9005)


# -- modes ----------------------------------------------------------------------------------------------------


def test_free_run() -> None:
    bench = Bench()
    bench.run_to(7 * US)
    bench.host.run("AcquisitionStart")
    bench.run_to(MS)
    assert bench.starts == [7 * US + n * PERIOD for n in range(4)]
    assert bench.status == (False, False, True)
    bench.host.run("AcquisitionStop")
    bench.run_to(5 * MS)
    assert len(bench.starts) == 4
    assert bench.status == (False, False, False)


@pytest.mark.parametrize("exposure_ns", [24_000, 32_001, 32_038, 9_999_999_999])
def test_an_exposure_lasts_to_the_nanosecond(exposure_ns: int) -> None:
    """32.001 us times 1000 is a little less than 32 001 in binary."""
    assert make_camera(settings={"ExposureTime": exposure_ns / 1000}).settings.exposure_ns == exposure_ns


@pytest.mark.parametrize(
    ("mode", "count", "frames"), [("SingleFrame", 5, 1), ("MultiFrame", 5, 5), ("MultiFrame", 1, 1)]
)
def test_counted_modes(mode: str, count: int, frames: int) -> None:
    bench = Bench({"AcquisitionMode": mode, "AcquisitionFrameCount": count})
    bench.host.run("AcquisitionStart")
    bench.run_to(10 * MS)
    assert bench.starts == [n * PERIOD for n in range(frames)]
    assert bench.status == (False, False, False)
    bench.host.set("Width", 44)  # unlocked by itself
    bench.host.run("AcquisitionStart")
    assert bench.starts[frames:] == [10 * MS]


def test_starting_again_changes_nothing() -> None:
    bench = Bench({"AcquisitionMode": "MultiFrame", "AcquisitionFrameCount": 3})
    bench.host.run("AcquisitionStart")
    bench.run_to(100 * US)
    bench.host.run("AcquisitionStart")
    bench.run_to(10 * MS)
    assert bench.starts == [0, PERIOD, 2 * PERIOD]


def test_a_restart_waits_for_the_end_of_the_last_frame() -> None:
    bench = Bench()
    bench.host.run("AcquisitionStart")
    bench.run_to(50 * US)
    bench.host.run("AcquisitionStop")
    bench.host.run("AcquisitionStart")
    bench.run_to(2 * PERIOD)
    assert bench.starts == [0, PERIOD, 2 * PERIOD]


def test_nothing_is_made_up_for_when_triggers_are_no_longer_awaited() -> None:
    bench = Bench()
    bench.trigger_on("FrameStart")
    bench.host.run("AcquisitionStart")
    bench.run_to(1000 * MS)
    bench.host.set("TriggerMode", "Off", TriggerSelector="FrameStart")
    bench.run_to(1000 * MS + 10 * PERIOD)
    assert bench.starts == [1000 * MS + k * PERIOD for k in range(11)]


def test_after_an_abort_the_next_one_starts_at_once() -> None:
    bench = Bench({"ExposureTime": 1_000_000.0})
    bench.host.run("AcquisitionStart")
    bench.run_to(50 * US)
    bench.host.run("AcquisitionAbort")
    bench.host.run("AcquisitionStart")
    assert bench.starts == [0, 50 * US]


def test_the_load_follows_the_acquisition() -> None:
    bench = Bench({"AcquisitionMode": "MultiFrame", "AcquisitionFrameCount": 2})
    room = bench.camera.surroundings
    assert isinstance(room, Room)
    bench.host.run("AcquisitionStart")
    rate = 1200 * 1e9 / PERIOD
    assert room.loads[-1] == (0, True, rate)
    bench.run_to(MS)
    assert room.loads[-1] == (PERIOD + 400 * US, True, 0.0)  # the last one of two has been read out


# -- rates ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "period_ns"),
    [
        ({}, 300 * US),
        ({"ExposureTime": 298.0}, 300 * US),
        ({"ExposureTime": 299.0}, 300 * US),
        ({"ExposureTime": 299.5}, 300_500),
        ({"ExposureTime": 1000.0}, 1001 * US),
        ({"Height": 31}, 310 * US),
        ({"Height": 30, "BinningVertical": 2}, 600 * US),
        ({"AcquisitionFrameRateEnable": True, "AcquisitionFrameRate": 1000.0}, 1_000_000),
        ({"AcquisitionFrameRateEnable": True, "AcquisitionFrameRate": 3.0}, 333_333_333),
        ({"AcquisitionFrameRateEnable": True, "AcquisitionFrameRate": 9999.0}, 300 * US),
        ({"AcquisitionFrameRate": 1.0}, 300 * US),
        ({"DeviceLinkThroughputLimit": 160_000}, 7_500_000),
        ({"DeviceLinkThroughputLimit": 160_000, "DeviceLinkThroughputLimitMode": "Off"}, 300 * US),
    ],
)
def test_what_sets_the_frame_rate(changes: dict[str, Value], period_ns: int) -> None:
    bench = Bench(changes)
    assert bench.host.get("ResultingFrameRate") == pytest.approx(1e9 / period_ns, rel=1e-12)
    bench.host.run("AcquisitionStart")
    bench.run_to(3 * period_ns)
    assert bench.starts == [0, period_ns, 2 * period_ns, 3 * period_ns]


def test_a_new_exposure_time_holds_from_the_next_frame_on() -> None:
    bench = Bench()
    bench.host.run("AcquisitionStart")
    bench.run_to(100 * US)
    bench.host.set("ExposureTime", 999.0)
    bench.run_to(3 * MS)
    assert bench.starts == [0, 300 * US, 1300 * US, 2300 * US]
    assert [e.settings.exposure_us for e in bench.host.painted.exposures] == [100.0, 999.0, 999.0, 999.0]


def printed_camera(limit_mode: str) -> Camera:
    camera = Camera(MODEL, load_sensor(MODEL.sensor).timing, Room(), USB3_VISION)
    camera.features.set("DeviceLinkThroughputLimitMode", limit_mode)
    return camera


@pytest.mark.parametrize(("mode", "printed"), [("Off", "42.7"), ("On", "40.5")])
def test_printed_frame_rates(mode: str, printed: str) -> None:
    """42.7 fps at 4096 x 2168 (data sheet); 40.5 fps is what the default throughput limit leaves."""
    camera = printed_camera(mode)
    host = Host(camera)
    host.start(1 << 20)
    assert f"{host.get('ResultingFrameRate'):.1f}" == printed
    host.bus.run(10_000 * MS)
    starts = [e.start_ns for e in host.painted.exposures]
    assert f"{(len(starts) - 1) * 1e9 / (starts[-1] - starts[0]):.1f}" == printed


@pytest.mark.parametrize(("mode", "printed"), [("Off", "42.7"), ("On", "40.5")])
def test_delivered_frame_rates(mode: str, printed: str) -> None:
    """The same rates at the end of the wire, for a host that reads as fast as it can."""
    host = Host(printed_camera(mode))
    host.start(1 << 20)
    sizes = [1 << 20] * 8 + [8_880_128 - (8 << 20)]
    host.frame(sizes)
    began_ns = host.bus.now_ns
    for block_id in range(1, 41):
        assert host.frame(sizes).block_id == block_id
    assert f"{40e9 / (host.bus.now_ns - began_ns):.1f}" == printed
    assert host.get("VirtualFramesDiscarded") == 0


# -- triggers -------------------------------------------------------------------------------------------------


def test_frame_triggers() -> None:
    bench = Bench()
    bench.trigger_on("FrameStart")
    bench.host.run("AcquisitionStart")
    bench.run_to(5 * MS)
    assert bench.starts == []
    assert bench.status == (False, True, True)
    for at_ns in (5 * MS, 5 * MS + PERIOD, 9 * MS):
        bench.run_to(at_ns)
        bench.trigger()
    bench.run_to(20 * MS)
    assert bench.starts == [5 * MS, 5 * MS + PERIOD, 9 * MS]
    assert bench.overtriggers() == 0


def test_a_trigger_that_comes_too_early_is_lost() -> None:
    bench = Bench()
    bench.trigger_on("FrameStart")
    bench.host.run("AcquisitionStart")
    bench.trigger()
    bench.run_to(PERIOD - 1)
    assert bench.status == (False, False, True)
    bench.trigger()
    bench.run_to(PERIOD)
    assert bench.starts == [0]
    assert bench.overtriggers() == 1
    assert bench.status == (False, True, True)
    bench.trigger()
    assert bench.starts == [0, PERIOD]


def test_a_host_that_waits_for_the_status_loses_no_trigger() -> None:
    bench = Bench()
    bench.trigger_on("FrameStart")
    bench.host.run("AcquisitionStart")
    sent = 0
    for at_us in range(0, 5000, 35):
        bench.run_to(at_us * US)
        if bench.status[1]:
            bench.trigger()
            sent += 1
    assert sent == len(bench.starts) == 16
    assert bench.overtriggers() == 0


def test_a_trigger_before_the_start_is_lost() -> None:
    bench = Bench()
    bench.trigger_on("FrameStart")
    bench.trigger()
    assert bench.overtriggers() == 1
    bench.host.run("AcquisitionStart")
    bench.run_to(MS)
    assert bench.starts == []


def test_a_trigger_that_is_off_does_nothing() -> None:
    bench = Bench()
    bench.host.run("AcquisitionStart")
    bench.trigger()
    bench.trigger("FrameBurstStart")
    bench.run_to(PERIOD)
    assert bench.starts == [0, PERIOD]
    assert bench.overtriggers() == 0


def test_trigger_delay() -> None:
    bench = Bench()
    bench.trigger_on("FrameStart", delay_us=250.5)
    bench.host.run("AcquisitionStart")
    bench.trigger()
    assert bench.host.bus.device.next_wakeup_ns() == 250_500
    bench.run_to(100 * US)
    bench.trigger()  # one waits already
    assert bench.overtriggers() == 1
    bench.run_to(300 * US)
    bench.trigger()  # 550.5 us is as early as it gets
    bench.run_to(MS)
    assert bench.starts == [250_500, 550_500]


def test_stop_forgets_a_delayed_trigger() -> None:
    bench = Bench()
    bench.trigger_on("FrameStart", delay_us=500.0)
    bench.host.run("AcquisitionStart")
    bench.trigger()
    bench.host.run("AcquisitionStop")
    bench.host.run("AcquisitionStart")
    bench.run_to(MS)
    assert bench.starts == []


def test_bursts() -> None:
    bench = Bench({"AcquisitionBurstFrameCount": 3})
    bench.trigger_on("FrameBurstStart")
    bench.host.run("AcquisitionStart")
    bench.run_to(MS)
    assert bench.starts == []
    assert bench.status == (True, False, True)
    bench.trigger("FrameBurstStart")
    assert bench.status[0] is False
    bench.run_to(MS + 100 * US)
    bench.trigger("FrameBurstStart")  # lost: the burst still runs
    assert bench.overtriggers() == 1
    bench.run_to(5 * MS)
    assert bench.starts == [MS, MS + PERIOD, MS + 2 * PERIOD]
    bench.trigger("FrameBurstStart")
    bench.run_to(10 * MS)
    assert bench.starts[3:] == [5 * MS, 5 * MS + PERIOD, 5 * MS + 2 * PERIOD]


def test_a_burst_right_after_a_burst_keeps_the_period() -> None:
    bench = Bench({"AcquisitionBurstFrameCount": 2})
    bench.trigger_on("FrameBurstStart")
    bench.host.run("AcquisitionStart")
    bench.trigger("FrameBurstStart")
    bench.run_to(PERIOD + 10 * US)
    bench.trigger("FrameBurstStart")
    bench.run_to(5 * MS)
    assert bench.starts == [n * PERIOD for n in range(4)]


def test_delayed_bursts() -> None:
    bench = Bench({"AcquisitionBurstFrameCount": 2})
    bench.trigger_on("FrameBurstStart", delay_us=700.0)
    bench.host.run("AcquisitionStart")
    bench.trigger("FrameBurstStart")
    bench.run_to(5 * MS)
    assert bench.starts == [700 * US, 1000 * US]


def test_burst_and_frame_triggers_together() -> None:
    bench = Bench({"AcquisitionBurstFrameCount": 2})
    bench.trigger_on("FrameBurstStart", "FrameStart")
    bench.host.run("AcquisitionStart")
    bench.trigger("FrameStart")  # not awaited yet
    assert bench.starts == []
    assert bench.overtriggers() == 1
    assert bench.status == (True, False, True)
    bench.trigger("FrameBurstStart")
    assert bench.status == (False, True, True)
    for at_ns in (MS, 2 * MS, 3 * MS):
        bench.run_to(at_ns)
        bench.trigger("FrameStart")
    assert bench.starts == [MS, 2 * MS]
    assert bench.status == (True, False, True)


def test_counted_frames_end_a_burst() -> None:
    bench = Bench(
        {"AcquisitionMode": "MultiFrame", "AcquisitionFrameCount": 3, "AcquisitionBurstFrameCount": 5}
    )
    bench.trigger_on("FrameBurstStart")
    bench.host.run("AcquisitionStart")
    bench.trigger("FrameBurstStart")
    bench.run_to(5 * MS)
    assert len(bench.starts) == 3
    bench.host.run("AcquisitionStart")
    assert bench.status == (True, False, True)  # the old burst is over


# -- independence of the caller -------------------------------------------------------------------------------


actions = st.lists(
    st.tuples(st.integers(0, 900), st.sampled_from(["trigger", "burst", "start", "stop", "exposure"])),
    max_size=25,
)


def play(steps: list[tuple[int, str]], ticks_ns: list[int], triggers: tuple[str, ...]) -> list[Any]:
    """The exposures of a sequence of host actions, with ticks at other instants in between."""
    bench = Bench({"AcquisitionBurstFrameCount": 2})
    bench.trigger_on(*triggers, delay_us=40.0)
    at_ns, ticks = 0, sorted(ticks_ns)
    for wait_us, action in [*steps, (2000, "stop")]:
        at_ns += wait_us * US
        while ticks and ticks[0] < at_ns:
            bench.host.bus.now_ns = ticks.pop(0)
            bench.host.bus.device.service(bench.host.bus.now_ns)
        bench.host.bus.now_ns = at_ns
        bench.host.bus.device.service(at_ns)
        if action == "trigger":
            bench.trigger()
        elif action == "burst":
            bench.trigger("FrameBurstStart")
        elif action == "exposure":
            bench.host.set("ExposureTime", 50.0 if at_ns % 2000 else 400.0)
        else:
            bench.host.run("AcquisitionStart" if action == "start" else "AcquisitionStop")
    return [(e.start_ns, e.settings.exposure_us, e.block_id) for e in bench.host.painted.exposures]


@given(
    actions.map(lambda steps: [(0, "start"), *steps]),
    st.lists(st.integers(0, 20_000_000), max_size=30),
    st.sampled_from([(), ("FrameStart",), ("FrameBurstStart",), ("FrameStart", "FrameBurstStart")]),
)
@settings(max_examples=60, deadline=None)
def test_exposures_do_not_depend_on_when_the_camera_is_served(
    steps: list[tuple[int, str]], ticks_ns: list[int], triggers: tuple[str, ...]
) -> None:
    exposures = play(steps, ticks_ns, triggers)
    assert exposures == play(steps, [], triggers)
    starts = [start_ns for start_ns, _, _ in exposures]
    assert all(b - a >= PERIOD for a, b in zip(starts, starts[1:], strict=False))
    assert [block_id for _, _, block_id in exposures] == list(range(len(exposures)))


def test_unpaced_frames_come_as_the_host_takes_them() -> None:
    bench = Bench(paced=False)
    bench.host.run("AcquisitionStart")
    bench.run_to(1000 * MS)
    assert len(bench.starts) == 3
    for _ in range(10):
        bench.host.frame([1024, 176])
    assert bench.host.bus.now_ns == 1000 * MS
    bench.run_to(2000 * MS)
    assert len(bench.starts) == 13


def test_unpaced_triggers() -> None:
    bench = Bench(paced=False)
    bench.trigger_on("FrameStart")
    bench.host.run("AcquisitionStart")
    for n in range(5):
        bench.run_to(n * US)
        bench.trigger()
        assert bench.host.frame([1024, 176]).block_id == n
    assert bench.starts == [n * US for n in range(5)]


# -- what a review found --------------------------------------------------------------------------------------


def test_b1_an_old_frame_rate_does_not_outlive_a_stop() -> None:
    bench = Bench({"AcquisitionFrameRateEnable": True, "AcquisitionFrameRate": 0.1})
    bench.host.run("AcquisitionStart")
    bench.run_to(MS)
    bench.host.run("AcquisitionStop")
    bench.host.set("AcquisitionFrameRate", 1000.0)
    bench.run_to(2 * MS)
    bench.host.run("AcquisitionStart")
    bench.run_to(4 * MS)
    assert bench.starts == [0, 2 * MS, 3 * MS, 4 * MS]


def test_b1_a_rate_that_is_raised_counts_at_once() -> None:
    bench = Bench({"AcquisitionFrameRateEnable": True, "AcquisitionFrameRate": 0.1})
    bench.host.run("AcquisitionStart")
    bench.run_to(5 * MS)
    bench.host.set("AcquisitionFrameRate", 100.0)
    bench.run_to(20 * MS)
    assert bench.starts == [0, 10 * MS, 20 * MS]


def test_b1_no_trigger_is_lost_to_a_rate_of_an_earlier_acquisition() -> None:
    bench = Bench({"AcquisitionFrameRateEnable": True, "AcquisitionFrameRate": 0.1})
    bench.host.run("AcquisitionStart")
    bench.run_to(MS)
    bench.host.run("AcquisitionStop")
    bench.trigger_on("FrameStart")
    bench.host.set("AcquisitionFrameRateEnable", False)
    bench.host.run("AcquisitionStart")
    bench.trigger()
    assert len(bench.starts) == 2 and bench.overtriggers() == 0


def test_b1_the_sensor_binds_across_acquisitions() -> None:
    """Exposure and readout of the last frame are over before the next one begins."""
    bench = Bench()
    bench.host.run("AcquisitionStart")
    bench.run_to(50 * US)
    bench.host.run("AcquisitionStop")
    bench.host.run("AcquisitionStart")
    bench.run_to(2 * PERIOD)
    assert bench.starts == [0, PERIOD, 2 * PERIOD]


def test_b4_queued_triggers_end_with_the_trigger_mode() -> None:
    host = Host(make_camera(model=load_model("VCXG-124M"), settings={"Width": 40, "Height": 30}))
    host.start()
    host.run("AcquisitionStop")
    host.set("TriggerMode", "On")
    host.set("TriggerDelay", 50_000.0)
    host.run("AcquisitionStart")
    before = host.camera.acquisition.exposed
    for _ in range(3):
        host.run("TriggerSoftware")
        host.bus.run(10 * MS)
    host.set("TriggerMode", "Off")
    host.run("AcquisitionStop")
    host.set("TriggerMode", "On")
    host.run("AcquisitionStart")
    after = host.camera.acquisition.exposed
    host.bus.run(500 * MS)
    assert host.camera.acquisition.exposed == after
    starts = [e.start_ns for e in host.painted.exposures]
    assert starts == sorted(starts) and after >= before
    stamps = [e.timestamp_ns for e in host.painted.exposures]
    assert all(a < b for a, b in itertools.pairwise(stamps))


@pytest.mark.parametrize("mode", ["SingleFrame", "MultiFrame"])
def test_b5_an_acquisition_is_over_when_its_last_frame_has_been_read_out(mode: str) -> None:
    bench = Bench({"AcquisitionMode": mode, "AcquisitionFrameCount": 1, "ExposureTime": 1000.0})
    bench.host.run("AcquisitionStart")
    bench.host.set("AcquisitionStatusSelector", "AcquisitionActive")
    bench.run_to(1200 * US)
    assert bench.host.get("AcquisitionStatus")
    with pytest.raises(Refused, match="0x8006"):
        bench.host.set("Width", 44)
    bench.run_to(1300 * US)
    assert not bench.host.get("AcquisitionStatus")
    bench.host.set("Width", 44)


def test_b5_three_starts_are_three_frames() -> None:
    bench = Bench({"AcquisitionMode": "SingleFrame", "ExposureTime": 1_000_000.0})
    for second in (0, 2, 4):
        bench.run_to(second * 1000 * MS)
        bench.host.run("AcquisitionStart")
    bench.run_to(6000 * MS)
    assert bench.starts == [0, 2000 * MS, 4000 * MS]


def test_b11_catching_up_takes_time_in_proportion_and_no_memory() -> None:
    """A process that was stopped for a minute: every missed frame is exposed and counted, one after the other."""
    bench = Bench({"Width": 8, "Height": 1, "ExposureTime": 50.0})
    bench.host.painted.paints = False
    bench.host.run("AcquisitionStart")
    bench.camera.frames.memory_bytes = 80
    bench.run_to(MS)
    acquisition = bench.camera.acquisition
    peak = 0

    def count(_what: Happening, _at_ns: int, _block_id: int) -> None:
        nonlocal peak
        peak = max(peak, len(acquisition._to_come))

    bench.camera.happenings.listen(count, Happening.FRAME_START)
    before = acquisition.exposed
    bench.host.bus.now_ns += 1000 * MS
    bench.host.bus.device.service(bench.host.bus.now_ns)
    period_ns = acquisition.period_ns()
    assert acquisition.exposed - before == pytest.approx(1000 * MS / period_ns, abs=2)
    assert peak < 20
    frames = bench.camera.frames
    assert frames.in_flight == 10
    assert frames.offered == frames.delivered + frames.discarded + frames.in_flight


@pytest.mark.parametrize("paced", [True, False])
def test_h1_timestamps_rise_strictly(paced: bool) -> None:
    host = Host(make_camera(Options(paced=paced)), paced=paced)
    for _ in range(3):
        host.start()
        for _ in range(5):
            host.frame()
        host.run("AcquisitionAbort")
    stamps = [e.timestamp_ns for e in host.painted.exposures]
    assert len(stamps) > 15 and all(a < b for a, b in itertools.pairwise(stamps))
