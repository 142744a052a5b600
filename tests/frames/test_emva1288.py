"""The camera is characterised by the reference implementation of EMVA 1288 (PyPI `emva1288`), which shares no
code with it: from raw Mono12 frames it must find the figures of the sensor file.

The package predates numpy 2; `np.asfarray` is given back to it for the time of the test. Its frames are
handed over by its own loader, whose image reader is replaced by the renderer.
"""

from math import log10, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from frames.scene import Uniform
from tests.frames.cameras import EXPOSURE_US, SENSOR, pixels, settings, source

WIDTH, HEIGHT = 480, 320
LEVELS = 49
SPATIAL_FRAMES = 60
BLACK_DN = 32.0


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np, "asfarray", lambda a: np.asarray(a, np.float64), raising=False)
        from emva1288.process import Data1288, LoadImageData, Results1288

        saturation_photons = SENSOR.saturation_e / SENSOR.quantum_efficiency
        sweep = [*np.linspace(0, 0.92, LEVELS - 16), *np.linspace(0.93, 1.08, 16)]
        temporal = {float(s * saturation_photons): 2 for s in sweep}
        spatial = {0.0: SPATIAL_FRAMES, 0.5 * saturation_photons: SPATIAL_FRAMES}
        scene = Uniform(photons=0)
        camera = source(scene, seed=3, width=WIDTH, height=HEIGHT)
        shots: dict[str, tuple[float, int]] = {}
        directory = tmp_path_factory.mktemp("emva")
        images: dict[str, Any] = {}
        for kind, plan in (("temporal", temporal), ("spatial", spatial)):
            by_photons: dict[float, list[str]] = {}
            for photons, count in plan.items():
                for _ in range(count):
                    name = str(directory / str(len(shots)))
                    Path(name).touch()  # the loader wants the file to exist
                    shots[name] = photons, len(shots)
                    by_photons.setdefault(photons, []).append(name)
            images[kind] = {EXPOSURE_US * 1000: by_photons}

        def grab(name: str) -> Any:
            photons, frame = shots[name]
            camera.scene = Uniform(photons=photons / (EXPOSURE_US * 1e-6))
            s = settings(frame, width=WIDTH, height=HEIGHT, black_level_dn12=BLACK_DN)
            return pixels(camera, s).astype(np.int64)

        loaded = LoadImageData(images, fload=grab)
        found = Results1288(Data1288(loaded.data).data)
        found._index_u_ysat = int(np.argmax(found.temporal["s2_y"]))
        yield found


def test_gain(results: Any) -> None:
    gain = results.K
    assert gain == pytest.approx(SENSOR.conversion_gain_dn12_per_e, rel=0.006)


def test_quantum_efficiency(results: Any) -> None:
    qe_percent = results.QE
    assert qe_percent == pytest.approx(100 * SENSOR.quantum_efficiency, rel=0.006)


def test_dark_noise(results: Any) -> None:
    assert results.sigma_d == pytest.approx(dark_noise_e(), rel=0.015)


def test_fixed_pattern(results: Any) -> None:
    dsnu_e = results.DSNU1288
    assert dsnu_e == pytest.approx(SENSOR.dsnu_e, rel=0.02)
    prnu_percent = results.PRNU1288
    assert prnu_percent == pytest.approx(SENSOR.prnu_percent, rel=0.02)


def test_linearity(results: Any) -> None:
    assert abs(results.LE_min) < 0.03
    assert abs(results.LE_max) < 0.03


def test_saturation(results: Any) -> None:
    """EMVA's saturation is the variance peak, about 3 sigma below where the converter ends."""
    end_e = (4095 - BLACK_DN) / SENSOR.conversion_gain_dn12_per_e
    assert results.u_e_sat == pytest.approx(end_e - 3 * sqrt(end_e), rel=0.015)


def test_dynamic_range_and_signal_to_noise(results: Any) -> None:
    """The reference adds the converter's rounding to the dark noise; the printed 71.3 dB does not."""
    rounding_e2 = 1 / 12 / SENSOR.conversion_gain_dn12_per_e**2
    threshold_e = sqrt(dark_noise_e() ** 2 + rounding_e2) + 0.5
    assert results.DR_dB() == pytest.approx(20 * log10(results.u_e_sat / threshold_e), abs=0.1)
    assert results.DR_dB() == pytest.approx(71.3, abs=0.9)
    assert results.SNR_max_dB() == pytest.approx(40.3, abs=0.3)


def dark_noise_e() -> float:
    return sqrt(SENSOR.temporal_noise_e**2 + SENSOR.dark_current_at(45) * EXPOSURE_US * 1e-6)
