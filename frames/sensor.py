"""What is known of an image sensor, each figure with its kind (printed, measured, assumed) and source.

A sensor file may name another as its `base` and give only what differs: one chip, two data sheets.
"""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from frames._words import hint
from frames.readout import ReadoutTiming

KINDS = ("printed", "measured", "assumed")
SHUTTERS = ("global", "rolling")
COLOURS = ("mono", "GR", "RG", "GB", "BG")
BINNING = ("processor", "sensor")
CHANNELS = ("red", "green", "blue")


class SensorError(ValueError):
    """An unknown sensor or a faulty sensor file; one line naming file and key."""


@dataclass(frozen=True)
class Figure:
    """One number of a sensor file. `kind`: printed by a maker, measured (or derived from measurements),
    assumed.
    """

    value: float
    kind: str
    source: str


@dataclass(frozen=True)
class Sensor:
    """A sensor in EMVA 1288 terms, at 0 dB unless said. Width and height are the full pixel array.

    `colour` is "mono" or the first two letters of the Bayer pattern. `binning`: where it is done; a sensor
    that bins reads fewer rows. `saturation_e` is what EMVA 1288 measures, the peak of the variance.
    `temporal_noise_floor_e`: read noise at high gain. `charge_spread_percent`:
    part of a pixel's charge that each of its neighbours along an axis gets. `curves`: response by wavelength of
    "mono" or of "red", "green" and "blue", ((nm, relative to quantum_efficiency), ...).

    `figures` maps "section.key" to the labelled figure behind every number.
    """

    name: str
    shutter: str
    colour: str
    binning: str
    width_px: int
    height_px: int
    pixel_pitch_um: float
    quantum_efficiency: float
    wavelength_nm: float
    saturation_e: float
    full_well_e: float
    prnu_percent: float
    charge_spread_percent: float
    temporal_noise_e: float
    temporal_noise_floor_e: float
    dsnu_e: float
    dark_current_e_per_s: float
    dark_current_at_c: float
    dark_current_doubling_k: float
    depth_bits: int
    conversion_gain_dn12_per_e: float
    black_level_dn12: float
    line_time_us: float
    extra_lines: float
    exposure_overhead_us: float
    min_exposure_us: float
    curves: Mapping[str, tuple[tuple[float, float], ...]] = field(repr=False, hash=False)
    figures: Mapping[str, Figure] = field(repr=False, compare=False, hash=False)

    @property
    def timing(self) -> ReadoutTiming:
        return ReadoutTiming(
            line_time_ns=self.line_time_us * 1000,
            extra_lines=self.extra_lines,
            exposure_overhead_ns=self.exposure_overhead_us * 1000,
            binned_in_sensor=self.binning == "sensor",
        )

    def temporal_noise_at(self, gain_db: float) -> float:
        """Read noise in e- at a gain: the part behind the amplifier shrinks as the gain grows."""
        floor2 = self.temporal_noise_floor_e**2
        return float((floor2 + (self.temporal_noise_e**2 - floor2) * 10 ** (-gain_db / 10)) ** 0.5)

    def response(self, wavelength_nm: float = 0) -> tuple[float, ...]:
        """How much a photon counts, relative to `quantum_efficiency`: (mono,) or (red, green, blue).

        At a wavelength, by the curves. 0 means white: as many photons at every wavelength from 400 to 700 nm,
        of which monochrome sensors count those at their reference wavelength only, so that photons stay
        photons.
        """
        if self.colour == "mono" and not wavelength_nm:
            return (1.0,)
        band = [wavelength_nm] if wavelength_nm else np.arange(402.5, 700, 5)
        curves = [np.array(self.curves[k]) for k in (("mono",) if self.colour == "mono" else CHANNELS)]
        return tuple(float(np.interp(band, c[:, 0], c[:, 1], 0, 0).mean()) for c in curves)

    @property
    def mosaic(self) -> tuple[tuple[int, int], tuple[int, int]] | None:
        """Channel (0 red, 1 green, 2 blue) of the pixels of a 2x2 cell, [row][column]; None for monochrome."""
        if self.colour == "mono":
            return None
        a, b = ("RGB".index(c) for c in self.colour)
        return (a, b), (2 - b, 2 - a)

    def dark_current_at(self, temperature_c: float) -> float:
        """Dark current in e-/s/pixel at a device temperature in degrees Celsius."""
        return self.dark_current_e_per_s * self.dark_growth_at(temperature_c)

    def dark_growth_at(self, temperature_c: float) -> float:
        """Dark current at this temperature over that at the reference temperature."""
        return float(2.0 ** ((temperature_c - self.dark_current_at_c) / self.dark_current_doubling_k))


