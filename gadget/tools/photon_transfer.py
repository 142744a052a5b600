"""The photon transfer curve of a whole camera, by the method of EMVA 1288 (release 4.0, linear cameras).

A camera is lit evenly at its sensor's reference wavelength. At each of a series of exposure times two frames are
taken with the light on and two with it off. The two frames of a pair differ by their temporal noise only, so half
the variance of their difference is that noise, whatever the fixed pattern. Noise against signal is the photon
transfer curve: photons arrive with a variance equal to their mean, so its slope is the gain K in DN per electron, and
from K follow the electrons behind every other number.

The frames come through the camera as any host gets them: features over GenCP, software triggers, the stream, packed
pixels; on a simulated clock, so a run takes seconds and is the same each time. Of colour sensors the green pixels of
one kind are judged. `evaluate` is the method alone, on points from any camera.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import ceil, log10, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from frames.packing import unpack
from frames.patterns import Uniform
from frames.sensor import Sensor
from gadget.catalogue import find_model
from gadget.feature_text import parse_camera
from gadget.runner import CameraSpec
from gadget.tools.simulated_host import simulated_host
from u3v.errors import Mistake, U3VError
from u3v.host.client import U3VClient
from u3v.host.nodes import DeviceNodes
from u3v.host.stream import StreamReader
from u3v.model import Model
from u3v.wire.pfnc import PIXEL_FORMATS

Pixels = npt.NDArray[np.uint16]
WIDTH, HEIGHT = 640, 480
"""Pixels that are judged, where the settings do not say otherwise."""
BLACK_LEVEL = 32.0
"""In DN at 12 bit: high enough that no dark pixel is cut off at 0, which would hide its noise."""
SATURATES_AFTER_US = 10_000.0
"""The light is chosen so that the camera saturates at this exposure time."""
NEAR_SATURATION, IN_THE_DARK = 16, 6
"""Points close to saturation, where the variance peaks, and points where dark noise counts."""
FIRST_EVEN = 0.03
LEAST_POINTS = NEAR_SATURATION + IN_THE_DARK + 6
QUANTISATION_DN2 = 1 / 12
LEAST_DARK_VARIANCE_DN2 = 0.24
"""EMVA 1288: what rounding leaves of a smaller dark noise says nothing about it."""
FRAME_TIMEOUT_MS = 60_000


@dataclass(frozen=True, slots=True)
class Point:
    """One exposure time: light in photons per pixel, means in DN, temporal variances in DN^2."""

    exposure_us: float
    photons: float
    mean_dn: float
    variance_dn2: float
    dark_mean_dn: float
    dark_variance_dn2: float

    @property
    def signal_dn(self) -> float:
        return self.mean_dn - self.dark_mean_dn

    @property
    def noise_dn2(self) -> float:
        """The variance that came with the light."""
        return self.variance_dn2 - self.dark_variance_dn2

    @property
    def snr(self) -> float | None:
        """Signal to temporal noise; None where nothing moves, as beyond saturation."""
        return self.signal_dn / sqrt(self.variance_dn2) if self.variance_dn2 > 0 else None


@dataclass(frozen=True, slots=True)
class Figures:
    """What the method finds, and its working: `points[:fitted]` are below 70 % of saturation, `points[saturated]`
    is the peak of the variance.
    """

    gain_dn_per_e: float
    quantum_efficiency: float
    dark_noise_e: float
    saturation_e: float
    snr_max_db: float
    dynamic_range_db: float
    fitted: int
    saturated: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """A figure beside the sheet's. `kind`: who says the latter (printed, measured, assumed), or "computed" where it
    follows from such figures. `deviation`: in dB where the unit is dB, otherwise in percent.
    """

    name: str
    unit: str
    measured: float
    sheet: float
    kind: str

    @property
    def deviation(self) -> float:
        if self.unit == "dB":
            return self.measured - self.sheet
        return 100 * (self.measured / self.sheet - 1)

    def line(self) -> str:
        return (
            f"{self.name:30} {self.unit:5} {short(self.measured):>10} {short(self.sheet):>10}"
            f" {self.deviation_text():>11}  {self.kind}"
        )

    def deviation_text(self) -> str:
        return f"{self.deviation:+.2f} {'dB' if self.unit == 'dB' else '% '}"


@dataclass(frozen=True, slots=True)
class PhotonTransfer:
    """A measured camera. `title` says which, and how it was set; `points` in order of exposure time."""

    title: str
    name: str
    settings: Mapping[str, str]
    pixel_format: str
    gain_db: float
    wavelength_nm: float
    points: tuple[Point, ...]
    figures: Figures
    comparisons: tuple[Comparison, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "settings": dict(self.settings),
            "pixel_format": self.pixel_format,
            "gain_db": self.gain_db,
            "wavelength_nm": self.wavelength_nm,
            "figures": asdict(self.figures),
            "sheet": [asdict(c) | {"deviation": c.deviation} for c in self.comparisons],
            "points": [asdict(p) | {"signal_dn": p.signal_dn, "snr": p.snr} for p in self.points],
        }

    def lines(self) -> list[str]:
        """For people: the points, then what follows from them beside the sheet."""
        out = [
            self.title,
            "",
            f"{'exposure':>10} {'light':>10} {'signal':>9} {'variance':>9} {'dark':>8} {'dark var.':>9} {'SNR':>7}",
            f"{'us':>10} {'photons':>10} {'DN':>9} {'DN^2':>9} {'DN':>8} {'DN^2':>9}",
        ]
        out += [
            f"{p.exposure_us:10.1f} {p.photons:10.1f} {p.signal_dn:9.2f} {p.variance_dn2:9.2f}"
            f" {p.dark_mean_dn:8.2f} {p.dark_variance_dn2:9.3f} {'-' if p.snr is None else f'{p.snr:.2f}':>7}"
            for p in self.points
        ]
        out += ["", f"{'':30} {'':5} {'measured':>10} {'sheet':>10} {'deviation':>11}  the sheet's figure is"]
        return out + [comparison.line() for comparison in self.comparisons]


def short(value: float) -> str:
    """Four digits, and never an exponent: 0.3688, 70.94, 10659."""
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"


def pair_statistics(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> tuple[float, float]:
    """Mean and temporal variance of two frames of one scene, without the fixed pattern that they share."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    return float((a.mean() + b.mean()) / 2), float((a - b).var() / 2)


