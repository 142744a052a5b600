"""Optics and colour through the whole camera, judged by methods and data of others: the slanted edge by ISO 12233's
method, the colour chart by the colour-science package and its spectra, rolling shutter and lamps by geometry.

Every judge also sees a camera that is wrong on purpose, and must say so.
"""

import math
import tomllib
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import colour
import numpy as np
import numpy.typing as npt
import pytest

from frames import spectra
from gadget import VirtualCamera
from tests.iso12233 import frequency_response

pytestmark = pytest.mark.patient
Floats = npt.NDArray[np.float64]


def printed(sensor: str, *sections: str) -> dict[str, Any]:
    """Figures of a sensor's file, read without the project's code."""
    table = tomllib.loads((files("frames") / "sensors" / f"{sensor}.toml").read_text())
    return {key: entry["value"] for section in sections for key, entry in table[section].items()}


def mean_of(camera: VirtualCamera, count: int) -> Floats:
    total: Floats = np.mean([frame.pixels.astype(float) for frame in camera.grab(count)], axis=0)
    return total


# --- the slanted edge ---

TURN_DEG = 5.0
BLACK_DN = 64


def edge_response(defocus_px: float) -> tuple[Floats, Floats, float]:
    scene = f"edge:angle={TURN_DEG},dark=0.05,photons=1.2e6,defocus={defocus_px:g}"
    region = {"Width": 256, "Height": 480, "OffsetX": 2048 - 128, "OffsetY": 1084 - 240}
    camera = VirtualCamera("acA4096-40um", scene=scene, PixelFormat="Mono12", ExposureTime=5000, **region)
    with camera:
        return frequency_response(mean_of(camera, 24) - BLACK_DN)


def expected_response(f: Floats, turn: float, defocus_px: float) -> Floats:
    """Pixel aperture x charge spread x the lens's Gaussian, at f cycles/pixel across an edge turned by `turn`."""
    along = f * math.cos(turn), f * math.sin(turn)
    part = printed("imx255", "light")["charge_spread_percent"] / 100
    response = np.exp(-2 * (math.pi * defocus_px * f) ** 2)
    for g in along:
        response = response * np.sinc(g) * (1 - 2 * part * (1 - np.cos(2 * math.pi * g)))
    return response


@pytest.mark.parametrize("defocus_px", [0.0, 0.5, 1.0])
def test_the_edge_has_the_stated_response(defocus_px: float) -> None:
    f, response, turn = edge_response(defocus_px)
    assert abs(math.degrees(turn)) == pytest.approx(TURN_DEG, abs=0.02)
    assert response == pytest.approx(expected_response(f, turn, defocus_px), abs=0.01)


def test_a_lens_ten_percent_worse_is_seen() -> None:
    f, response, turn = edge_response(0.5 * 1.1)
    assert np.abs(response - expected_response(f, turn, 0.5)).max() > 0.02


def test_charge_that_wanders_twice_as_far_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    from frames import light

    right = light.spread
    monkeypatch.setattr(light, "spread", lambda picture, part, beyond: right(picture, 2 * part, beyond))
    f, response, turn = edge_response(0.0)
    assert np.abs(response - expected_response(f, turn, 0.0)).max() > 0.015


# --- the colour chart ---

CAMERAS = {
    "U3V-Color": ("generic-color", "BayerRG12p", "RG"),
    "IDS-IMX412": ("imx412", "BayerGR12g24IDS", "GR"),
}
PHOTONS = 1.5e6
EXPOSURE_S = 0.004
STEP_NM = 1
BAND = colour.SpectralShape(400, 700, STEP_NM)
PLACES = {
    "RG": {"R": [(0, 0)], "G": [(0, 1), (1, 0)], "B": [(1, 1)]},
    "GR": {"R": [(0, 1)], "G": [(0, 0), (1, 1)], "B": [(1, 0)]},
}