_SECTIONS: dict[str, tuple[str, ...]] = {
    "geometry": ("width_px", "height_px", "pixel_pitch_um"),
    "light": (
        "quantum_efficiency",
        "wavelength_nm",
        "saturation_e",
        "full_well_e",
        "prnu_percent",
        "charge_spread_percent",
    ),
    "dark": (
        "temporal_noise_e",
        "temporal_noise_floor_e",
        "dsnu_e",
        "dark_current_e_per_s",
        "dark_current_at_c",
        "dark_current_doubling_k",
    ),
    "adc": ("depth_bits", "conversion_gain_dn12_per_e", "black_level_dn12"),
    "timing": ("line_time_us", "extra_lines", "exposure_overhead_us", "min_exposure_us"),
}
_TEXTS = {"name": None, "shutter": SHUTTERS, "colour": COLOURS, "binning": BINNING}
_WHOLE = {f.name for f in fields(Sensor) if f.type is int}
_MAY_BE_NEGATIVE = {"dark_current_at_c"}
_MAY_BE_ZERO = {
    "prnu_percent",
    "charge_spread_percent",
    "dsnu_e",
    "dark_current_e_per_s",
    "extra_lines",
    "exposure_overhead_us",
    "black_level_dn12",
}


def sensor_names() -> list[str]:
    """Names `load_sensor` takes."""
    return sorted(
        entry.name.removesuffix(".toml")
        for entry in (files("frames") / "sensors").iterdir()
        if entry.name.endswith(".toml")
    )


def load_sensor(name: str) -> Sensor:
    """The sensor of `frames/sensors/<name>.toml`; case does not matter. Raises SensorError."""
    known = sensor_names()
    key = name.lower()
    if key not in known:
        raise SensorError(f"unknown sensor {name!r}{hint(key, known)}")
    return _packaged_sensor(key)


@cache
def _packaged_sensor(key: str) -> Sensor:
    return parse_sensor(_packaged(key), f"sensors/{key}.toml")


def load_sensor_file(path: Path) -> Sensor:
    """The sensor of any TOML file. Raises SensorError, OSError."""
    return parse_sensor(path.read_text(encoding="utf-8"), str(path))


def parse_sensor(text: str, where: str) -> Sensor:
    """A sensor from TOML text; `where` names the file in errors. Raises SensorError."""
    data = _with_base(where, _toml(where, text))
    _check_keys(where, "", data, [*_TEXTS, *_SECTIONS, "spectrum"])
    values: dict[str, Any] = {}
    for key, choices in _TEXTS.items():
        value = data[key]
        if not isinstance(value, str) or not value:
            raise SensorError(f"{where}: {key} must be text")
        if choices is not None and value not in choices:
            raise SensorError(f"{where}: {key} is {value!r}, must be {' or '.join(choices)}")
        values[key] = value
    figures: dict[str, Figure] = {}
    for section, keys in _SECTIONS.items():
        table = data[section]
        if not isinstance(table, dict):
            raise SensorError(f"{where}: [{section}] must be a table")
        _check_keys(where, f"{section}.", table, keys)
        for key in keys:
            figure = _figure(where, f"{section}.{key}", key, table[key])
            figures[f"{section}.{key}"] = figure
            values[key] = int(figure.value) if key in _WHOLE else float(figure.value)
    curves = _curves(where, values["colour"], data["spectrum"], figures)
    sensor = Sensor(**values, curves=curves, figures=MappingProxyType(figures))
    _check_physics(where, sensor)
    return sensor


