"""Frame rates against the numbers printed on the data sheets."""

import math

import pytest

from frames.sensor import load_sensor
from tests.gige_link import GigeLink

TIMING = load_sensor("imx255").timing
BAUMER = load_sensor("imx304-vcxg").timing
MONO8 = 4096 * 2168
EXPOSURE_NS = 10_000_000

# Baumer VCXG-124M data sheet: width, rows, acquisition fps, interface fps (Mono8, minimum exposure, truncated)
PARTIAL_SCAN = [
    (3840, 2160, 20, 14),
    (1920, 1080, 40, 40),
    (1280, 1024, 43, 43),
    (1280, 720, 59, 59),
    (1024, 768, 56, 56),
    (800, 600, 70, 70),
    (640, 480, 86, 86),
    (352, 288, 135, 135),
    (320, 240, 157, 157),
    (176, 144, 232, 232),
    (4096, 2048, 22, 14),
    (4096, 1024, 43, 29),
    (4096, 512, 81, 58),
    (4096, 256, 149, 117),
    (4096, 128, 252, 235),
    (4096, 64, 387, 387),
    (4096, 32, 529, 529),
    (4096, 16, 646, 646),
    (4096, 8, 728, 728),
    (4096, 4, 776, 776),
    (4096, 2, 803, 803),
    (4096, 1, 817, 817),
]


def link_ns(payload_bytes: int, bytes_per_s: float) -> int:
    return math.ceil(payload_bytes * 1e9 / bytes_per_s)


def truncated_fps(period_ns: int) -> float:
    return 1e10 // period_ns / 10


def test_sensor_alone() -> None:
    assert TIMING.readout_ns(2168) == 2206 * 9510
    assert truncated_fps(TIMING.readout_ns(2168)) == 47.6


@pytest.mark.parametrize(
    ("bytes_per_s", "payload", "fps"),
    [
        (379.5e6, MONO8, 42.7),
        (360e6, MONO8, 40.5),
        (379.5e6, MONO8 * 3 // 2, 28.4),
        (379.5e6, MONO8 * 2, 21.3),
    ],
)
def test_link_rules_at_full_size(bytes_per_s: float, payload: int, fps: float) -> None:
    assert truncated_fps(TIMING.frame_period_ns(2168, EXPOSURE_NS, link_ns(payload, bytes_per_s))) == fps


def test_crossover_at_full_width() -> None:
    def rules(rows: int) -> bool:
        return link_ns(4096 * rows, 379.5e6) > TIMING.readout_ns(rows)

    assert not rules(280)
    assert rules(284)


@pytest.mark.parametrize(("width", "rows", "acquisition", "interface"), PARTIAL_SCAN)
def test_partial_scan_of_the_vcxg_124m(width: int, rows: int, acquisition: int, interface: int) -> None:
    exposure_ns = 15_000
    assert 10**9 // BAUMER.frame_period_ns(rows, exposure_ns, 0) == acquisition
    link = GigeLink().frame_ns(width * rows)
    assert 10**9 // BAUMER.frame_period_ns(rows, exposure_ns, link) == interface


def test_full_frame_of_the_vcxg_124m() -> None:
    """15 fps from the sensor; 9 over the link, triggered with a memory of one image; 65.8 ms of readout."""
    readout_ns, link = BAUMER.readout_ns(3000), GigeLink().frame_ns(4096 * 3000)
    assert round(readout_ns / 1e6, 1) == 65.8
    assert 10**9 // BAUMER.frame_period_ns(3000, 4_000_000, 0) == 15
    assert 10**9 // BAUMER.frame_period_ns(3000, 4_000_000, link) == 10
    one_buffer_ns = 4_000_000 + 97_700 + max(readout_ns, link)  # the next exposure waits for the last byte
    assert 10**9 // one_buffer_ns == 9


@pytest.mark.parametrize("binning", [1, 2])
def test_binning_does_not_speed_up_the_vcxg_124m(binning: int) -> None:
    rows = BAUMER.rows_read(3000 // binning, binning)
    assert 10**9 // BAUMER.frame_period_ns(rows, 4_000_000, 0) == 15


@pytest.mark.parametrize(
    ("packet_bytes", "gvsp_bytes", "mb_per_s"), [(8192, 20, 123.69), (1500, 20, 118.01), (1500, 8, 118.98)]
)
def test_gige_payload_rate(packet_bytes: int, gvsp_bytes: int, mb_per_s: float) -> None:
    link = GigeLink(packet_bytes=packet_bytes, gvsp_bytes=gvsp_bytes)
    assert link.payload_bytes_per_s(4096 * 3000) / 1e6 == pytest.approx(mb_per_s, abs=0.01)


def test_gige_packets_are_counted() -> None:
    link = GigeLink(packet_bytes=1500)
    assert link.data_bytes == 1452
    one, two = link.wire_bytes(1452), link.wire_bytes(1453)
    assert (one, two - one) == (1452 + 36 + 8 + 3 * 86, 1 + 86)
    assert GigeLink(bits_per_s=1e8).frame_ns(9000) == 10 * GigeLink().frame_ns(9000)
    assert GigeLink(share=0.5).frame_ns(9000) == 2 * GigeLink().frame_ns(9000)


@pytest.mark.parametrize("bytes_per_s", [115.9e6, 116.0e6, 116.1e6])
@pytest.mark.parametrize(
    ("sensor", "width", "rows", "fps"), [("imx267", 4096, 2168, 13.1), ("imx304", 4096, 3000, 9.4)]
)
def test_basler_gige_cameras(sensor: str, width: int, rows: int, fps: float, bytes_per_s: float) -> None:
    timing = load_sensor(sensor).timing
    period_ns = timing.frame_period_ns(rows, EXPOSURE_NS, link_ns(width * rows, bytes_per_s))
    assert round(1e9 / period_ns, 1) == fps
    assert timing.readout_ns(rows) < period_ns


@pytest.mark.parametrize(("bits", "name"), [(10, "BayerGR10g40IDS"), (12, "BayerGR12g24IDS")])
def test_imx412_does_18_fps_in_both_formats(bits: int, name: str) -> None:
    timing = load_sensor("imx412").timing
    link = link_ns(4056 * 3040 * bits // 8, 379.5e6)
    assert truncated_fps(timing.frame_period_ns(3040, EXPOSURE_NS, link)) == 18.0
    binned = timing.frame_period_ns(timing.rows_read(1520, 2), EXPOSURE_NS, link // 4)
    assert truncated_fps(binned) == 32.0


def test_long_exposure_rules() -> None:
    period = TIMING.frame_period_ns(2168, 50_000_000, link_ns(MONO8, 379.5e6))
    assert period == 50_000_000 + 23_240
