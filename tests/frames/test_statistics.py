"""The noise engine against the theory of light and electronics, level by level.

n electrons are Poisson distributed, the read noise r is normal: variance n + r^2, skewness n / (n + r^2)^1.5, excess
kurtosis n / (n + r^2)^2. The converter rounds, which adds 1/12 DN^2 and nothing else that could be measured here.
"""

from dataclasses import replace
from itertools import combinations
from math import sqrt

import numpy as np
import numpy.typing as npt
import pytest

from frames import noise
from frames.scene import parse_scene
from frames.source import FrameSource
from tests.frames.cameras import (
    EXPOSURE_US,
    HEIGHT,
    SENSOR,
    WIDTH,
    no_pattern,
    pixels,
    render,
    settings,
    source,
)

SIGMAS = 4.5
COLUMNS = WIDTH // 64  # of a level
N = COLUMNS * HEIGHT
K = SENSOR.conversion_gain_dn12_per_e
DARK_E = SENSOR.dark_current_at(45.0) * EXPOSURE_US * 1e-6
FRAMES = 12
SKEWNESS_SLACK = 0.004  # the engine's quotient is right to 0.012
KURTOSIS_SLACK = 0.01  # the engine has no term of the third order


def stairs(gain_db: float, frames: int = FRAMES) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """64 levels in equal steps of light, from dark to where noise still keeps clear of white: electrons (64,) and
    numbers (frames, 64, N).
    """
    white_e = 3200 / (K * 10 ** (gain_db / 20))
    photons = white_e / SENSOR.quantum_efficiency / (EXPOSURE_US * 1e-6)
    scene = parse_scene(f"wedge:steps=64,photons={photons}")
    light = scene.radiance(0.0, WIDTH, 1).photons_per_s(WIDTH, 1)[0].reshape(64, COLUMNS)
    assert (light == light[:, :1]).all()
    camera = FrameSource(
        replace(SENSOR, charge_spread_percent=0.0), scene, seed=9, width=WIDTH, height=HEIGHT
    )
    camera.fixed_pattern = no_pattern(WIDTH, HEIGHT)
    shot = [pixels(camera, settings(frame, gain_db=gain_db)) for frame in range(frames)]
    levels = np.array(shot, float).reshape(frames, HEIGHT, 64, COLUMNS).transpose(0, 2, 1, 3)
    electrons = light[:, 0] * SENSOR.quantum_efficiency * EXPOSURE_US * 1e-6 + DARK_E
    return electrons, levels.reshape(frames, 64, N)


@pytest.mark.parametrize("gain_db", [0.0, 12.0, 24.0])
def test_moments_of_64_levels(gain_db: float) -> None:
    electrons, numbers = stairs(gain_db)
    k = K * 10 ** (gain_db / 20)
    flat = numbers.transpose(1, 0, 2).reshape(64, -1)
    count = flat.shape[1]
    read_e2 = SENSOR.temporal_noise_at(gain_db) ** 2
    variance_e = electrons + read_e2
    variance = k * k * variance_e + 1 / 12
    centred = flat - flat.mean(axis=1, keepdims=True)
    assert flat.mean(axis=1) == pytest.approx(64 + k * electrons, abs=SIGMAS * sqrt(variance.max() / count))
    assert (centred**2).mean(axis=1) == pytest.approx(variance, rel=SIGMAS * sqrt(2 / count))
    shrunk = k * k * variance_e / variance  # rounding widens the distribution and leaves its third moment
    z = centred / np.sqrt(variance)[:, None]
    skewness = electrons / variance_e**1.5 * shrunk**1.5
    kurtosis = electrons / variance_e**2 * shrunk**2
    off_skewness = (z**3).mean(axis=1) - skewness
    off_kurtosis = (z**4).mean(axis=1) - 3 - kurtosis
    assert np.abs(off_skewness).max() < SIGMAS * sqrt(6 / count) + SKEWNESS_SLACK
    assert np.abs(off_kurtosis).max() < SIGMAS * sqrt(24 / count) + KURTOSIS_SLACK
    assert abs(off_skewness.mean()) < SIGMAS * sqrt(6 / count / 64) + SKEWNESS_SLACK
    assert abs(off_kurtosis.mean()) < SIGMAS * sqrt(24 / count / 64) + KURTOSIS_SLACK


