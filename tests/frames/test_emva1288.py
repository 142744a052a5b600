"""Raw Mono12 frames of every sensor give EMVA 1288's reference implementation the figures of the sensor file;
frames that are wrong in any of the usual ways do not.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from frames import noise
from frames.scene import Uniform
from frames.sensor import load_sensor
from frames.source import FrameSettings, FrameSource
from tests.emva import Found, Pixels, Plan, Shot, characterise, disagreements
from tests.frames.cameras import no_pattern, render

WIDTH, HEIGHT = 640, 480
SENSORS = ("imx255", "imx267", "imx304", "imx304-vcxg", "imx412", "generic-color")


class Bench:
    """A sensor under even light of its reference wavelength; of colour sensors the green pixels are judged."""

    def __init__(self, name: str, gain_db: float = 0.0) -> None:
        self.sensor = load_sensor(name)
        self.gain_db = gain_db
        self.step = 1 if self.sensor.colour == "mono" else 2
        self.green_x = int(self.sensor.colour == "RG")
        self.width, self.height = WIDTH * self.step, HEIGHT * self.step
        scene = Uniform(nm=self.sensor.wavelength_nm)
        self.source = FrameSource(self.sensor, scene, seed=5, width=self.width, height=self.height)
        self.black_dn = max(32.0, self.sensor.black_level_dn12)

    def plan(self, **changes: Any) -> Plan:
        return Plan(self.sensor.saturation_e / self.sensor.quantum_efficiency, **changes)

    def grab(self, shot: Shot) -> npt.NDArray[np.uint16]:
        self.source.scene.photons = shot.photons / (shot.exposure_us * 1e-6)
        s = FrameSettings(
            frame=shot.index,
            time_s=0.0,
            exposure_us=shot.exposure_us,
            gain_db=self.gain_db,
            black_level_dn12=self.black_dn,
            offset_x=0,
            offset_y=0,
            width=self.width,
            height=self.height,
            pixel_format="Mono12",
        )
        picture = render(self.source, s).view("<u2").reshape(self.height, self.width)
        return np.ascontiguousarray(picture[:: self.step, self.green_x :: self.step])


@cache
def found(name: str) -> Found:
    bench = Bench(name)
    return characterise(bench.grab, bench.plan())


@pytest.mark.parametrize("name", SENSORS)
def test_reference_finds_the_figures_of_the_sensor(name: str) -> None:
    assert disagreements(found(name), load_sensor(name)) == []


def test_gain_multiplies_k_and_lowers_the_read_noise() -> None:
    """At 18 dB the IMX412 has 7.94 times the K, an eighth of the saturation and 1.7 e- of read noise."""
    bench = Bench("imx412", gain_db=18.0)
    gain = 0.47 * 10 ** (18 / 20)
    noise_e = (1.5**2 + (3.0**2 - 1.5**2) / 10**1.8) ** 0.5
    end_e = (4095 - bench.black_dn) / gain
    saturation_e = end_e - 2.9 * end_e**0.5
    wanted = replace(
        bench.sensor, conversion_gain_dn12_per_e=gain, temporal_noise_e=noise_e, saturation_e=saturation_e
    )
    plan = Plan(saturation_e / 0.6, dark_exposures_us=(1e4, 4e6, 8e6, 12e6))
    assert disagreements(characterise(bench.grab, plan), wanted) == []


def test_what_baumer_prints() -> None:
    """2 e-, 9500 e-, 71 dB, 40 dB, 67.3 % at 536 nm."""
    vcxg = found("imx304-vcxg")
    assert round(vcxg.dark_noise_e) == 2
    assert vcxg.saturation_e == pytest.approx(9500, rel=0.015)
    assert round(vcxg.dynamic_range_db) == 71
    assert round(vcxg.snr_max_db) == 40
    assert vcxg.quantum_efficiency == pytest.approx(0.673, rel=0.005)


Breaker = Callable[[Bench, pytest.MonkeyPatch], Callable[[Shot], Pixels]]


def loud(bench: Bench, patch: pytest.MonkeyPatch) -> Callable[[Shot], Pixels]:
    """Temporal noise 5 % too high."""
    units_per_e, physics = noise.units_per_e, bench.source._physics

    def louder(*of_frame: Any) -> npt.NDArray[np.float32]:
        vector = physics(*of_frame)
        vector[noise.TWICE] *= 1.05**2
        return vector

    patch.setattr(noise, "units_per_e", lambda read_noise_e: units_per_e(1.05 * read_noise_e))
    patch.setattr(bench.source, "_physics", louder)
    return bench.grab


def stuck(bench: Bench, patch: pytest.MonkeyPatch) -> Callable[[Shot], Pixels]:
    """Every frame has the same noise."""
    return lambda shot: bench.grab(replace(shot, index=0))


def even(bench: Bench, patch: pytest.MonkeyPatch) -> Callable[[Shot], Pixels]:
    """No fixed pattern."""
    bench.source.fixed_pattern = no_pattern(bench.width, bench.height)
    return bench.grab


def bent(bench: Bench, patch: pytest.MonkeyPatch) -> Callable[[Shot], Pixels]:
    """Gamma 0.97 above black."""

    def grab(shot: Shot) -> Pixels:
        above = np.maximum(bench.grab(shot) - bench.black_dn, 0) / 4000
        return np.rint(bench.black_dn + 4000 * above**0.97)

    return grab


@pytest.mark.parametrize(
    ("breaker", "complaints"),
    [
        (loud, ["gain K", "quantum efficiency"]),
        (stuck, ["gain K", "dark noise"]),
        (even, ["DSNU", "PRNU"]),
        (bent, ["linearity error"]),
    ],
)
def test_the_judge_finds_broken_cameras(
    breaker: Breaker, complaints: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench("imx255")
    report = disagreements(characterise(breaker(bench, monkeypatch), bench.plan()), bench.sensor)
    for complaint in complaints:
        assert any(line.startswith(complaint) for line in report), report
