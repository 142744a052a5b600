"""The noise is measured on frames at fixed seeds and held against bounds computed from the number of samples.

Bounds are `SIGMAS` standard errors. The oracle is the physics (Poisson light, Gaussian read noise, a rounding
converter), not the engine's tables.
"""

from math import sqrt
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pytest

from frames import noise
from tests.frames.cameras import (
    EXPOSURE_US,
    HEIGHT,
    SENSOR,
    WIDTH,
    no_pattern,
    pixels,
    settings,
    source,
    uniform_of,
)

SIGMAS = 4.5
K = SENSOR.conversion_gain_dn12_per_e
DARK_E = SENSOR.dark_current_at(45.0) * EXPOSURE_US * 1e-6
N = WIDTH * HEIGHT
ROWS_PER_VARIANCE = 2 * HEIGHT
VARIANCE_ERROR = sqrt(2 / N + (0.125 / 2) ** 2 / ROWS_PER_VARIANCE)


def read_noise_e(gain_db: float) -> float:
    """2.4 e- at 0 dB, of which 2.0 before the amplifier."""
    return sqrt(2.0**2 + (2.4**2 - 2.0**2) / 10 ** (gain_db / 10))


def temporal_variance(electrons: float, seed: int, gain_db: float = 0.0) -> tuple[float, float]:
    """Mean above black and temporal variance, DN and DN^2, from two frames."""
    camera = source(uniform_of(electrons), seed)
    a, b = (pixels(camera, settings(frame, gain_db=gain_db)).astype(float) for frame in (0, 1))
    return (a.mean() + b.mean()) / 2 - 64, ((a - b) ** 2).mean() / 2


@pytest.mark.parametrize("gain_db", [0.0, 12.0])
@pytest.mark.parametrize("fraction", [0.0, 0.004, 0.03, 0.1, 0.35, 0.8])
def test_photon_transfer_point(gain_db: float, fraction: float) -> None:
    k = K * 10 ** (gain_db / 20)
    electrons = fraction * 4000 / k
    mean, variance = temporal_variance(electrons, seed=int(fraction * 1000), gain_db=gain_db)
    wanted = k * k * (electrons + DARK_E + read_noise_e(gain_db) ** 2) + 1 / 12
    assert variance == pytest.approx(wanted, rel=SIGMAS * VARIANCE_ERROR)
    spatial = k * (electrons * SENSOR.prnu_percent / 100 + SENSOR.dsnu_e)
    mean_error = SIGMAS * (sqrt(wanted / 2) + spatial) / sqrt(N)
    rounding = 1 / 32
    assert mean == pytest.approx(k * (electrons + DARK_E), abs=mean_error + rounding)


def test_photon_transfer_line_gives_back_gain_and_read_noise() -> None:
    points = [temporal_variance(e, seed=100 + k) for k, e in enumerate(np.linspace(0, 9000, 16))]
    mean, variance = np.array(points).T
    error = variance * VARIANCE_ERROR
    design = np.stack([mean, np.ones_like(mean)], 1) / error[:, None]
    covariance = np.linalg.inv(design.T @ design)
    slope, offset = covariance @ design.T @ (variance / error)
    assert slope == pytest.approx(K, abs=SIGMAS * sqrt(covariance[0, 0]))
    assert sqrt(covariance[0, 0]) < 0.002 * K
    read_variance = K * K * SENSOR.temporal_noise_e**2 + 1 / 12
    assert offset == pytest.approx(read_variance, abs=SIGMAS * sqrt(covariance[1, 1]))
    assert sqrt(covariance[1, 1]) < 0.01 * read_variance


def test_exposure_and_light_are_one_and_the_same() -> None:
    camera = source(uniform_of(1000))
    single = pixels(camera, settings(0)).mean() - 64
    quadruple = pixels(camera, settings(0, exposure_us=4 * EXPOSURE_US)).mean() - 64
    assert quadruple == pytest.approx(4 * single, rel=1e-3)


def test_dark_current_grows_with_exposure_and_temperature() -> None:
    camera = source(uniform_of(0))

    def dark(exposure_us: float, temperature_c: float) -> float:
        s = settings(0, exposure_us=exposure_us, temperature_c=temperature_c)
        return float(pixels(camera, s).mean() - 64)

    error = SIGMAS * K * 16 / sqrt(N) + 1 / 32
    assert dark(10e6, 45) == pytest.approx(50 * K, abs=error)
    assert dark(10e6, 52) == pytest.approx(100 * K, abs=error)


def test_dark_current_has_shot_noise_but_dsnu_has_none() -> None:
    """The variance of dark frames does not depend on the pixel's offset: DSNU is not light."""
    camera = source(uniform_of(0))
    a, b = (pixels(camera, settings(frame)).astype(float) for frame in (0, 1))
    half_difference = (a - b) ** 2 / 2
    assert camera.fixed_pattern is not None
    high = camera.fixed_pattern.dsnu > 24
    low = camera.fixed_pattern.dsnu < -24
    ratio = half_difference[high].mean() / half_difference[low].mean()
    n = min(int(high.sum()), int(low.sum()))
    assert ratio == pytest.approx(1, abs=SIGMAS * sqrt(2) * sqrt(2 / n))


