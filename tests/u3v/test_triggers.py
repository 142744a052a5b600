"""Latency, delay, queue, levels and widths of triggers, to the nanosecond."""

import pytest

from tests.u3v.models import ACE, GENERIC, IDS, VCX
from tests.u3v.rig import Painted, PlainTiming, Room, line_edge
from u3v.camera import Camera
from u3v.edges import Edge
from u3v.features import Value
from u3v.happenings import Happening
from u3v.model import load_model
from u3v.usb3v.bootstrap import USB3_VISION

US, MS, S = 1_000, 1_000_000, 1_000_000_000
ROWS = 32
READOUT_NS = ROWS * 10 * US


def ready(model: str, **settings: Value) -> tuple[Camera, list[tuple[str, int]]]:
    """A camera that acquires and waits for triggers, and what happens from then on."""
    camera = Camera(load_model(model), PlainTiming(), Room(), USB3_VISION)
    for name, value in {"Width": 120, "Height": ROWS, "ExposureTime": 100.0, **settings}.items():
        camera.features.set(name, value)
    entry = camera.family.triggers["FrameStart"]
    camera.features.set("TriggerMode", "On", TriggerSelector=entry)
    camera.features.set("TriggerSelector", entry)
    happened: list[tuple[str, int]] = []
    camera.tick(0)
    camera.acquisition.start(0)
    camera.happenings.listen(lambda what, at_ns, _id: happened.append((what.value, at_ns)))
    return camera, happened


def at(happened: list[tuple[str, int]], what: Happening) -> list[int]:
    return [at_ns for name, at_ns in happened if name == what.value]


@pytest.mark.parametrize(("model", "latency_ns"), [(ACE, 0), (GENERIC, 0), (IDS, 0), (VCX, 97_700)])
def test_the_latency_of_each_sheet(model: str, latency_ns: int) -> None:
    camera, happened = ready(model)
    for trigger_ns in (MS, 500 * MS + 37):
        camera.tick(trigger_ns)
        camera.inputs.software_trigger(trigger_ns)
        camera.tick(trigger_ns + 400 * MS)
        assert at(happened, Happening.EXPOSURE_START)[-1] == trigger_ns + latency_ns


def test_the_longer_latency_is_that_of_the_readout_alone() -> None:
    """During the exposure before it, and once it is over, it is the shorter one."""
    begin_ns = MS + 97_700 + 100 * US
    for trigger_ns, latency_ns in (
        (
            begin_ns - 50 * US,
            None,
        ),  # too early: the exposure it would start overlaps the readout of the first
        (begin_ns + READOUT_NS - 1, 114_100),
        (begin_ns + READOUT_NS, 97_700),
    ):
        camera, happened = ready(VCX)
        for instant_ns in (MS, trigger_ns):
            camera.tick(instant_ns)
            camera.inputs.software_trigger(instant_ns)
        camera.tick(S)
        starts = at(happened, Happening.EXPOSURE_START)[1:]
        assert starts == ([] if latency_ns is None else [trigger_ns + latency_ns])
        assert len(at(happened, Happening.FRAME_START_OVERTRIGGER)) == (latency_ns is None)
        assert len(at(happened, Happening.TRIGGER_OVERLAPPED)) == (latency_ns == 114_100)


BEGIN_NS = MS + 100 * US + READOUT_NS  # a first trigger at 1 ms: the end of its frame's readout


@pytest.mark.parametrize(
    ("model", "overlap", "second_ns", "start_ns"),
    [
        (VCX, "Off", MS + 97_700 + 50 * US, None),  # exposed
        (VCX, "Off", BEGIN_NS + 97_700 - 1, None),  # read out
        (VCX, "Off", BEGIN_NS + 97_700, BEGIN_NS + 2 * 97_700),
        (VCX, "ReadOut", BEGIN_NS + 97_700 - 1, BEGIN_NS + 97_700 - 1 + 114_100),
        (GENERIC, "Off", BEGIN_NS - 1, None),
        (GENERIC, "Off", BEGIN_NS + US, BEGIN_NS + US),  # the sensor needs 1 us between two exposures
        (GENERIC, "ReadOut", MS + 50 * US, None),
        (GENERIC, "ReadOut", BEGIN_NS - 10 * US, BEGIN_NS - 10 * US),
        (GENERIC, "PreviousFrame", MS, MS + READOUT_NS),  # waits until the sensor is ready
        (GENERIC, "PreviousFrame", MS + 50 * US, MS + READOUT_NS),
        (GENERIC, "PreviousFrame", BEGIN_NS, BEGIN_NS),
    ],
)
def test_how_early_a_trigger_counts(model: str, overlap: str, second_ns: int, start_ns: int | None) -> None:
    """SFNC 2.7, TriggerOverlap: not before the readout's end, after the exposure, at any time."""
    camera, happened = ready(model, TriggerOverlap=overlap)
    for trigger_ns in (MS, second_ns):
        camera.tick(trigger_ns)
        camera.inputs.software_trigger(trigger_ns)
    camera.tick(S)
    assert at(happened, Happening.EXPOSURE_START)[1:] == ([] if start_ns is None else [start_ns])
    assert at(happened, Happening.FRAME_START_OVERTRIGGER) == ([second_ns] if start_ns is None else [])


