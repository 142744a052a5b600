"""ExposureAuto and GainAuto on light that is exactly proportional: what the features end at can be computed."""

from typing import Any

import pytest

from tests.u3v.genicam_nodes import Access, Nodes
from tests.u3v.models import ACE, ACE_8, VCX, host_of
from tests.u3v.rig import Host
from u3v.exposure import Exposure

TARGET = {ACE: ("AutoTargetBrightness", 0.5), ACE_8: ("AutoTargetBrightness", 0.5)}
TARGET[VCX] = ("BrightnessAutoNominalValue", 50.0)
PRIORITY = {ACE: "AutoFunctionProfile", VCX: "BrightnessAutoPriority"}
FIRST: dict[str, dict[str, str]] = {
    "exposure": {ACE: "MinimizeGain", VCX: "ExposureAuto"},
    "gain": {ACE: "MinimizeExposureTime", VCX: "GainAuto"},
}
HIGH_US = {ACE: "AutoExposureTimeUpperLimit", VCX: "ExposureAutoMaxValue"}


class Meter:
    """A renderer whose frames are as bright as light x exposure time x gain; full scale is 1."""

    def __init__(self, host: Host, light_per_us: float) -> None:
        self.camera = host.camera
        self.light_per_us = light_per_us
        self.seen: list[float] = []
        host.camera.render_with(self)

    def expose(self, exposure: Exposure) -> None:
        settings = exposure.settings
        light = self.light_per_us * settings.exposure_us * 10 ** (settings.gain_db / 20)
        self.seen.append(min(light, 1.0))
        data = memoryview(bytearray(settings.wire_bytes))
        brightness = None if settings.meter is None else self.seen[-1]
        self.camera.deliver(exposure, data, self.camera.now_ns, brightness=brightness)

    def frame_wanted(self) -> None:
        pass


def watched(model: str, light_per_us: float, **settings: Any) -> tuple[Host, Meter]:
    host = host_of(model, {"Width": 64, "Height": 48, "ExposureTime": 1000.0})
    meter = Meter(host, light_per_us)
    name, value = TARGET[model]
    host.set(name, value)
    for name, value in settings.items():
        host.set(name, value)
    return host, meter


def run(host: Host, frames: int = 25) -> None:
    host.start()
    for _ in range(frames):
        host.frame(timeout_ms=30_000)


@pytest.mark.parametrize("model", [ACE, ACE_8, VCX])
@pytest.mark.parametrize("light_per_us", [1e-5, 1e-4, 5e-4, 5e-3])
def test_exposure_time_follows_the_light(model: str, light_per_us: float) -> None:
    host, meter = watched(model, light_per_us, ExposureAuto="Continuous")
    run(host)
    assert meter.seen[-1] == pytest.approx(0.5, rel=0.04)
    assert host.get("ExposureTime") == pytest.approx(0.5 / light_per_us, rel=0.04)
    assert host.get("Gain") == 0.0


@pytest.mark.parametrize("model", [ACE, VCX])
def test_gain_follows_the_light(model: str) -> None:
    host, meter = watched(model, 1e-4, GainAuto="Continuous")
    run(host)
    assert meter.seen[-1] == pytest.approx(0.5, rel=0.04)
    assert host.get("ExposureTime") == 1000.0
    assert host.get("Gain") == pytest.approx(14, abs=0.4)  # 20 lg 5


@pytest.mark.parametrize("model", [ACE, VCX])
@pytest.mark.parametrize("first", ["exposure", "gain"])
def test_priority_says_what_is_changed_first(model: str, first: str) -> None:
    """Five times too dark, exposure time may double at most: the rest is gain's, or all of it."""
    host, meter = watched(model, 1e-4, ExposureAuto="Continuous", GainAuto="Continuous")
    host.set(HIGH_US[model], 2000.0)
    host.set(PRIORITY[model], FIRST[first][model])
    run(host)
    assert meter.seen[-1] == pytest.approx(0.5, rel=0.04)
    assert host.get("ExposureTime") == pytest.approx(2000.0 if first == "exposure" else 1000.0)
    assert host.get("Gain") == pytest.approx(8 if first == "exposure" else 14, abs=0.4)


@pytest.mark.parametrize("model", [ACE, VCX])
def test_once_is_over_when_it_is_bright_enough(model: str) -> None:
    host, meter = watched(model, 1e-4, ExposureAuto="Once")
    run(host)
    assert host.get("ExposureAuto") == "Off"
    reached = host.get("ExposureTime")
    assert reached == pytest.approx(5000, rel=0.04)
    meter.light_per_us = 1e-3
    for _ in range(5):
        host.frame(timeout_ms=30_000)
    assert host.get("ExposureTime") == reached


def test_light_that_is_not_enough() -> None:
    """The limits hold, and Once ends there."""
    host, _ = watched(ACE, 1e-9, ExposureAuto="Once")
    host.set("AutoExposureTimeUpperLimit", 3000.0)
    run(host, 12)
    assert (host.get("ExposureTime"), host.get("ExposureAuto")) == (3000.0, "Off")


@pytest.mark.parametrize("model", [ACE, VCX])
def test_what_the_camera_sets_the_host_does_not(model: str) -> None:
    """ExposureTime is read-only and not cached meanwhile; the XML says so."""
    host, _ = watched(model, 1e-4)
    nodes = Nodes(host.camera)
    for auto, value in (("ExposureAuto", "ExposureTime"), ("GainAuto", "Gain")):
        assert nodes.access(value) == Access.RW
        nodes[auto].value = "Continuous"
        assert nodes.access(value) == Access.RO
        host.camera.features.set(value, 20.0)
        assert nodes[value].value == 20.0


def test_the_region_in_the_image() -> None:
    """A region on the sensor, where the image has it; all of the image where it has none of it."""
    host, _ = watched(ACE, 1e-4)
    assert host.camera.settings.meter is None
    host.set("ExposureAuto", "Continuous")
    assert host.camera.settings.meter == (0, 0, 64, 48)
    names = ("OffsetX", "OffsetY", "Width", "Height")
    host.set("OffsetX", 100)
    for values, expected in (((110, 10, 20, 8), (10, 10, 20, 8)), ((90, 40, 20, 99), (0, 40, 10, 8))):
        for name, value in zip(names, values, strict=True):
            host.set(f"AutoFunctionROI{name}", value, AutoFunctionROISelector="ROI1")
        assert host.camera.settings.meter == expected
    host.set("AutoFunctionROIOffsetX", 2000, AutoFunctionROISelector="ROI1")
    assert host.camera.settings.meter == (0, 0, 64, 48)
    host.set("AutoFunctionROIUseBrightness", False, AutoFunctionROISelector="ROI1")
    host.set("AutoFunctionROIUseBrightness", True, AutoFunctionROISelector="ROI2")
    host.set("AutoFunctionROIWidth", 110, AutoFunctionROISelector="ROI2")
    assert host.camera.settings.meter == (0, 0, 10, 48)