def test_dsnu_is_not_clipped_in_the_dark() -> None:
    camera = source(uniform_of(0))
    mean = np.mean([pixels(camera, settings(frame)) for frame in range(24)], axis=0, dtype=float)
    temporal = (K * K * (SENSOR.temporal_noise_e**2 + DARK_E) + 1 / 12) / 24
    dsnu = sqrt(mean.var() - temporal) / K
    assert dsnu == pytest.approx(SENSOR.dsnu_e, rel=SIGMAS * sqrt(1 / (2 * N)) * 3)
    skew = float((((mean - mean.mean()) / mean.std()) ** 3).mean())
    assert abs(skew) < SIGMAS * sqrt(6 / N)


def test_prnu_shows_in_the_light() -> None:
    electrons = 9000.0
    camera = source(uniform_of(electrons))
    a, b = (pixels(camera, settings(frame)).astype(float) for frame in (0, 1))
    both = ((a - a.mean()) * (b - b.mean())).mean()
    wanted = K * K * ((electrons * SENSOR.prnu_percent / 100) ** 2 + SENSOR.dsnu_e**2)
    error = sqrt(2 / N) * (wanted + K * K * electrons)
    assert both == pytest.approx(wanted, abs=SIGMAS * error)


def without_pattern(electrons: float, frames: int, **changes: float) -> npt.NDArray[np.float64]:
    camera = source(uniform_of(electrons))
    camera.fixed_pattern = no_pattern(WIDTH, HEIGHT)
    return np.array([pixels(camera, settings(frame, **changes)) for frame in range(frames)], float)


@pytest.mark.parametrize("electrons", [12.0, 30.0, 300.0])
def test_distribution_is_poisson_and_gauss(electrons: float) -> None:
    """Skewness and quantiles against a million draws of numpy's Poisson and normal generators."""
    frames = without_pattern(electrons, 2, gain_db=12.0)
    x = ((frames - frames.mean()) / frames.std()).ravel()
    rng = np.random.default_rng(7)
    exact = rng.poisson(electrons + DARK_E, 2 * N) + rng.normal(0, read_noise_e(12.0), 2 * N)
    exact = np.rint(64 + exact * K * 10 ** (12 / 20))
    y = (exact - exact.mean()) / exact.std()
    error = sqrt(6 / x.size) * sqrt(2)
    assert (x**3).mean() == pytest.approx((y**3).mean(), abs=SIGMAS * error)
    for p in (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99):
        at = np.quantile(exact, p) + 0.5
        share = (frames <= at).mean()
        wanted = (exact <= at).mean()
        sampling = sqrt(2 * p * (1 - p) / x.size)
        steps = 0.002  # a polynomial of four bytes is that close to a normal distribution
        assert share == pytest.approx(wanted, abs=SIGMAS * sampling + steps)


def test_tails_reach_beyond_three_and_a_half_sigma() -> None:
    x = without_pattern(1000, 2).ravel()
    z = (x - x.mean()) / x.std()
    assert z.min() < -3.5
    assert z.max() > 3.5
    expected = 2 * NormalDist().cdf(-3) * z.size
    assert (np.abs(z) > 3).sum() == pytest.approx(expected, rel=0.15)


def correlation(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    return float(((a - a.mean()) * (b - b.mean())).mean() / (a.std() * b.std()))


def test_frames_are_independent() -> None:
    frames = without_pattern(2000, 4)
    for lag in (1, 2, 3):
        assert abs(correlation(frames[0], frames[lag])) < SIGMAS / sqrt(N)


def test_pixels_are_independent() -> None:
    frame = without_pattern(2000, 1)[0]
    for dy, dx in ((0, 1), (0, 2), (0, 8), (1, 0), (2, 0), (1, 1), (0, 256)):
        a, b = frame[: HEIGHT - dy, : WIDTH - dx], frame[dy:, dx:]
        assert abs(correlation(a, b)) < SIGMAS / sqrt(a.size)


def test_no_shift_of_one_frame_resembles_another() -> None:
    """The highest of all N circular cross-correlations is what white noise would give."""
    a, b = (f - f.mean() for f in without_pattern(2000, 2))
    cross = np.fft.irfft2(np.fft.rfft2(a) * np.conj(np.fft.rfft2(b)), a.shape) / (N * a.std() * b.std())
    highest_of_n = -NormalDist().inv_cdf(0.0005 / N)
    assert np.abs(cross).max() < highest_of_n / sqrt(N)


def test_rows_and_columns_have_no_common_noise() -> None:
    frame = without_pattern(2000, 1)[0]
    for axis, n in ((0, HEIGHT), (1, WIDTH)):
        means = frame.mean(axis=axis)
        ratio = means.var() * n / frame.var()
        assert ratio == pytest.approx(1, abs=SIGMAS * sqrt(2 / means.size))


def test_overexposed_pixels_are_white_without_noise() -> None:
    for gain_db in (0.0, 48.0):
        assert (pixels(source(uniform_of(40000)), settings(0, gain_db=gain_db)) == 4095).all()


def test_less_than_one_electron_of_read_noise_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^read noise 0.5 e- is below 1 e-, the engine's limit$"):
        noise.units_per_e(0.5)
