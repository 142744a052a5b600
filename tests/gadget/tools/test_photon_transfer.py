"""`u3v ptc`: our photon transfer against EMVA 1288's reference implementation, and against the sensors' sheets."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from frames.sensor import load_sensor
from gadget.tools.photon_transfer import (
    Figures,
    PhotonTransfer,
    Point,
    compare,
    evaluate,
    pair_statistics,
    photon_transfer,
)
from tests.emva import older_numpy
from u3v.errors import Mistake

Frames = dict[tuple[float, float], list[npt.NDArray[np.int64]]]
EXPOSURES_US = [100.0 * n for n in range(1, 60)]
PHOTONS_PER_US = 3.0


def textbook_camera(dark_noise_e: float = 4.0, dark_e_per_us: float = 0.004) -> Frames:
    """Frames by exposure time and photons of a camera in ten lines: K = 0.4, 60 %, pixels full at 9000 e-."""
    random = np.random.default_rng(1288)
    pattern = 1 + 0.01 * random.standard_normal((120, 160))
    frames: Frames = {}
    for exposure_us in EXPOSURES_US:
        for photons in (0.0, PHOTONS_PER_US * exposure_us):
            electrons = 0.6 * photons * pattern + dark_e_per_us * exposure_us
            seen = np.minimum(random.poisson(electrons, (2, *pattern.shape)), 9000)
            dn = 0.4 * (seen + dark_noise_e * random.standard_normal(seen.shape)) + 40
            frames[exposure_us, photons] = list(np.clip(np.rint(dn), 0, 4095).astype(np.int64))
    return frames


def ours(frames: Frames) -> Figures:
    return evaluate(
        [
            Point(
                exposure_us,
                PHOTONS_PER_US * exposure_us,
                *pair_statistics(*frames[exposure_us, PHOTONS_PER_US * exposure_us]),
                *pair_statistics(*frames[exposure_us, 0.0]),
            )
            for exposure_us in EXPOSURES_US
        ]
    )


def reference(frames: Frames, folder: Path) -> Any:
    """What the package `emva1288` makes of the same frames; its search for the peak is replaced as in tests.emva."""
    from emva1288.process import Data1288, LoadImageData, Results1288

    images: dict[str, npt.NDArray[np.int64]] = {}
    temporal: dict[float, dict[float, list[str]]] = {}
    for (exposure_us, photons), pair in frames.items():
        names = [str(folder / f"{exposure_us}-{photons}-{k}") for k in (0, 1)]
        images |= zip(names, pair, strict=True)
        for name in names:
            Path(name).touch()  # the loader wants the file to exist
        temporal.setdefault(exposure_us * 1000, {})[photons] = names
    spatial = dict([next(iter(temporal.items()))])
    loaded = LoadImageData({"temporal": temporal, "spatial": spatial}, fload=images.__getitem__)
    results = Results1288(Data1288(loaded.data).data)
    results._index_u_ysat = int(np.argmax(results.temporal["s2_y"]))
    return results


def test_it_finds_what_the_reference_finds(tmp_path: Path) -> None:
    frames = textbook_camera()
    found = ours(frames)
    with older_numpy():
        judge = reference(frames, tmp_path)
        wanted = Figures(
            gain_dn_per_e=float(judge.K),
            quantum_efficiency=float(judge.QE) / 100,
            dark_noise_e=float(judge.sigma_d),
            saturation_e=float(judge.u_e_sat),
            snr_max_db=float(judge.SNR_max_dB()),
            dynamic_range_db=float(judge.DR_dB()),
            fitted=int(judge.index_sensitivity_max) + 1,
            saturated=judge.index_u_ysat,
        )
    for name in Figures.__slots__:
        assert getattr(found, name) == pytest.approx(getattr(wanted, name), rel=1e-6), name
    assert found.gain_dn_per_e == pytest.approx(0.4, rel=0.005)
    assert found.dark_noise_e == pytest.approx(4.0, rel=0.02)


def test_rounding_hides_a_small_dark_noise() -> None:
    """The standard's floor: 0.24 DN^2, whatever is behind it."""
    found = ours(textbook_camera(dark_noise_e=0.3, dark_e_per_us=0.0))
    assert found.dark_noise_e == pytest.approx((0.24 - 1 / 12) ** 0.5 / 0.4, rel=0.01)


def points(variances: Sequence[float]) -> list[Point]:
    return [Point(n, n, 10 + n, variance, 10, 0.5) for n, variance in enumerate(variances)]


@pytest.mark.parametrize(
    "variances",
    [[0.5] * 30, [0.5 + n for n in range(30)], [9.0, 0.5, 0.5, 0.5], [0.0] * 30],
    ids=["noise that does not rise", "no saturation", "dark frames only", "frames all alike"],
)
def test_without_a_curve_there_are_no_figures(variances: list[float]) -> None:
    with pytest.raises(Mistake, match="there is no photon transfer curve"):
        evaluate(points(variances))


