"""S3: signals of the outside world reach the acquisition as the features say."""

import pytest

from tests.u3v.rig import MS, Host, PlainTiming, Room, line_edge
from u3v import sfnc
from u3v.camera import Camera
from u3v.edges import Edge
from u3v.features import Enumeration
from u3v.happenings import Happening
from u3v.model import load_model
from u3v.usb3v.bootstrap import USB3_VISION


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    """An ace with a line among its trigger sources."""
    from dataclasses import replace

    declared = sfnc.features

    def with_a_line(*args: object) -> list[object]:
        return [
            replace(f, entries={"Software": 0, "Line1": 1})
            if isinstance(f, Enumeration) and f.name == "TriggerSource"
            else f
            for f in declared(*args)  # type: ignore[arg-type]
        ]

    monkeypatch.setattr(sfnc, "features", with_a_line)
    camera = Camera(load_model("acA4096-40um"), PlainTiming(), Room(), USB3_VISION)
    for name, value in (("Width", 40), ("Height", 30), ("ExposureTime", 100.0)):
        camera.features.set(name, value)
    made = Host(camera)
    made.set("TriggerSelector", "FrameStart")
    made.set("TriggerMode", "On")
    made.set("TriggerSource", "Line1")
    made.run("AcquisitionStart")
    return made


def edge(host: Host, which: Edge, line: str = "Line1") -> None:
    host.bus.run(2 * MS)
    host.camera.at(host.bus.now_ns)
    line_edge(host.camera, line, which, host.bus.now_ns)


def test_the_selected_line_triggers_and_no_other(host: Host) -> None:
    edge(host, Edge.RISING, "Line2")
    host.set("TriggerSelector", "FrameStart")
    host.run("TriggerSoftware")
    assert host.camera.acquisition.exposed == 0
    edge(host, Edge.RISING)
    assert host.camera.acquisition.exposed == 1


@pytest.mark.parametrize(("activation", "rising", "falling"), [("RisingEdge", 1, 0), ("FallingEdge", 0, 1)])
def test_the_edge_that_counts(host: Host, activation: str, rising: int, falling: int) -> None:
    host.set("TriggerActivation", activation)
    edge(host, Edge.RISING)
    assert host.camera.acquisition.exposed == rising
    edge(host, Edge.FALLING)
    assert host.camera.acquisition.exposed == rising + falling


def test_every_edge_is_a_happening(host: Host) -> None:
    seen: list[Happening] = []
    host.camera.happenings.listen(lambda what, _at, _id: seen.append(what), *Happening)
    edge(host, Edge.FALLING)
    assert seen == [Happening.LINE1_FALLING_EDGE]


def test_a_camera_that_hears_every_source_hears_lines() -> None:
    host = Host(Camera(load_model("VCXG-124M"), PlainTiming(), Room(), USB3_VISION))
    host.set("TriggerMode", "On")
    assert host.get("TriggerSource") == "All"
    host.run("AcquisitionStart")
    edge(host, Edge.RISING)
    host.bus.run(MS)
    assert host.camera.acquisition.exposed == 1
