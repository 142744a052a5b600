"""Volts become levels as each sheet says, with damage, warnings and delays; a host reads and sets lines."""

import pytest

from tests.u3v.models import ACE, ACE_8, ACE_11, IDS, VCX, host_of
from tests.u3v.rig import MS, Host, Refused
from u3v.camera import Options
from u3v.happenings import Happening
from u3v.lines import MOST_TROUBLES
from u3v.model import load_model

US = 1000


def apply(host: Host, line: str, volts: float | None, after_us: float = 0.0) -> None:
    """Volts on a line now or later; the camera's time goes on until they are there."""
    at_ns = host.bus.now_ns + round(after_us * US)
    host.camera.inputs.apply(line, volts, at_ns, host.bus.now_ns)
    host.bus.run(round(after_us * US))


def level(host: Host, line: str) -> bool:
    return bool(host.get("LineStatus", LineSelector=line))


def happened(host: Host) -> list[tuple[str, int]]:
    """What happens from now on."""
    seen: list[tuple[str, int]] = []
    host.camera.happenings.listen(lambda what, at_ns, _id: seen.append((what.value, at_ns)))
    return seen


@pytest.mark.parametrize(
    ("model", "line", "low", "high"),
    [
        (ACE, "Line1", [0.0, 1.4], [2.21, 5.0, 24.0]),
        (ACE, "Line3", [0.0, 0.8], [2.01, 5.0]),
        (ACE_11, "Line1", [1.4], [2.21]),
        (ACE_8, "Line3", [0.8], [2.01]),
        (VCX, "Line0", [0.0, 4.5], [11.0, 30.0]),
        (VCX, "Line1", [0.8], [2.0, 30.0]),
    ],
)
def test_the_sheets_levels(model: str, line: str, low: list[float], high: list[float]) -> None:
    host = host_of(model)
    for one, other in [(v, w) for v in low for w in high]:
        apply(host, line, one)
        assert not level(host, line)
        apply(host, line, other)
        assert level(host, line)
    assert host.camera.lines.troubles == []


def test_between_low_and_high_nobody_knows_but_the_camera_says_what_it_does() -> None:
    for undefined, expected in (("keep", [False, True]), ("low", [False, False]), ("high", [True, True])):
        host = host_of(ACE, options=Options(undefined_level=undefined))
        found = []
        for volts in (0.0, 24.0):
            apply(host, "Line1", volts)
            apply(host, "Line1", 1.8)
            found.append(level(host, "Line1"))
        assert found == expected, undefined


def test_an_undefined_level_can_be_drawn_and_is_the_same_in_every_run() -> None:
    def run(seed: int) -> list[bool]:
        host = host_of(ACE, options=Options(undefined_level=seed))
        found = []
        for _ in range(40):
            apply(host, "Line1", 0.0)
            apply(host, "Line1", 2.0)
            found.append(level(host, "Line1"))
        return found

    assert run(1) == run(1) != run(2)
    assert 8 < sum(run(1)) < 32


def test_a_drawn_level_stays_until_the_volts_change() -> None:
    """Whatever a host writes meanwhile."""
    for seed in range(8):
        host = host_of(ACE, options=Options(undefined_level=seed))
        apply(host, "Line1", 2.0)
        drawn = level(host, "Line1")
        for _ in range(8):
            host.set("LineSelector", "Line3")
            host.set("LineMode", "Input")
            apply(host, "Line3", 5.0)
            assert level(host, "Line1") == drawn


def test_too_many_volts_warn_and_far_too_many_destroy_until_repair() -> None:
    host = host_of(ACE)
    seen = happened(host)
    apply(host, "Line1", 24.0)
    apply(host, "Line1", 27.0)
    assert level(host, "Line1")
    assert host.camera.lines.troubles == ["Line1: 27 V, above the safe 24 V"]
    apply(host, "Line1", 31.0)
    apply(host, "Line1", 24.0)
    assert not level(host, "Line1")
    assert host.camera.lines.troubles[1:] == ["Line1: 31 V, above 30 V: damaged"]
    assert [what for what, _ in seen if what.startswith("Line")] == [
        *("Line1RisingEdge", "LineWarning", "LineDamaged", "Line1FallingEdge"),
    ]
    host.camera.reset()
    apply(host, "Line1", 24.0)
    assert not level(host, "Line1"), "a power cycle repairs nothing"
    host.camera.lines.repair("Line1")
    apply(host, "Line1", 24.0)
    assert level(host, "Line1")


def test_open_inputs_are_as_their_circuits_leave_them() -> None:
    """Opto-couplers without current are low, GPIO lines are pulled up."""
    assert host_of(VCX).get("LineStatusAll") == 0b0110
    assert host_of(ACE).get("LineStatusAll") == 0b1100
    host = host_of(ACE)
    apply(host, "Line3", 0.0)
    assert host.get("LineStatusAll") == 0b1000