@cache
def measured(camera: str) -> PhotonTransfer:
    return photon_transfer(camera)


CLOSE = {
    "system gain K": 0.4,
    "quantum efficiency": 0.4,
    "temporal dark noise": 1.0,
    "saturation capacity": 1.5,
    "largest signal to noise": 0.1,
    "dynamic range": 0.15,
}
"""Percent, dB."""


@pytest.mark.parametrize(
    "camera",
    [
        "acA4096-40um",
        "acA4096-11gm",
        "acA4112-8gm",
        "VCXG-124M",
        "IDS-IMX412:Width=636,Height=480",
        "U3V-Color",
        "acA4096-40um:Gain=12,PixelFormat=Mono12p",
        "acA4096-40um:PixelFormat=Mono10",
        "IDS-IMX412:Gain=4,Width=636,Height=480",
    ],
)
def test_every_camera_has_the_figures_of_its_sheet(camera: str) -> None:
    curve = measured(camera)
    off = [c.line() for c in curve.comparisons if not abs(c.deviation) <= CLOSE[c.name]]
    assert [c.name for c in curve.comparisons] == list(CLOSE)
    assert off == []


def test_the_sheet_is_said_to_be_printed_or_not() -> None:
    kinds = {c.name: c.kind for c in measured("VCXG-124M").comparisons}
    assert kinds["saturation capacity"] == "printed"
    assert kinds["system gain K"] == "measured"
    amplified = measured("acA4096-40um:Gain=12,PixelFormat=Mono12p")
    assert amplified.gain_db == 12
    assert {c.kind for c in amplified.comparisons} == {"printed", "computed"}


def test_a_camera_that_is_not_its_sheet_deviates() -> None:
    sensor = load_sensor("imx255")
    curve = measured("acA4096-40um")
    other = replace(sensor, conversion_gain_dn12_per_e=0.3, temporal_noise_e=4.8)
    off = {c.name: c.deviation for c in compare(curve.figures, other, 0.0, 12, 32.0)}
    assert off["system gain K"] == pytest.approx(100 * (0.369 / 0.3 - 1), abs=0.5)
    assert off["temporal dark noise"] == pytest.approx(-50, abs=0.5)
    assert off["dynamic range"] > 4


def test_the_curve_covers_darkness_and_saturation() -> None:
    curve = measured("acA4096-40um")
    exposures = [p.exposure_us for p in curve.points]
    assert exposures == sorted(set(exposures)) and len(exposures) == 49
    assert curve.points[0].signal_dn < 12
    peak = curve.points[curve.figures.saturated]
    assert curve.points[-1].variance_dn2 < 0.05 * peak.variance_dn2
    assert curve.points[-1].snr is None or curve.points[-1].snr > 1000
    assert photon_transfer("acA4096-40um:Width=64,Height=64", points=28) == photon_transfer(
        "acA4096-40um:Width=64,Height=64", points=28
    )


def test_the_command(tmp_path: Path) -> None:
    picture = tmp_path / "ptc.png"
    command = [sys.executable, "-m", "gadget", "ptc", "acA4096-40um:Width=160,Height=120"]
    done = subprocess.run(
        [*command, "--json", "-o", str(picture)], capture_output=True, text=True, check=True
    )
    made = json.loads(done.stdout)
    assert made["figures"]["gain_dn_per_e"] == pytest.approx(0.369, rel=0.02)
    assert {"name", "measured", "sheet", "unit", "deviation", "kind"} <= set(made["sheet"][0])
    assert len(made["points"]) == 49
    assert "NaN" not in done.stdout
    with Image.open(picture) as image:
        assert image.size[0] == 1000
    table = subprocess.run([*command, "--points", "28"], capture_output=True, text=True, check=True).stdout
    assert "temporal dark noise" in table and "Mono12, 160x120" in table
    wrong = subprocess.run([*command, "-o", "x.xyz"], capture_output=True, text=True, check=False)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr == "u3v: x.xyz: a plot is a file such as plot.png, plot.svg or plot.pdf\n"


def test_colours_that_the_camera_has_mixed_are_refused() -> None:
    with pytest.raises(Mistake, match=r"PixelFormat=RGB8 is not raw: .* takes BayerRG8 or BayerRG12p"):
        photon_transfer("U3V-Color:PixelFormat=RGB8")


def test_too_few_points_are_refused() -> None:
    with pytest.raises(Mistake, match="5 points: a photon transfer curve takes 28 at least"):
        photon_transfer("acA4096-40um", points=5)
