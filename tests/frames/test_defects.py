"""Row and column noise, hot pixels and their correction, full well."""

from dataclasses import replace
from math import sqrt

import numpy as np
import pytest

from frames.scene import Uniform, parse_scene
from frames.source import MAX_CORRECTED, Defects, FrameSource
from tests.frames.cameras import EXPOSURE_US, HEIGHT, SENSOR, WIDTH, pixels, settings, uniform_of

K = SENSOR.conversion_gain_dn12_per_e
N = WIDTH * HEIGHT


def camera(defects: Defects, electrons: float = 0, seed: int = 1) -> FrameSource:
    return FrameSource(SENSOR, uniform_of(electrons), seed=seed, width=WIDTH, height=HEIGHT, defects=defects)


@pytest.mark.parametrize(("axis", "key"), [(1, "row_noise_e"), (0, "column_noise_e")])
def test_row_and_column_noise(axis: int, key: str) -> None:
    """What rows have in common differs from frame to frame and has the sigma asked for."""
    source = camera(Defects(**{key: 3.0}))
    a, b = (pixels(source, settings(frame)).astype(float) for frame in (0, 1))
    difference = (a - b).mean(axis=axis)
    other = (a - b).mean(axis=1 - axis)
    count = difference.size
    pixel_noise = 2 * (K * K * (SENSOR.temporal_noise_e**2 + 0.05) + 1 / 12)
    wanted = 2 * (3 * K) ** 2 + pixel_noise / (N / count)
    assert difference.var() == pytest.approx(wanted, rel=4.5 * sqrt(2 / count))
    assert other.var() == pytest.approx(pixel_noise / (N / other.size), rel=4.5 * sqrt(2 / other.size))
    assert np.array_equal(pixels(source, settings(1)), b)


def test_row_noise_stays_with_the_row_in_a_region() -> None:
    source = camera(Defects(row_noise_e=3.0, column_noise_e=3.0))
    full = pixels(source, settings(0))
    assert np.array_equal(
        pixels(source, settings(0, offset_x=100, offset_y=30, width=333, height=21)), full[30:51, 100:433]
    )


HOT = Defects(hot_pixels=600)


def hot_map(source: FrameSource, **changes: float | bool) -> set[tuple[int, int]]:
    frame = pixels(source, settings(0, exposure_us=1e5, **changes))
    y, x = np.nonzero(frame > 64 + 40)
    return set(zip(x.tolist(), y.tolist(), strict=True))


def test_hot_pixels_are_the_cameras_and_on_its_list() -> None:
    source = camera(HOT)
    seen = hot_map(source, defect_correction=False)
    assert len(source.hot_list) == len(set(source.hot_list)) == 600
    assert seen <= set(source.hot_list)
    assert len(seen) > 500
    assert hot_map(camera(HOT), defect_correction=False) == seen
    assert len(hot_map(camera(HOT, seed=2), defect_correction=False) & seen) < 20


def test_correction_mends_the_first_512_and_what_else_is_listed() -> None:
    source = camera(HOT)
    assert len(source.corrected) == MAX_CORRECTED
    left = hot_map(source)
    assert left <= set(source.hot_list[MAX_CORRECTED:])
    source.corrected = source.hot_list
    assert not hot_map(source)
    source.corrected = []
    assert len(hot_map(source)) > 500


def test_hot_pixels_grow_with_exposure_and_temperature() -> None:
    source = camera(replace(HOT, hot_pixels=50, hot_e_per_s=4000))

    def excess(exposure_us: float, temperature_c: float) -> float:
        s = settings(0, exposure_us=exposure_us, temperature_c=temperature_c, defect_correction=False)
        frame = pixels(source, s).astype(float)
        x, y = np.array(source.hot_list).T
        return float((frame[y, x] - np.median(frame)).mean())

    base = excess(1e5, 45)
    assert base == pytest.approx(400 * K, rel=0.3)
    assert excess(2e5, 45) == pytest.approx(2 * base, rel=0.05)
    assert excess(1e5, 52) == pytest.approx(2 * base, rel=0.05)


@pytest.mark.parametrize("flip", [False, True])
def test_hot_pixels_follow_region_flips_and_binning(flip: bool) -> None:
    source = camera(replace(HOT, hot_pixels=40, hot_e_per_s=1e6))
    s = {"reverse_x": flip, "reverse_y": flip, "defect_correction": False}
    x, y = np.array(source.hot_list[:20]).T
    if flip:
        x, y = WIDTH - 1 - x, HEIGHT - 1 - y
    assert (pixels(source, settings(0, **s))[y, x] > 2000).all()
    part = pixels(source, settings(0, offset_x=64, offset_y=32, width=512, height=256, **s))
    inside = (x >= 64) & (x < 576) & (y >= 32) & (y < 288)
    assert inside.sum() > 2
    assert (part[y[inside] - 32, x[inside] - 64] > 2000).all()
    binned = pixels(
        source,
        settings(0, width=512, height=256, binning_horizontal=2, binning_vertical=2, **s),
    )
    assert (binned[y // 2, x // 2] > 2000).all()
    assert (binned > 1000).sum() <= 40


def test_a_pixel_cannot_hold_more_than_its_full_well() -> None:
    small = replace(SENSOR, full_well_e=5000.0)
    source = FrameSource(small, Uniform(photons=1e8), seed=1, width=64, height=64)
    frame = pixels(source, settings(0, width=64, height=64))
    assert (frame == int(64 + 5000 * K)).all()
    assert (pixels(source, settings(0, width=64, height=64, gain_db=20)) == 4095).all()
    binned = settings(0, width=32, height=32, binning_horizontal=2, binning_vertical=2)
    assert (pixels(source, binned) == 4095).all()


def test_photons_of_another_wavelength_count_less() -> None:
    red, green = (
        pixels(
            FrameSource(
                SENSOR, parse_scene(f"uniform:nm={nm},photons=6e5"), seed=1, width=WIDTH, height=HEIGHT
            ),
            settings(0),
        ).mean()
        - 64
        for nm in (650, 536)
    )
    assert green == pytest.approx(6e5 * EXPOSURE_US * 1e-6 * 0.67 * K, rel=0.002)
    assert red / green == pytest.approx(0.72, rel=0.002)