def evaluate(points: Sequence[Point]) -> Figures:
    """EMVA 1288 on a series of exposure times in rising order.

    Raises Mistake, one line, where there is no curve: saturation must be reached, and be seen to be.
    """
    photons = np.array([p.photons for p in points])
    signal = np.array([p.signal_dn for p in points])
    noise = np.array([p.noise_dn2 for p in points])
    saturated = int(np.argmax([p.variance_dn2 for p in points]))
    below = np.flatnonzero(signal <= 0.7 * signal[saturated])
    fitted = int(below[-1]) + 1 if len(below) else 0
    if fitted < 3 or saturated + 1 == len(points) or not noise[:fitted].sum() > 0:
        raise Mistake("there is no photon transfer curve: noise must rise with light, up to saturation")
    gain = _slope(signal[:fitted], noise[:fitted])
    efficiency = _slope(photons[:fitted], signal[:fitted]) / gain
    exposures = [p.exposure_us for p in points]
    darkness = [p.dark_variance_dn2 for p in points]
    at_once = float(np.polyfit(exposures, darkness, 1)[1]) if len(set(exposures)) > 2 else darkness[0]
    dark_dn2 = max(at_once, LEAST_DARK_VARIANCE_DN2)
    saturation_e = efficiency * photons[saturated]
    return Figures(
        gain_dn_per_e=gain,
        quantum_efficiency=efficiency,
        dark_noise_e=sqrt(dark_dn2 - QUANTISATION_DN2) / gain,
        saturation_e=float(saturation_e),
        snr_max_db=10 * log10(saturation_e),
        dynamic_range_db=20 * log10(saturation_e / (sqrt(dark_dn2) / gain + 0.5)),
        fitted=fitted,
        saturated=saturated,
    )