def test_what_is_shorter_than_the_debouncers_time_never_was() -> None:
    host = host_of(VCX)
    host.set("LineDebouncerHighTimeAbs", 100.0, LineSelector="Line0")
    host.set("LineDebouncerLowTimeAbs", 20.0, LineSelector="Line0")
    seen = happened(host)
    start_ns = host.bus.now_ns
    for at_us, volts in ((0, 24.0), (99, 0.0), (200, 24.0), (400, 0.0), (419, 24.0), (500, 0.0)):
        host.camera.inputs.apply("Line0", volts, start_ns + at_us * US, start_ns)
    host.bus.run(MS)
    edges = [(what, (at_ns - start_ns) / US) for what, at_ns in seen if what.startswith("Line0")]
    assert edges == [("Line0RisingEdge", 300.0), ("Line0FallingEdge", 520.0)]
    with pytest.raises(Refused, match="0x8002"):
        host.set("LineDebouncerHighTimeAbs", 5001.0, LineSelector="Line0")


def test_instants_do_not_depend_on_wake_ups() -> None:
    """All at once, after everything: the same edges at the same instants."""

    def run(step_us: int) -> list[tuple[str, int]]:
        host = host_of(VCX, {"Width": 64, "Height": 64})
        host.set("LineDebouncerHighTimeAbs", 10.0, LineSelector="Line0")
        host.set("TriggerMode", "On")
        host.set("LineSelector", "Line3")
        host.set("LineSource", "ExposureActive")
        host.run("AcquisitionStart")
        seen = happened(host)
        start_ns = host.bus.now_ns
        for at_us in (0, 50, 9000, 9010, 9011, 20_000):
            volts = 24.0 if at_us % 100 == 0 else 0.0
            host.camera.inputs.apply("Line0", volts, start_ns + at_us * US, start_ns)
        for at_us in range(step_us, 60_001, step_us):
            host.camera.tick(start_ns + at_us * US)
        return [(what, at_ns - start_ns) for what, at_ns in seen]

    assert run(1000) == run(60_000)
    assert run(60_000)


@pytest.mark.parametrize(
    ("model", "output", "on_ns", "off_ns"), [(ACE, "Line2", 0, 0), (VCX, "Line3", 3000, 40_000)]
)
def test_an_output_shows_the_exposure_with_its_sheets_delays(
    model: str, output: str, on_ns: int, off_ns: int
) -> None:
    host = host_of(
        model, {"Width": 64, "Height": 64, "ExposureTime": 4000.0, "AcquisitionMode": "SingleFrame"}
    )
    host.set("LineSelector", output)
    host.set("LineSource", "ExposureActive")
    shown: list[tuple[str, bool, int]] = []
    host.camera.lines.watchers.append(lambda *change: shown.append(change))
    seen = happened(host)
    host.run("AcquisitionStart")
    host.bus.run(20 * MS)
    at_ns = dict(seen)
    assert shown == [
        (output, True, at_ns["ExposureStart"] + on_ns),
        (output, False, at_ns["ExposureEnd"] + off_ns),
    ]


def test_an_overloaded_output_says_so() -> None:
    host = host_of(ACE)
    host.set("LineSelector", "Line2")
    host.set("UserOutputSelector", "UserOutput1")
    host.set("LineSource", "UserOutput1")
    host.camera.lines.load("Line2", 60.0, host.bus.now_ns)
    assert not host.get("LineOverloadStatus")
    host.set("UserOutputValue", True)
    host.bus.run(0)
    assert host.get("LineOverloadStatus")
    assert host.camera.lines.troubles == ["Line2: 60 mA, above 50 mA: overloaded"]
    host.camera.lines.load("Line2", 50.0, host.bus.now_ns)
    assert not host.get("LineOverloadStatus")


def test_user_outputs_one_by_one_and_together() -> None:
    host = host_of(VCX)
    host.set("LineSelector", "Line3")
    host.set("LineSource", "UserOutput2")
    host.set("UserOutputValueAll", 0b110)
    host.bus.run(MS)
    assert [host.get("UserOutputValue", UserOutputSelector=f"UserOutput{n}") for n in (1, 2, 3)] == [0, 1, 1]
    assert level(host, "Line3")
    host.set("UserOutputSelector", "UserOutput2")
    host.set("UserOutputValue", False)
    host.bus.run(MS)
    assert host.get("UserOutputValueAll") == 0b100
    assert not level(host, "Line3")
    host.set("LineInverter", True)
    host.bus.run(MS)
    assert level(host, "Line3")


def test_only_lines_without_opto_couplers_change_their_direction() -> None:
    host = host_of(ACE)
    for line in ("Line1", "Line2"):
        host.set("LineSelector", line)
        with pytest.raises(Refused, match="0x8006"):
            host.set("LineMode", "Output")
    host.set("LineSelector", "Line4")
    with pytest.raises(Refused, match="0x8006"):
        host.set("LineSource", "ExposureActive")
    host.set("LineMode", "Output")
    host.set("LineSource", "ExposureActive")
    with pytest.raises(Refused, match="0x8006"):
        host.set("LineDebouncerTime", 10.0)


