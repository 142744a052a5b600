"""A camera characterised by the reference implementation of EMVA 1288 (PyPI `emva1288`), which shares no code
with the cameras here.

`characterise(grab, plan)` takes frames through any `grab(shot) -> pixels`, be it a frame source or a whole
camera behind a bus, and answers with what the standard finds. `disagreements` compares that with a sensor's
figures, one line for every one that is off.

The package predates numpy 2; `np.asfarray` is given back to it for the time of the analysis. Its frames are
handed over by its own loader, whose image reader is replaced by the grabber. Its search for saturation stops
within a noisy plateau, so the peak of the variance, which the standard means, is taken instead. Saturation
and the signal range for linearity follow from that.
"""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import log10, nan, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from frames.sensor import Sensor

Pixels = npt.NDArray[Any]


@dataclass(frozen=True)
class Shot:
    """One frame wanted: `photons` per pixel at the sensor's reference wavelength in `exposure_us`. `index`
    counts frames.
    """

    index: int
    photons: float
    exposure_us: float


@dataclass(frozen=True)
class Plan:
    """How much to measure. Points are dense near saturation."""

    saturation_photons: float
    exposure_us: float = 10000.0
    points: int = 49
    spatial_frames: int = 100
    dark_exposures_us: tuple[float, ...] = (1e4, 1e7, 2e7, 3e7, 4e7)

    def sweep(self) -> list[float]:
        dense = 16
        shares = [*np.linspace(0, 0.92, self.points - dense), *np.linspace(0.93, 1.08, dense)]
        return [float(s * self.saturation_photons) for s in shares]


@dataclass(frozen=True)
class Found:
    """What EMVA 1288 finds: DN/e-, fraction, e-, e-, dB, dB, e-, percent, percent, e-/s."""

    gain: float
    quantum_efficiency: float
    dark_noise_e: float
    saturation_e: float
    dynamic_range_db: float
    snr_max_db: float
    dsnu_e: float
    prnu_percent: float
    linearity_error_percent: float
    dark_current_e_per_s: float


@contextlib.contextmanager
def older_numpy() -> Iterator[None]:
    """What the package needs of numpy 1."""
    missing = not hasattr(np, "asfarray")
    if missing:
        np.asfarray = lambda a: np.asarray(a, np.float64)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        if missing:
            del np.asfarray


def characterise(grab: Callable[[Shot], Pixels], plan: Plan) -> Found:
    """Take the frames of the plan and analyse them."""
    with older_numpy(), tempfile.TemporaryDirectory() as directory:
        return _characterise(grab, plan, Path(directory))


def _characterise(grab: Callable[[Shot], Pixels], plan: Plan, directory: Path) -> Found:
    from emva1288.process import Data1288, LoadImageData, Results1288

    shots: dict[str, Shot] = {}

    def wanted(photons: float, count: int) -> list[str]:
        names = []
        for _ in range(count):
            name = str(directory / str(len(shots)))
            Path(name).touch()  # the loader wants the file to exist
            shots[name] = Shot(len(shots), photons, plan.exposure_us)
            names.append(name)
        return names

    ns = plan.exposure_us * 1000
    temporal = {ns: {photons: wanted(photons, 2) for photons in plan.sweep()}}
    levels = (0.0, 0.5 * plan.saturation_photons)
    spatial = {ns: {photons: wanted(photons, plan.spatial_frames) for photons in levels}}
    loaded = LoadImageData(
        {"temporal": temporal, "spatial": spatial}, fload=lambda name: grab(shots[name]).astype(np.int64)
    )
    with np.errstate(all="ignore"):
        results = Results1288(Data1288(loaded.data).data)
        results._index_u_ysat = int(np.argmax(results.temporal["s2_y"]))
        try:
            gain = float(results.K)
        except (ValueError, IndexError):  # no photon transfer curve at all: frames without temporal noise
            return Found(*[nan] * 10)
        return Found(
            gain=gain,
            quantum_efficiency=float(results.QE) / 100,
            dark_noise_e=float(results.sigma_d),
            saturation_e=float(results.u_e_sat),
            dynamic_range_db=float(results.DR_dB()),
            snr_max_db=float(results.SNR_max_dB()),
            dsnu_e=float(results.DSNU1288),
            prnu_percent=float(results.PRNU1288),
            linearity_error_percent=float(max(abs(results.LE_min), abs(results.LE_max))),
            dark_current_e_per_s=_dark_current(grab, plan, gain, len(shots)),
        )


def _dark_current(grab: Callable[[Shot], Pixels], plan: Plan, gain: float, first: int) -> float:
    """Slope of the mean dark signal over exposure time, from the mean (section 7.1 of the standard)."""
    if not plan.dark_exposures_us:
        return nan
    seconds = np.array(plan.dark_exposures_us) / 1e6
    shots = [Shot(first + k, 0.0, us) for k, us in enumerate(plan.dark_exposures_us)]
    return float(np.polyfit(seconds, [grab(s).mean() for s in shots], 1)[0] / gain)


def disagreements(found: Found, sensor: Sensor, exposure_us: float = 10000.0) -> list[str]:
    """Every figure that is not the sensor's within its tolerance. NaN is a disagreement.

    The standard counts the converter's rounding (1/12 DN^2) as dark noise in the dynamic range, and shot
    noise of the dark current in the dark noise.
    """
    dark_noise_e = sqrt(sensor.temporal_noise_e**2 + sensor.dark_current_e_per_s * exposure_us * 1e-6)
    threshold_e = sqrt(dark_noise_e**2 + 1 / 12 / sensor.conversion_gain_dn12_per_e**2) + 0.5
    within = [
        ("gain K", found.gain, sensor.conversion_gain_dn12_per_e, 0.005),
        ("quantum efficiency", found.quantum_efficiency, sensor.quantum_efficiency, 0.005),
        ("dark noise", found.dark_noise_e, dark_noise_e, 0.01),
        ("saturation", found.saturation_e, sensor.saturation_e, 0.015),
        ("DSNU", found.dsnu_e, sensor.dsnu_e, 0.01),
        ("PRNU", found.prnu_percent, sensor.prnu_percent, 0.01),
        ("dark current", found.dark_current_e_per_s, sensor.dark_current_e_per_s, 0.02),
    ]
    out = [
        f"{name} is {value:.4g}, should be {wanted:.4g} within {100 * share:g} %"
        for name, value, wanted, share in within
        if not abs(value - wanted) <= share * wanted
    ]
    dynamic_range_db = 20 * log10(sensor.saturation_e / threshold_e)
    if not abs(found.dynamic_range_db - dynamic_range_db) <= 0.2:
        out.append(f"dynamic range is {found.dynamic_range_db:.2f} dB, should be {dynamic_range_db:.2f} dB")
    if not found.linearity_error_percent < 0.1:
        out.append(f"linearity error is {found.linearity_error_percent:.3f} %, should be below 0.1 %")
    return out