def test_one_trigger_waits_for_the_previous_frame() -> None:
    """A second one that comes before the first has its exposure is lost."""
    camera, happened = ready(GENERIC, TriggerOverlap="PreviousFrame")
    for trigger_ns in (MS, MS + 10 * US, MS + 20 * US, MS + READOUT_NS + 10 * US):
        camera.tick(trigger_ns)
        camera.inputs.software_trigger(trigger_ns)
    camera.tick(S)
    assert at(happened, Happening.EXPOSURE_START) == [MS, MS + READOUT_NS, MS + 2 * READOUT_NS]
    assert at(happened, Happening.FRAME_START_OVERTRIGGER) == [MS + 20 * US]


def test_up_to_256_triggers_wait_for_their_delay() -> None:
    camera, happened = ready(VCX, TriggerDelay=2_000_000.0)
    given = [MS + number * 500 * US for number in range(300)]
    for trigger_ns in given:
        camera.tick(trigger_ns)
        line_edge(camera, "Line0", Edge.RISING, trigger_ns)
    camera.tick(5 * S)
    starts = at(happened, Happening.EXPOSURE_START)
    assert starts == [trigger_ns + 2 * S + 97_700 for trigger_ns in given[:256]]
    assert at(happened, Happening.FRAME_START_OVERTRIGGER) == given[256:]


@pytest.mark.parametrize(
    ("activation", "begin", "end"), [("RisingEdge", 24.0, 0.0), ("FallingEdge", 0.0, 24.0)]
)
def test_an_exposure_as_long_as_its_trigger(activation: str, begin: float, end: float) -> None:
    """Not shorter than the shortest one; a trigger that comes before it is read out is missed."""
    camera, happened = ready(ACE, ExposureMode="TriggerWidth")
    camera.features.set("TriggerSource", "Line1", TriggerSelector="FrameStart")
    camera.features.set("TriggerActivation", activation, TriggerSelector="FrameStart")
    shortest_ns = round(camera.model.number("exposure_min_us") * 1000)
    for at_us, volts in (
        (0, end),
        (1000, begin),
        (4000, end),
        (4001, begin),
        (4002, end),
        (9000, begin),
        (9001, end),
    ):
        camera.inputs.apply("Line1", volts, at_us * US, 0)
    camera.tick(S)
    assert at(happened, Happening.EXPOSURE_START) == [1 * MS, 9 * MS]
    assert at(happened, Happening.EXPOSURE_END) == [4 * MS, 9 * MS + max(shortest_ns, 1 * US)]
    assert at(happened, Happening.FRAME_START_OVERTRIGGER) == [4001 * US]


def exposing() -> tuple[Camera, list[tuple[str, int]], Painted]:
    """An exposure has begun at 1 ms and lasts until Line1 falls; it is 2 ms."""
    camera, happened = ready(ACE, ExposureMode="TriggerWidth")
    painted = Painted(camera)
    camera.frames.open()
    camera.features.set("TriggerSource", "Line1", TriggerSelector="FrameStart")
    camera.inputs.apply("Line1", 24.0, MS, 0)
    camera.tick(2 * MS)
    return camera, happened, painted


def test_an_open_exposure_ends_where_frames_are_not_triggered_any_more() -> None:
    """And the free-running ones come after it, each block once."""
    camera, happened, painted = exposing()
    camera.features.host_set("TriggerMode", "Off", TriggerSelector="FrameStart")
    camera.tick(3 * MS)
    starts, ends = at(happened, Happening.EXPOSURE_START), at(happened, Happening.EXPOSURE_END)
    assert (starts[0], ends[0]) == (MS, 2 * MS)
    assert starts[1] >= 2 * MS + READOUT_NS
    assert [e.block_id for e in painted.exposures] == list(range(len(painted.exposures)))
    assert [e.index for e in painted.exposures] == list(range(len(painted.exposures)))


def test_an_open_exposure_ends_where_its_trigger_does_not_set_its_time_any_more() -> None:
    camera, happened, painted = exposing()
    camera.features.host_set("ExposureMode", "Timed")
    camera.inputs.apply("Line1", 0.0, 3 * MS, 2 * MS)
    camera.inputs.apply("Line1", 24.0, 10 * MS, 2 * MS)
    camera.tick(S)
    assert at(happened, Happening.EXPOSURE_START) == [MS, 10 * MS]
    assert at(happened, Happening.EXPOSURE_END) == [2 * MS, 10 * MS + 100 * US]
    assert [e.block_id for e in painted.exposures] == [0, 1]