def chart_spectra() -> list[Floats]:
    chart = list(colour.SDS_COLOURCHECKERS["BabelColor Average"].values())[:24]
    return [sd.copy().align(BAND).values for sd in chart]


def lamp(name: str) -> tuple[Floats, Floats]:
    """Power and photons of an illuminant by wavelength; as many photons as one, in all."""
    power = (
        np.ones(len(BAND.wavelengths))
        if name == "E"
        else colour.SDS_ILLUMINANTS[name].copy().align(BAND).values
    )
    photons = power * BAND.wavelengths
    return power, photons / photons.sum()


def expected_electrons(sensor: str, illuminant: str) -> Floats:
    """Electrons per pixel of each patch: float64 (24, 3), from spectra, lamp, filter curves and quantum efficiency."""
    curves = printed(sensor, "spectrum")
    channels = np.array(
        [np.interp(BAND.wavelengths, *np.array(curves[name]).T) for name in ("red", "green", "blue")]
    )
    efficiency = printed(sensor, "light")["quantum_efficiency"]
    _, photons = lamp(illuminant)
    return PHOTONS * EXPOSURE_S * efficiency * (np.array(chart_spectra()) * photons) @ channels.T


def seen_electrons(model: str, illuminant: str) -> Floats:
    """What the camera makes of the chart, float64 (24, 3)."""
    sensor, pixel_format, mosaic = CAMERAS[model]
    adc, dark = printed(sensor, "adc"), printed(sensor, "dark")
    scene = f"colorchecker:illuminant={illuminant},photons={PHOTONS:g}"
    with VirtualCamera(model, scene=scene, PixelFormat=pixel_format, ExposureTime=EXPOSURE_S * 1e6) as camera:
        frame = mean_of(camera, 4)
        black = camera.grab().settings.get("BlackLevel", adc["black_level_dn12"])
    height, width = frame.shape
    means = np.empty((24, 3))
    for patch in range(24):
        y, x = (patch // 6 + 0.5) * height / 4, (patch % 6 + 0.5) * width / 6
        top, left = int(y - height / 10) // 2 * 2, int(x - width / 16) // 2 * 2
        part = frame[top : top + height // 10 * 2, left : left + width // 16 * 2]
        for channel, places in enumerate(PLACES[mosaic].values()):
            means[patch, channel] = np.mean([part[dy::2, dx::2].mean() for dy, dx in places])
    return (means - black) / adc["conversion_gain_dn12_per_e"] - dark["dark_current_e_per_s"] * EXPOSURE_S


def colour_differences(model: str, illuminant: str, electrons: Floats) -> Floats:
    """CIE dE 2000 of each patch between what the camera saw and what it must see, both brought to XYZ by the matrix
    that suits this sensor best."""
    wanted = expected_electrons(CAMERAS[model][0], illuminant)
    cmfs = colour.MSDS_CMFS["CIE 1931 2 Degree Standard Observer"].copy().align(BAND).values
    power, _ = lamp(illuminant)
    white = power @ cmfs
    true = np.array([(spectrum * power) @ cmfs for spectrum in chart_spectra()]) / white[1]
    matrix, *_ = np.linalg.lstsq(wanted, true, rcond=None)
    white_xy = colour.XYZ_to_xy(white / white[1])
    first, second = (colour.XYZ_to_Lab(np.clip(e @ matrix, 0, None), white_xy) for e in (wanted, electrons))
    return np.asarray(colour.delta_E(first, second, method="CIE 2000"))


@pytest.mark.parametrize("illuminant", ["D65", "A"])
@pytest.mark.parametrize("model", CAMERAS)
def test_24_patches_have_their_colours(model: str, illuminant: str) -> None:
    electrons = seen_electrons(model, illuminant)
    assert electrons == pytest.approx(expected_electrons(CAMERAS[model][0], illuminant), rel=0.01, abs=2)
    assert colour_differences(model, illuminant, electrons).max() < 1


Spoil = Callable[[Floats], Floats]


@pytest.mark.parametrize("spoil", [lambda s: s[:, ::-1], lambda s: s * [1, 1, 1.05]], ids=["swapped", "blue"])
def test_wrong_colours_are_seen(spoil: Spoil, monkeypatch: pytest.MonkeyPatch) -> None:
    right = spectra.chart_signals
    spoilt = lambda *given: spoil(right(*given)).astype(np.float32)  # noqa: E731
    monkeypatch.setattr(spectra, "chart_signals", spoilt)
    electrons = seen_electrons("U3V-Color", "D65")
    assert colour_differences("U3V-Color", "D65", electrons).max() > 1


# --- rows at their time ---

LINE_S = printed("imx412", "timing")["line_time_us"] * 1e-6


def test_rolling_shutter_leans_what_moves_by_the_row() -> None:
    """A bar that crosses 20,000 pixels in a second leans by that times the line time for each row."""
    speed = 20_000
    scene = f"bar:background=0,bar_width=300,speed={speed},photons=2e8"
    with VirtualCamera("IDS-IMX412", scene=scene, PixelFormat="BayerGR12g24IDS", ExposureTime=32) as camera:
        light = camera.grab().pixels[1::2, 1::2].astype(float)  # green pixels of every second row
    lit = light > (light.max() + np.median(light)) / 2
    rows = np.flatnonzero(lit.any(axis=1) & ~lit[:, 0] & ~lit[:, -1])
    assert len(rows) > 1000
    left = 2 * lit[rows].argmax(axis=1)
    slope = np.polyfit(2 * rows, left, 1)[0]
    assert slope * 3040 == pytest.approx(speed * LINE_S * 3040, abs=1)


def bands(model: str, pixel_format: str, exposure_us: float) -> tuple[Floats, Floats]:
    """Mean of each row of two frames, and when they began, s."""
    scene = "uniform:flicker=0.4,flicker_hz=100,photons=3e6"
    with VirtualCamera(model, scene=scene, PixelFormat=pixel_format, ExposureTime=exposure_us) as camera:
        frames = camera.grab(2)
    return np.array([f.pixels.mean(axis=1) for f in frames]), np.array(
        [f.timestamp_ns * 1e-9 for f in frames]
    )


def test_a_lamps_flicker_makes_bands_to_the_row() -> None:
    period_rows = 1 / 100 / LINE_S
    means, began = bands("IDS-IMX412", "BayerGR12g24IDS", 2000)
    rows = np.arange(means.shape[1])
    pairs = means.reshape(2, -1, 2).mean(axis=2)  # rows of a Bayer pattern differ: two by two
    middle = rows.reshape(-1, 2).mean(axis=1)
    phases = []
    for frame in pairs:
        candidates = np.linspace(0.98, 1.02, 401) * period_rows
        waves = [
            np.column_stack(
                [np.sin(2 * np.pi * middle / p), np.cos(2 * np.pi * middle / p), np.ones(len(middle))]
            )
            for p in candidates
        ]
        left = [np.linalg.lstsq(w, frame, rcond=None)[1][0] for w in waves]
        assert candidates[int(np.argmin(left))] == pytest.approx(period_rows, abs=1)
        sine, cosine, _ = np.linalg.lstsq(waves[200], frame, rcond=None)[0]
        phases.append(math.atan2(cosine, sine))
    moved_rows = (phases[1] - phases[0]) / (2 * np.pi) * period_rows
    wanted_rows = (began[1] - began[0]) / LINE_S
    apart = (moved_rows - wanted_rows) % period_rows
    assert min(apart, period_rows - apart) < 1


def test_a_global_shutter_has_no_bands() -> None:
    means, _ = bands("acA4096-40um", "Mono12", 2000)
    assert (means.std(axis=1) / means.mean(axis=1)).max() < 0.001