def _toml(where: str, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SensorError(f"{where}: not valid TOML: {error}") from None


def _with_base(where: str, data: dict[str, Any]) -> dict[str, Any]:
    """The file's data over that of the sensor it names as its base, figure by figure."""
    if "base" not in data:
        return data
    name = data.pop("base")
    if name not in sensor_names():
        raise SensorError(f"{where}: base is {name!r}, no known sensor{hint(str(name), sensor_names())}")
    merged = _with_base(name, _toml(name, _packaged(name)))
    for key, value in data.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = merged[key] | value
        else:
            merged[key] = value
    return merged


def _packaged(name: str) -> str:
    return (files("frames") / "sensors" / f"{name}.toml").read_text(encoding="utf-8")


def _curves(
    where: str, colour: str, table: object, figures: dict[str, Figure]
) -> Mapping[str, tuple[tuple[float, float], ...]]:
    if not isinstance(table, dict):
        raise SensorError(f"{where}: [spectrum] must be a table")
    names = ("mono",) if colour == "mono" else CHANNELS
    _check_keys(where, "spectrum.", table, names)
    curves = {}
    for name in names:
        path = f"spectrum.{name}"
        points, kind, source = _entry(where, path, table[name])
        try:
            curve = tuple((float(nm), float(part)) for nm, part in points)
            rising = all(a[0] < b[0] for a, b in pairwise(curve))
            good = len(curve) > 1 and rising and all(0 <= part <= 1 for _, part in curve)
        except (TypeError, ValueError):
            good = False
        if not good:
            raise SensorError(f"{where}: {path}.value must be [[nm, 0 .. 1], ...] with rising wavelengths")
        curves[name] = curve
        figures[path] = Figure(max(part for _, part in curve), kind, source)
    return MappingProxyType(curves)


def _figure(where: str, path: str, key: str, entry: object) -> Figure:
    value, kind, source = _entry(where, path, entry)
    wanted = int if key in _WHOLE else (int, float)
    if isinstance(value, bool) or not isinstance(value, wanted) or not math.isfinite(value):
        raise SensorError(f"{where}: {path}.value must be a {'whole ' if key in _WHOLE else ''}number")
    if key not in _MAY_BE_NEGATIVE and (value < 0 or (value == 0 and key not in _MAY_BE_ZERO)):
        bound = "zero or more" if key in _MAY_BE_ZERO else "above zero"
        raise SensorError(f"{where}: {path}.value is {value}, must be {bound}")
    return Figure(float(value), kind, source)


def _entry(where: str, path: str, entry: object) -> tuple[Any, str, str]:
    """value, kind and source of a figure."""
    if not isinstance(entry, dict):
        raise SensorError(f"{where}: {path} must be {{ value, kind, source }}")
    _check_keys(where, f"{path}.", entry, ("value", "kind", "source"))
    kind, source = entry["kind"], entry["source"]
    if kind not in KINDS:
        raise SensorError(f"{where}: {path}.kind is {kind!r}, must be {', '.join(KINDS[:-1])} or {KINDS[-1]}")
    if not isinstance(source, str) or not source:
        raise SensorError(f"{where}: {path}.source must say where the figure comes from")
    return entry["value"], kind, source


def _check_physics(where: str, sensor: Sensor) -> None:
    if sensor.quantum_efficiency > 1:
        raise SensorError(f"{where}: light.quantum_efficiency.value is a fraction, at most 1")
    if sensor.charge_spread_percent > 25:
        raise SensorError(
            f"{where}: light.charge_spread_percent.value goes to each of four neighbours, at most 25"
        )
    if sensor.depth_bits != 12:
        raise SensorError(f"{where}: adc.depth_bits.value is {sensor.depth_bits}, only 12 is modelled")
    for key in ("temporal_noise_e", "temporal_noise_floor_e"):
        if getattr(sensor, key) < 1.0:
            raise SensorError(
                f"{where}: dark.{key}.value is {getattr(sensor, key):g}, at least 1 e- is modelled"
            )
    if sensor.temporal_noise_floor_e > sensor.temporal_noise_e:
        raise SensorError(f"{where}: dark.temporal_noise_floor_e.value is above temporal_noise_e")
    if sensor.full_well_e < sensor.saturation_e:
        raise SensorError(f"{where}: light.full_well_e.value is below saturation_e")
    reached_dn = sensor.black_level_dn12 + sensor.full_well_e * sensor.conversion_gain_dn12_per_e
    if reached_dn < 4095:
        raise SensorError(
            f"{where}: full_well_e x conversion_gain_dn12_per_e ends at {reached_dn:.0f} DN, must reach 4095"
        )


def _check_keys(
    where: str, prefix: str, table: Mapping[str, object], wanted: tuple[str, ...] | list[str]
) -> None:
    for key in table:
        if key not in wanted:
            raise SensorError(f"{where}: unknown key {prefix}{key}{hint(key, wanted)}")
    for key in wanted:
        if key not in table:
            raise SensorError(f"{where}: {prefix}{key} is missing")