def correlation(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    return float((a * b).mean() / sqrt((a * a).mean() * (b * b).mean()))


def test_frames_and_neighbours_do_not_correlate() -> None:
    """Nor do their squares: noise that is only shuffled or turned round would show there."""
    _, numbers = stairs(12.0, frames=4)
    noise = numbers - numbers.mean(axis=(0, 2), keepdims=True)
    noise /= noise.std(axis=(0, 2), keepdims=True)
    frames = noise.reshape(4, 64, HEIGHT, COLUMNS).transpose(0, 2, 1, 3).reshape(4, HEIGHT, WIDTH)
    for form in (frames, frames**2 - 1):
        for a, b in combinations(range(4), 2):
            assert abs(correlation(form[a], form[b])) < SIGMAS / sqrt(HEIGHT * WIDTH)
        for dy, dx in ((0, 1), (0, 2), (0, 4), (1, 0), (2, 0), (1, 1), (3, 5), (0, 512), (256, 0)):
            near, far = form[:, : HEIGHT - dy, : WIDTH - dx], form[:, dy:, dx:]
            assert abs(correlation(near, far)) < SIGMAS / sqrt(near.size)


def test_no_two_rows_of_a_frame_resemble_each_other() -> None:
    """Rows share their columns' random words, each times a number of its own: all pairs are looked at."""
    camera = source(parse_scene("uniform:photons=300000"))
    camera.fixed_pattern = no_pattern(WIDTH, HEIGHT)
    rows = pixels(camera, settings(3)).astype(float)
    for form in (
        rows,
        np.abs(rows - rows.mean()),
        np.sign(rows - np.median(rows)) * (rows - rows.mean()) ** 2,
    ):
        z = form - form.mean(axis=1, keepdims=True)
        z /= z.std(axis=1, keepdims=True)
        alike = (z @ z.T / WIDTH)[np.triu_indices(HEIGHT, 1)]
        assert np.abs(alike).max() < 6 / sqrt(WIDTH)
        assert alike.var() * WIDTH == pytest.approx(1, abs=SIGMAS * sqrt(2 / alike.size) + 0.01)
        assert alike.mean() == pytest.approx(
            0, abs=SIGMAS / sqrt(WIDTH * alike.size) + 0.5 / HEIGHT / sqrt(WIDTH)
        )


SHAPES = [
    {},
    {"width": 515, "height": 77, "offset_x": 13, "offset_y": 5},
    {"reverse_x": True, "reverse_y": True, "width": 1000, "height": 90, "offset_x": 8},
    {"binning_horizontal": 2, "binning_vertical": 2, "width": 512, "height": 256},
    {"binning_horizontal": 3, "binning_vertical": 1, "width": 340, "height": 100, "reverse_x": True},
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scene", ["target", "gradient:vignetting=0.5"])
def test_bytes_do_not_depend_on_parts_and_threads(scene: str, shape: dict[str, int]) -> None:
    wanted = render(source(parse_scene(scene)), settings(4, **shape))
    for threads in (1, 2, 3):
        camera = source(parse_scene(scene), threads=threads)
        for part_px in (1, 3000, 1 << 17):
            camera.part_px = part_px
            assert np.array_equal(render(camera, settings(4, **shape)), wanted)
        camera.close()


@pytest.mark.parametrize("shape", SHAPES[1:3])
def test_shading_that_takes_nothing_changes_nothing(shape: dict[str, int]) -> None:
    """Two loops of the kernel make the signal, with and without shading: the same bytes where they should agree."""
    plain = source(parse_scene("gradient"))
    lit = render(plain, settings(4, **shape))
    shaded = source(parse_scene("gradient:vignetting=1e-12"))
    assert np.array_equal(render(shaded, settings(4, **shape)), lit)


def test_the_bell_has_the_moments_of_the_normal_distribution() -> None:
    """All values that four random bytes can give, with the kernel's weights and polynomial; its variance is 1/2."""
    difference = np.arange(-255, 256)
    chance = (256 - np.abs(difference)) / 65536
    high, low = int(noise._WEIGHTS) >> 16, int(noise._WEIGHTS) & 0xFFFF
    x = 256.0 * (high * difference[:, None] + low * difference[None, :])
    z = x * (float(noise._Z1) + float(noise._Z3) * x**2 + float(noise._Z5) * x**4) * sqrt(2)
    p = chance[:, None] * chance[None, :]
    assert [(p * z**k).sum() for k in (2, 4, 6)] == pytest.approx([1, 3, 15], rel=2e-5)
    assert 4.5 < z.max() == -z.min() < 4.6