def _slope(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> float:
    """Of the straight line through the origin with the least squares."""
    return float((x @ y) / (x @ x))


def photon_transfer(wanted: str, files: Sequence[Path] = (), points: int = 49) -> PhotonTransfer:
    """Measure "MODEL[:Feature=value,...]" at so many exposure times.

    Raises ModelError, SensorError or Mistake, each one line for a person.
    """
    if points < LEAST_POINTS:
        raise Mistake(f"{points} points: a photon transfer curve takes {LEAST_POINTS} at least")
    name, chosen = parse_camera(wanted)
    model, sensor = find_model(name, files)
    settings = _usual_settings(model, sensor) | chosen
    if settings["PixelFormat"] not in _raw_formats(model) and settings["PixelFormat"] in model.pixel_formats:
        raise Mistake(
            f"PixelFormat={settings['PixelFormat']} is not raw: a photon transfer curve takes"
            f" {' or '.join(_raw_formats(model))}"
        )
    scene = Uniform(nm=sensor.wavelength_nm)
    spec = CameraSpec(model.name, settings=settings, model_files=tuple(files))
    with simulated_host(spec, scene=scene) as host:
        client = U3VClient(host)
        client.open()
        bench = _Bench(client)
        gain_db = bench.gain_db()
        full_e = min(
            sensor.full_well_e,
            (4095 - sensor.black_level_dn12) / (sensor.conversion_gain_dn12_per_e * 10 ** (gain_db / 20)),
        )
        photons_per_us = full_e / sensor.quantum_efficiency / SATURATES_AFTER_US
        found = []
        for exposure_us in bench.exposures_us(points):
            pairs = []
            for light in (photons_per_us, 0.0):
                scene.photons = light * 1e6
                pairs.append(pair_statistics(bench.grab(exposure_us), bench.grab(exposure_us)))
            found.append(Point(exposure_us, photons_per_us * exposure_us, *pairs[0], *pairs[1]))
        pixel_format, size = bench.pixel_format, f"{bench.width}x{bench.height}"
    figures = evaluate(found)
    return PhotonTransfer(
        title=f"{model.title}: {pixel_format}, {size}, gain {gain_db:.3g} dB, light of {sensor.wavelength_nm:g} nm",
        name=model.name,
        settings=chosen,
        pixel_format=pixel_format,
        gain_db=gain_db,
        wavelength_nm=sensor.wavelength_nm,
        points=tuple(found),
        figures=figures,
        comparisons=tuple(
            compare(figures, sensor, gain_db, PIXEL_FORMATS[pixel_format].depth, found[0].dark_mean_dn)
        ),
    )


def _raw_formats(model: Model) -> list[str]:
    """Formats whose pixels are as the sensor gives them, one after the other."""
    return [name for name in model.pixel_formats if name.startswith(("Mono", "Bayer"))]


def _usual_settings(model: Model, sensor: Sensor) -> dict[str, str]:
    """Raw pixels of all bits, some of the sensor, a black level above 0."""
    step = 1 if sensor.mosaic is None else 2
    sizes = {}
    for side, wanted in (("width", WIDTH * step), ("height", HEIGHT * step)):
        increment = model.integer(f"{side}_increment_px")
        sizes[side.capitalize()] = str(min(wanted, model.integer(f"{side}_max_px")) // increment * increment)
    settings = {"PixelFormat": max(_raw_formats(model), key=lambda name: PIXEL_FORMATS[name].depth)} | sizes
    if model.optional("black_level_max_dn12"):
        settings["BlackLevel"] = f"{BLACK_LEVEL:g}"
    return settings


class _Bench:
    """A host that takes one frame after the other, each on its own trigger."""

    def __init__(self, client: U3VClient) -> None:
        self._nodes = nodes = DeviceNodes(client)
        nodes.set("TriggerMode", "On")
        nodes.set("TriggerSource", "Software")
        self.width, self.height = int(nodes.get("Width")), int(nodes.get("Height"))
        self.pixel_format = str(nodes.get("PixelFormat"))
        self._exposure_us = 0.0
        self._reader = StreamReader(client)
        self._reader.start([bytearray(self._reader.buffer_bytes) for _ in range(2)])
        nodes.execute("AcquisitionStart")

    def gain_db(self) -> float:
        gain = float(self._nodes.get("Gain"))
        return gain if self._nodes.info("Gain").unit == "dB" else 20 * log10(gain)

    def exposures_us(self, points: int) -> list[float]:
        """By equal factors where it is dark, evenly up to 92 % of what saturates, then densely beyond.

        Whole microseconds, as every camera has them.
        """
        shortest_us = ceil(float(self._nodes.info("ExposureTime").minimum or 1))
        shares = [
            *np.geomspace(shortest_us / SATURATES_AFTER_US, FIRST_EVEN, IN_THE_DARK, endpoint=False),
            *np.linspace(FIRST_EVEN, 0.92, points - IN_THE_DARK - NEAR_SATURATION),
            *np.linspace(0.93, 1.08, NEAR_SATURATION),
        ]
        return sorted({float(max(shortest_us, round(share * SATURATES_AFTER_US))) for share in shares})

    def grab(self, exposure_us: float) -> Pixels:
        """(H, W) of the pixels that are judged, DN."""
        if exposure_us != self._exposure_us:
            self._nodes.set("ExposureTime", exposure_us)
            self._exposure_us = exposure_us
        self._nodes.execute("TriggerSoftware")
        frame = self._reader.next_frame(FRAME_TIMEOUT_MS)
        if not frame.complete:
            raise U3VError(f"a frame did not arrive whole: {frame.reason}")
        picture = unpack(np.frombuffer(frame.payload, np.uint8), self.width * self.height, self.pixel_format)
        self._reader.release(frame)
        picture = picture.reshape(self.height, self.width)
        if not self.pixel_format.startswith("Bayer"):
            return picture
        return picture[::2, self.pixel_format[5:7].index("G") :: 2]


def compare(
    figures: Figures, sensor: Sensor, gain_db: float, depth_bits: int, dark_mean_dn: float
) -> Iterator[Comparison]:
    """The figures beside those of the sensor's sheet.

    The sheet is for 0 dB and 12 bit. For other settings the same physics gives other figures: at 10 bit, say, rounding
    hides the dark noise.
    """
    told = sensor.figures
    as_told = gain_db == 0 and depth_bits == 12
    amplified = 10 ** (gain_db / 20)
    gain = sensor.conversion_gain_dn12_per_e * amplified * 2.0 ** (depth_bits - 12)
    dark_dn2 = (sensor.temporal_noise_at(gain_db) * gain) ** 2 + QUANTISATION_DN2
    dark_dn2 = max(dark_dn2, LEAST_DARK_VARIANCE_DN2)
    dark_noise_e = sqrt(dark_dn2 - QUANTISATION_DN2) / gain
    saturation_e = sensor.saturation_e
    if gain_db:  # about 3 sigma below the end of the converter, where the variance peaks
        end_e = min(sensor.full_well_e, (2**depth_bits - 1 - dark_mean_dn) / gain)
        saturation_e = end_e - 2.9 * sqrt(end_e)
    least_e = sqrt(dark_dn2) / gain + 0.5

    def kind(key: str, is_told: bool = as_told) -> str:
        return told[key].kind if is_told else "computed"

    yield Comparison(
        "system gain K", "DN/e-", figures.gain_dn_per_e, gain, kind("adc.conversion_gain_dn12_per_e")
    )
    yield Comparison(
        "quantum efficiency",
        "%",
        100 * figures.quantum_efficiency,
        100 * sensor.quantum_efficiency,
        kind("light.quantum_efficiency", True),
    )
    yield Comparison(
        "temporal dark noise", "e-", figures.dark_noise_e, dark_noise_e, kind("dark.temporal_noise_e")
    )
    yield Comparison(
        "saturation capacity", "e-", figures.saturation_e, saturation_e, kind("light.saturation_e")
    )
    yield Comparison(
        "largest signal to noise", "dB", figures.snr_max_db, 10 * log10(saturation_e), "computed"
    )
    yield Comparison(
        "dynamic range", "dB", figures.dynamic_range_db, 20 * log10(saturation_e / least_e), "computed"
    )
