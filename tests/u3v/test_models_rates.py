"""Every frame rate that a data sheet prints comes out of ResultingFrameRate."""

import math

import pytest

from tests.gige_link import GigeLink
from tests.u3v.models import ACE, ACE_8, ACE_11, GENERIC, IDS, NAMES, VCX, camera_of
from u3v.camera import Options
from u3v.features import Value
from u3v.model import load_model
from u3v.usb3v.function import UsbFunction
from u3v.wire.usb import Speed

PRINTED: list[tuple[str, dict[str, Value], float]] = [
    (ACE, {"DeviceLinkThroughputLimitMode": "Off"}, 42.7),
    (ACE, {}, 40.5),
    (ACE_11, {}, 13.1),
    (ACE_8, {}, 9.4),
    (IDS, {"PixelFormat": "BayerGR10g40IDS"}, 18.0),
    (IDS, {"PixelFormat": "BayerGR12g24IDS"}, 18.0),
    (GENERIC, {"PixelFormat": "BayerRG8"}, 60.0),
    (GENERIC, {"PixelFormat": "BayerRG12p"}, 60.0),
    (GENERIC, {"PixelFormat": "RGB8"}, 60.0),
]
# Baumer's table: partial scans at the shortest exposure, Mono8: acquisition and interface fps, truncated.
PARTIAL_SCANS = [
    (3840, 2160, 20, 14), (1920, 1080, 40, 40), (1280, 1024, 43, 43), (1280, 720, 59, 59), (1024, 768, 56, 56),
    (800, 600, 70, 70), (640, 480, 86, 86), (352, 288, 135, 135), (320, 240, 157, 157), (176, 144, 232, 232),
    (4096, 2048, 22, 14), (4096, 1024, 43, 29), (4096, 512, 81, 58), (4096, 256, 149, 117),
    (4096, 128, 252, 235), (4096, 64, 387, 387), (4096, 32, 529, 529), (4096, 16, 646, 646),
    (4096, 8, 728, 728), (4096, 4, 776, 776), (4096, 2, 803, 803), (4096, 1, 817, 817),
]  # fmt: skip


@pytest.mark.parametrize(("name", "settings", "fps"), PRINTED)
def test_printed_rates(name: str, settings: dict[str, Value], fps: float) -> None:
    assert round(camera_of(name, settings).features.get("ResultingFrameRate"), 1) == fps


@pytest.mark.parametrize(("name", "key"), [(n, "frame_rate_fps") for n in NAMES if n != VCX])
def test_the_model_file_prints_the_same(name: str, key: str) -> None:
    camera = camera_of(name)
    if "DeviceLinkThroughputLimitMode" in camera.features:
        camera.features.set("DeviceLinkThroughputLimitMode", "Off")
    assert round(camera.features.get("ResultingFrameRate"), 1) == load_model(name).number(key)


@pytest.mark.parametrize(("width", "height", "acquisition", "interface"), PARTIAL_SCANS)
def test_baumers_partial_scans(width: int, height: int, acquisition: int, interface: int) -> None:
    shortest: dict[str, Value] = {"ShortExposureTimeEnable": True, "ExposureTime": 1.0}
    get = camera_of(VCX, {"Width": width, "Height": height, **shortest}).features.get
    assert math.floor(get("VirtualSensorFrameRate")) == acquisition
    assert math.floor(get("ResultingFrameRate")) == interface


def test_baumers_full_frame() -> None:
    """15 fps acquisition, t_readout 65.8 ms; 9 fps interface in trigger mode, where the buffer holds one image."""
    camera = camera_of(VCX)
    get = camera.features.get
    assert math.floor(get("VirtualSensorFrameRate")) == load_model(VCX).number("readout_frame_rate_fps") == 15
    assert round(get("SensorReadoutTime") / 1000, 1) == 65.8
    assert math.floor(get("ResultingFrameRate")) == 10
    camera.features.set("TriggerMode", "On", TriggerSelector="FrameStart")
    assert math.floor(get("ResultingFrameRate")) == load_model(VCX).number("frame_rate_fps") == 9


@pytest.mark.parametrize("binning", [(2, 2), (2, 1), (1, 2)])
def test_baumers_binning_reads_as_many_rows(binning: tuple[int, int]) -> None:
    """All three print 15 fps."""
    camera = camera_of(VCX)
    for name, value in zip(("BinningHorizontal", "BinningVertical"), binning, strict=True):
        camera.features.set(name, value)
        written = camera.features.declared[name].written
        assert written is not None
        written(camera)
    get = camera.features.get
    assert (get("Width"), get("Height")) == (4096 // binning[0], 3000 // binning[1])
    assert math.floor(get("VirtualSensorFrameRate")) == math.floor(get("ResultingFrameRate")) == 15


def test_the_payload_rate_is_that_of_ethernet_packets() -> None:
    """8192-byte packets with headers, leader and trailer; in a row of the table where the link rules."""
    payload = 4096 * 256
    assert GigeLink(packet_bytes=8192).payload_bytes_per_s(payload) == pytest.approx(
        load_model(VCX).number("payload_rate_bytes_per_s"), rel=1e-3
    )


@pytest.mark.parametrize("name", [ACE_11, ACE_8, VCX])
def test_fast_ethernet_is_a_tenth(name: str) -> None:
    full, slow = camera_of(name).features.get, camera_of(name, options=Options(slow_link=True)).features.get
    assert (full("DeviceLinkSpeed"), slow("DeviceLinkSpeed")) == (125_000_000, 12_500_000)
    assert slow("ResultingFrameRate") == pytest.approx(full("ResultingFrameRate") / 10)


def test_the_speed_of_a_usb_port_is_the_link_speed_of_usb_cameras_only() -> None:
    for name, bytes_per_s in ((ACE, 60_000_000), (IDS, 60_000_000), (ACE_8, 125_000_000)):
        camera = camera_of(name)
        UsbFunction(camera).use_speed(Speed.HIGH)
        assert camera.features.get("DeviceLinkSpeed") == bytes_per_s


def test_rows_speed_up_and_columns_do_not() -> None:
    """IDS: AOI in x keeps the frame rate, AOI in y raises it, binning raises it."""
    full = camera_of(IDS).features.get("ResultingFrameRate")
    assert camera_of(IDS, {"Width": 24}).features.get("ResultingFrameRate") == full
    assert camera_of(IDS, {"Height": 1520}).features.get("ResultingFrameRate") > 1.7 * full
    binned: dict[str, Value] = {"BinningHorizontal": 2, "BinningVertical": 2, "Width": 2028, "Height": 1520}
    assert camera_of(IDS, binned).features.get("ResultingFrameRate") > 1.7 * full


def test_sequential_readout_takes_exposure_and_readout() -> None:
    settings: dict[str, Value] = {"ReadoutMode": "Sequential", "ExposureTime": 50_000.0}
    get = camera_of(VCX, settings).features.get
    period_us = 1e6 / get("ResultingFrameRate")
    assert 0 < period_us - (50_000 + get("SensorReadoutTime")) < 50


def test_a_limit_below_the_wire_rules() -> None:
    for name in NAMES:
        camera = camera_of(name, {"DeviceLinkThroughputLimit": 10_000_000})
        get = camera.features.get
        assert get("ResultingFrameRate") == pytest.approx(10_000_000 / camera.wire_bytes)
        assert get("DeviceLinkCurrentThroughput") == pytest.approx(10_000_000, abs=1000)
