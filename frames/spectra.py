"""Spectra: what a lamp sends, what a patch of a colour chart sends back, and what a camera's channels get of that.

The tables are in `spectra.toml`, from 400 to 700 nm, with their sources.
"""

import tomllib
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt

ILLUMINANTS = ("D65", "A", "E")
BAND_NM = np.arange(402.5, 700, 5)


@cache
def _tables() -> dict[str, Any]:
    return tomllib.loads((files("frames") / "spectra.toml").read_text(encoding="utf-8"))


def _by_band(values: list[float]) -> npt.NDArray[np.float64]:
    banded: npt.NDArray[np.float64] = np.interp(BAND_NM, _tables()["wavelengths_nm"], values)
    return banded


def lamp_photons(illuminant: str) -> npt.NDArray[np.float64]:
    """Photons of an illuminant at each of `BAND_NM`, float64 (n,), their sum 1. Tables give power: a photon of
    twice the wavelength carries half of it."""
    power = np.ones(len(BAND_NM)) if illuminant == "E" else _by_band(_tables()["illuminants"][illuminant])
    photons: npt.NDArray[np.float64] = power * BAND_NM / (power @ BAND_NM)
    return photons


def chart_signals(illuminant: str, response: Callable[[float], tuple[float, ...]]) -> npt.NDArray[np.float32]:
    """What each channel of a camera gets of the 24 patches of a colour chart and, last, of the black between them:
    float32 (25, channels), in parts of the lamp's photons of 400 .. 700 nm. `response(nm)`: as `Sensor.response`."""
    table = _tables()["reflectances"]
    patches = [_by_band(patch) for patch in table["patches"]] + [np.full(len(BAND_NM), table["black"])]
    channels = np.array([response(float(nm)) for nm in BAND_NM])
    signals: npt.NDArray[np.float32] = (
        np.array(patches) @ (lamp_photons(illuminant)[:, None] * channels)
    ).astype(np.float32)
    return signals