def test_an_exposure_as_long_as_a_level_is_the_only_one_meanwhile() -> None:
    camera, happened = ready(ACE, ExposureMode="TriggerWidth")
    camera.features.set("TriggerSource", "Line1", TriggerSelector="FrameStart")
    camera.features.set("TriggerActivation", "LevelHigh", TriggerSelector="FrameStart")
    for at_us, volts in ((1000, 24.0), (9000, 0.0)):
        camera.inputs.apply("Line1", volts, at_us * US, 0)
    camera.tick(S)
    assert at(happened, Happening.EXPOSURE_START) == [MS]
    assert at(happened, Happening.EXPOSURE_END) == [9 * MS]


def test_an_open_exposure_has_the_settings_that_it_began_with() -> None:
    """What is written meanwhile, such as by a sequencer that goes on with the exposure's begin, is the next one's."""
    camera, happened, painted = exposing()
    camera.features.host_set("Gain", 6.0)
    camera.inputs.apply("Line1", 0.0, 3 * MS, 2 * MS)
    camera.inputs.apply("Line1", 24.0, 10 * MS, 2 * MS)
    camera.inputs.apply("Line1", 0.0, 11 * MS, 2 * MS)
    camera.tick(S)
    assert [e.settings.gain_db for e in painted.exposures] == [0.0, 6.0]
    assert [e.settings.exposure_us for e in painted.exposures] == [2000.0, 1000.0]
    assert at(happened, Happening.FRAME_END) == [3 * MS + READOUT_NS, 11 * MS + READOUT_NS]


def test_an_open_exposure_of_an_earlier_acquisition_comes_to_nothing() -> None:
    """Its frame would have a number of the stream before."""
    camera, happened, painted = exposing()
    camera.acquisition.stop(2 * MS)
    camera.frames.open()
    camera.acquisition.start(2 * MS)
    assert not camera.signals.of("ExposureActive")
    for at_us, volts in ((3000, 0.0), (5000, 24.0), (6000, 0.0)):
        camera.inputs.apply("Line1", volts, at_us * US, 2 * MS)
    camera.tick(S)
    assert at(happened, Happening.EXPOSURE_START) == [MS, 5 * MS]
    assert at(happened, Happening.EXPOSURE_END) == [6 * MS]
    assert [(e.block_id, e.start_ns) for e in painted.exposures] == [(0, 5 * MS)]


def test_an_open_exposure_ends_with_an_abort() -> None:
    camera, happened = ready(ACE, ExposureMode="TriggerWidth")
    camera.features.set("TriggerSource", "Line1", TriggerSelector="FrameStart")
    camera.inputs.apply("Line1", 24.0, MS, 0)
    camera.tick(2 * MS)
    camera.acquisition.abort_command(2 * MS)
    camera.inputs.apply("Line1", 0.0, 3 * MS, 2 * MS)
    camera.tick(4 * MS)
    assert at(happened, Happening.EXPOSURE_START) == [MS]
    assert at(happened, Happening.EXPOSURE_END) == []
    assert not camera.signals.of("ExposureActive")


@pytest.mark.parametrize(
    ("activation", "active", "idle"), [("LevelHigh", 24.0, 0.0), ("LevelLow", 0.0, 24.0)]
)
def test_frames_follow_each_other_while_the_level_lasts(activation: str, active: float, idle: float) -> None:
    camera, happened = ready(ACE)
    camera.features.set("TriggerSource", "Line1", TriggerSelector="FrameStart")
    camera.inputs.apply("Line1", idle, 0, 0)
    camera.tick(1)
    camera.features.set("TriggerActivation", activation, TriggerSelector="FrameStart")
    happened.clear()
    for at_us, volts in ((5000, active), (6000, idle), (20_000, active), (20_500, idle)):
        camera.inputs.apply("Line1", volts, at_us * US, 1)
    camera.tick(S)
    period_ns = camera.acquisition.period_ns()
    first = list(range(5 * MS, 6 * MS, period_ns))
    second = list(range(20 * MS, 20_500 * US, period_ns))
    assert at(happened, Happening.EXPOSURE_START) == first + second


@pytest.mark.parametrize("source", ["SoftwareSignal2", "Line3"])
def test_only_the_chosen_source_triggers(source: str) -> None:
    camera, happened = ready(ACE)
    camera.features.set("TriggerSource", source, TriggerSelector="FrameStart")
    for number, signal in enumerate(
        ("SoftwareSignal1", "SoftwareSignal2", "Line1", "Line3", "Counter1End"), 1
    ):
        camera.tick(number * 100 * MS)
        camera.inputs.signal(signal, number * 100 * MS)
    camera.tick(S)
    assert at(happened, Happening.EXPOSURE_START) == [{"SoftwareSignal2": 200, "Line3": 400}[source] * MS]
