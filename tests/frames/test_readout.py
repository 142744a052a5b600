"""Frame rates of the acA4096-40um: 42.7 fps printed, 40.5 at the default limit, 47.6 by the sensor alone."""

import pytest

from frames.readout import frame_period_ns, link_ns
from frames.sensor import load_sensor

TIMING = load_sensor("imx255").timing
MONO8 = 4096 * 2168
EXPOSURE_NS = 10_000_000


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


def test_long_exposure_rules() -> None:
    period = TIMING.frame_period_ns(2168, 50_000_000, link_ns(MONO8, 379.5e6))
    assert period == 50_000_000 + 23_240


def test_without_overlap_exposure_and_readout_add() -> None:
    assert frame_period_ns(20, 30, 10, overhead_ns=2, overlap=False) == 52
    assert frame_period_ns(20, 30, 60, overhead_ns=2, overlap=False) == 60
    assert frame_period_ns(20, 30, 10, overhead_ns=2) == 32


def test_rows_end_with_the_readout() -> None:
    assert TIMING.row_time_ns(2167, 2168) == TIMING.readout_ns(2168)
    assert TIMING.row_time_ns(1, 2168) - TIMING.row_time_ns(0, 2168) == 9510


def test_dead_link_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^link rate is 0 bytes/s, must be above zero$"):
        link_ns(1, 0)
