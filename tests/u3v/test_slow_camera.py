"""60 random scenarios of volts, triggers, counters and a timer: the camera does what the slow one does."""

import random
from typing import Any

import pytest

from tests.u3v.rig import PlainTiming, Room
from tests.u3v.slow_camera import SlowCamera
from u3v.camera import Camera
from u3v.model import load_model
from u3v.usb3v.bootstrap import USB3_VISION

US = 1000
START_NS, END_NS = 1_000_000, 15_000_000
HEIGHT = 12
EDGES = ("RisingEdge", "FallingEdge", "AnyEdge")
IGNORED = {"AcquisitionStart", "AcquisitionEnd"}


def scenario(seed: int) -> tuple[dict[str, Any], list[tuple[int, str, bool]]]:
    """Settings, and what is applied to the lines when (instants in steps of 100 ns)."""
    draw = random.Random(seed)
    events = (
        "Off",
        "Line0",
        "Line1",
        "ExposureActive",
        "FrameTrigger",
        "TriggerSkipped",
        "Counter1End",
        "Counter2End",
    )
    settings: dict[str, Any] = {
        "ExposureTime": float(draw.choice([20, 50, 200])),
        "TriggerSource": draw.choice(["Line0", "Line1", "Counter1End", "Counter2End", "All", "Off"]),
        "TriggerActivation": draw.choice(EDGES),
        "TriggerDelay": float(draw.choice([0, 0, 50, 700])),
        "TriggerOverlap": draw.choice(["ReadOut", "ReadOut", "Off"]),
        "TimerTriggerSource[Timer1]": draw.choice(
            ["Off", "Line0", "ExposureStart", "ExposureEnd", "TriggerSkipped"]
        ),
        "TimerTriggerActivation[Timer1]": draw.choice(EDGES),
        "TimerDelay[Timer1]": float(draw.choice([0, 30])),
        "TimerDuration[Timer1]": float(draw.choice([4, 100, 900])),
        "LineSource[Line3]": draw.choice(
            ["ExposureActive", "ReadoutActive", "Timer1Active", "TriggerReady", "Off"]
        ),
        "LineInverter[Line3]": False,
    }
    for line in ("Line0", "Line1"):
        settings[f"LineInverter[{line}]"] = False
        settings[f"LineDebouncerHighTimeAbs[{line}]"] = float(draw.choice([0, 0, 15]))
        settings[f"LineDebouncerLowTimeAbs[{line}]"] = float(draw.choice([0, 0, 40]))
    for counter in ("Counter1", "Counter2"):
        settings[f"CounterEventSource[{counter}]"] = draw.choice(events)
        settings[f"CounterEventActivation[{counter}]"] = draw.choice(EDGES)
        settings[f"CounterResetSource[{counter}]"] = draw.choice(
            ["Off", f"{counter}End", "Counter1End", "Line1"]
        )
        settings[f"CounterResetActivation[{counter}]"] = draw.choice(EDGES)
        settings[f"CounterDuration[{counter}]"] = draw.randint(1, 4)
    changes = [
        (START_NS + 100 * tick, draw.choice(["Line0", "Line1"]), draw.random() < 0.5)
        for tick in draw.sample(range(120_000), draw.choice([20, 80, 150]))
    ]
    return settings, sorted(changes)


def camera_runs(seed: int, steps: int) -> tuple[list[tuple[int, str]], list[tuple[int, bool]], list[int]]:
    settings, changes = scenario(seed)
    camera = Camera(load_model("VCXG-124M"), PlainTiming(), Room(), USB3_VISION)
    small = {"Width": 64, "Height": HEIGHT, "TriggerMode": "On"}
    for name, value in {**small, **settings}.items():
        feature, _, selected = name.rstrip("]").partition("[")
        selectors = camera.features.declared[feature].selectors
        camera.features.set(feature, value, **dict.fromkeys(selectors, selected) if selected else {})
    camera.tick(START_NS)
    camera.lines.look(START_NS)
    happened: list[tuple[int, str]] = []
    shown: list[tuple[int, bool]] = []
    camera.happenings.listen(lambda what, at_ns, _id: happened.append((at_ns, what.value)))
    camera.lines.watchers.append(
        lambda line, level, at_ns: shown.append((at_ns, level)) if line == "Line3" else None
    )
    camera.acquisition.start(START_NS)
    for at_ns, line, is_high in changes:
        camera.inputs.apply(line, 24.0 if is_high else 0.0, at_ns, START_NS)
    for step in range(1, steps + 1):
        camera.tick(START_NS + (END_NS - START_NS) * step // steps)
    assert [at_ns for at_ns, _ in happened] == sorted(at_ns for at_ns, _ in happened)
    kept = sorted(each for each in happened if each[1] not in IGNORED)
    return kept, shown, [counter.value for counter in camera.counters.counters.values()]


@pytest.mark.parametrize("seed", range(60))
def test_the_camera_does_what_the_slow_one_does(seed: int) -> None:
    settings, changes = scenario(seed)
    slow = SlowCamera(settings, HEIGHT * 10 * US, 1 * US, START_NS)
    slow.at(START_NS, 0, slow.ready)
    for at_ns, line, is_high in changes:
        slow.at(at_ns, 2, lambda line=line, is_high=is_high: slow.apply(line, is_high))  # type: ignore[misc]
    slow.run(END_NS)
    happened, shown, counts = camera_runs(seed, random.Random(seed).choice([1, 7, 1000]))
    assert happened == sorted(slow.happened)
    assert shown == slow.shown
    assert counts == list(slow.count.values())


def test_the_scenarios_are_about_something() -> None:
    """Frames are taken and missed, counters and the timer end, the output shows something."""
    told = [what for seed in range(60) for _, what in camera_runs(seed, 1)[0]]
    for what in ("ExposureStart", "FrameStartOvertrigger", "TriggerOverlapped", "Counter1End", "Timer1End"):
        assert told.count(what) > 50, what
    assert told.count("Line3RisingEdge") > 50