def test_an_inverted_input_has_edges_of_its_own() -> None:
    host = host_of(ACE)
    seen = happened(host)
    host.set("LineSelector", "Line1")
    host.set("LineInverter", True)
    assert level(host, "Line1")
    apply(host, "Line1", 24.0)
    assert [what for what, _ in seen] == ["Line1RisingEdge", "Line1FallingEdge"]
    assert Happening.LINE1_FALLING_EDGE.value == seen[-1][0]


def test_a_counter_beyond_its_duration_stands_still() -> None:
    """A host has made CounterDuration less than what was counted already."""
    host = host_of(ACE)
    host.set("CounterEventSource", "FrameStart", CounterSelector="Counter1")
    host.set("CounterDuration", 10, CounterSelector="Counter1")
    for _ in range(3):
        host.camera.inputs.signal("FrameStart", host.bus.now_ns)
    host.set("CounterDuration", 2, CounterSelector="Counter1")
    host.camera.inputs.signal("FrameStart", host.bus.now_ns)
    assert host.get("CounterValue", CounterSelector="Counter1") == 3


IO_CATEGORIES = ("DigitalIOControl", "CounterAndTimerControl", "SoftwareSignalControl")
LINES = "LineSelector LineMode LineInverter LineSource LineStatus LineStatusAll"
OUTPUTS = "UserOutputSelector UserOutputValue UserOutputValueAll"
TIMER = "TimerSelector TimerDuration TimerDelay TimerTriggerSource"
COUNTER = (
    "CounterSelector CounterEventSource CounterResetSource CounterResetActivation CounterReset CounterValue"
)
ACE_IO = (
    f"{LINES} LineFormat LineDebouncerTime LineOverloadStatus {OUTPUTS} {TIMER} {COUNTER} CounterDuration"
    " SoftwareSignalSelector SoftwareSignalPulse"
)
IO = {
    ACE: ACE_IO,
    ACE_11: ACE_IO,
    ACE_8: ACE_IO,
    IDS: LINES,
    VCX: f"{LINES} LineFormat LineDebouncerHighTimeAbs LineDebouncerLowTimeAbs {OUTPUTS} {TIMER} {COUNTER}"
    " TimerTriggerActivation CounterEventActivation CounterValueAtReset CounterDuration",
}
LINES_OF = {
    ACE: "Line1:input Line2:output Line3:either Line4:either",
    ACE_11: "Line1:input Line2:output Line3:either",
    ACE_8: "Line1:input Line2:output Line3:either",
    IDS: "Line0:input Line1:output Line2:either Line3:either",
    VCX: "Line0:input Line1:either Line2:either Line3:output",
}


@pytest.mark.parametrize("name", IO)
def test_a_model_has_these_io_features_and_no_others(name: str) -> None:
    features = host_of(name).camera.features
    assert {f.name for f in features if f.category in IO_CATEGORIES} == set(IO[name].split())
    assert " ".join(f"{line.name}:{line.use}" for line in load_model(name).lines) == LINES_OF[name]


@pytest.mark.parametrize(
    ("feature", "entries"),
    [
        ("TriggerSource", "Off Software All Line0 Line1 Line2 Counter1End Counter2End Action1"),
        (
            "LineSource",
            "Off ExposureActive Timer1Active ReadoutActive UserOutput1 UserOutput2 UserOutput3 TriggerReady",
        ),
        (
            "TimerTriggerSource",
            "Off Line0 SoftwareTrigger ExposureStart ExposureEnd FrameTransferSkipped TriggerSkipped Action1",
        ),
        (
            "CounterEventSource",
            "Off Counter1End Counter2End ExposureActive FrameTransferSkipped FrameTrigger TriggerSkipped Line0 Line1"
            " Line2",
        ),
        ("CounterResetSource", "Off Counter1End Counter2End Line0 Line1 Line2"),
    ],
)
def test_the_baumer_sheets_sources(feature: str, entries: str) -> None:
    declared = host_of(VCX).camera.features.declared[feature]
    assert list(declared.entries) == entries.split()  # type: ignore[attr-defined]


def test_the_baumer_sheets_ranges() -> None:
    host = host_of(VCX)
    for name, low, high in (("TimerDelay", 0.0, 2e6), ("TimerDuration", 4.0, 2e6)):
        for value in (low, high):
            host.set(name, value)
        for value in (low - 1, high + 1):
            with pytest.raises(Refused, match="0x8002"):
                host.set(name, value)


def test_the_latest_troubles_are_kept() -> None:
    host = host_of(ACE)
    for volts in range(25_000, 25_000 + 3 * MOST_TROUBLES):
        apply(host, "Line1", 24.0)
        apply(host, "Line1", volts / 1000)
    assert len(host.camera.lines.troubles) == MOST_TROUBLES
    assert host.camera.lines.troubles[-1] == "Line1: 25.299 V, above the safe 24 V"
