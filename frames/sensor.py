"""What is known of an image sensor, each figure with its kind (printed, measured, assumed) and source."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any

from frames._words import hint
from frames.readout import ReadoutTiming

KINDS = ("printed", "measured", "assumed")
SHUTTERS = ("global",)
COLOURS = ("mono",)


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

    `figures` maps "section.key" to the labelled figure behind every number.
    """

    name: str
    shutter: str
    colour: str
    width_px: int
    height_px: int
    pixel_pitch_um: float
    quantum_efficiency: float
    wavelength_nm: float
    saturation_e: float
    prnu_percent: float
    temporal_noise_e: float
    dsnu_e: float
    dark_current_e_per_s: float
    dark_current_at_c: float
    dark_current_doubling_k: float
    depth_bits: int
    conversion_gain_dn12_per_e: float
    line_time_us: float
    extra_lines: int
    exposure_overhead_us: float
    figures: Mapping[str, Figure] = field(repr=False, compare=False, hash=False)

    @property
    def timing(self) -> ReadoutTiming:
        return ReadoutTiming(
            line_time_ns=self.line_time_us * 1000,
            extra_lines=self.extra_lines,
            exposure_overhead_ns=self.exposure_overhead_us * 1000,
        )

    def dark_current_at(self, temperature_c: float) -> float:
        """Dark current in e-/s/pixel at a device temperature in degrees Celsius."""
        doublings = (temperature_c - self.dark_current_at_c) / self.dark_current_doubling_k
        return float(self.dark_current_e_per_s * 2.0**doublings)


_SECTIONS: dict[str, tuple[str, ...]] = {
    "geometry": ("width_px", "height_px", "pixel_pitch_um"),
    "light": ("quantum_efficiency", "wavelength_nm", "saturation_e", "prnu_percent"),
    "dark": (
        "temporal_noise_e",
        "dsnu_e",
        "dark_current_e_per_s",
        "dark_current_at_c",
        "dark_current_doubling_k",
    ),
    "adc": ("depth_bits", "conversion_gain_dn12_per_e"),
    "timing": ("line_time_us", "extra_lines", "exposure_overhead_us"),
}
_TEXTS = {"name": None, "shutter": SHUTTERS, "colour": COLOURS}
_WHOLE = {f.name for f in fields(Sensor) if f.type is int}
_MAY_BE_NEGATIVE = {"dark_current_at_c"}
_MAY_BE_ZERO = {"prnu_percent", "dsnu_e", "dark_current_e_per_s", "extra_lines", "exposure_overhead_us"}


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
    text = (files("frames") / "sensors" / f"{key}.toml").read_text(encoding="utf-8")
    return parse_sensor(text, f"sensors/{key}.toml")


def load_sensor_file(path: Path) -> Sensor:
    """The sensor of any TOML file. Raises SensorError, OSError."""
    return parse_sensor(path.read_text(encoding="utf-8"), str(path))


def parse_sensor(text: str, where: str) -> Sensor:
    """A sensor from TOML text; `where` names the file in errors. Raises SensorError."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SensorError(f"{where}: not valid TOML: {error}") from None
    _check_keys(where, "", data, [*_TEXTS, *_SECTIONS])
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
    sensor = Sensor(**values, figures=MappingProxyType(figures))
    _check_physics(where, sensor)
    return sensor


def _figure(where: str, path: str, key: str, entry: object) -> Figure:
    if not isinstance(entry, dict):
        raise SensorError(f"{where}: {path} must be {{ value, kind, source }}")
    _check_keys(where, f"{path}.", entry, ("value", "kind", "source"))
    value, kind, source = entry["value"], entry["kind"], entry["source"]
    wanted = int if key in _WHOLE else (int, float)
    if isinstance(value, bool) or not isinstance(value, wanted):
        raise SensorError(f"{where}: {path}.value must be a {'whole ' if key in _WHOLE else ''}number")
    if key not in _MAY_BE_NEGATIVE and (value < 0 or (value == 0 and key not in _MAY_BE_ZERO)):
        bound = "zero or more" if key in _MAY_BE_ZERO else "above zero"
        raise SensorError(f"{where}: {path}.value is {value}, must be {bound}")
    if kind not in KINDS:
        raise SensorError(f"{where}: {path}.kind is {kind!r}, must be {', '.join(KINDS[:-1])} or {KINDS[-1]}")
    if not isinstance(source, str) or not source:
        raise SensorError(f"{where}: {path}.source must say where the figure comes from")
    return Figure(float(value), kind, source)


def _check_physics(where: str, sensor: Sensor) -> None:
    if sensor.quantum_efficiency > 1:
        raise SensorError(f"{where}: light.quantum_efficiency.value is a fraction, at most 1")
    if sensor.depth_bits != 12:
        raise SensorError(f"{where}: adc.depth_bits.value is {sensor.depth_bits}, only 12 is modelled")
    if sensor.temporal_noise_e < 1.0:
        raise SensorError(
            f"{where}: dark.temporal_noise_e.value is {sensor.temporal_noise_e:g}, at least 1 e- is modelled"
        )
    full_dn = sensor.saturation_e * sensor.conversion_gain_dn12_per_e
    if full_dn < 4095:
        raise SensorError(
            f"{where}: saturation_e x conversion_gain_dn12_per_e is {full_dn:.0f} DN,"
            " must reach 4095: the converter clips before the pixel does"
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
