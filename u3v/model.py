"""Facts of a camera model, from TOML: what exists, limits, defaults, strings. Behaviour is code elsewhere.

A model file has strict keys: an unknown or missing one is a ModelError that names file and key. Each figure
says whether the maker printed it, someone measured it, or it is assumed, and where it comes from.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from importlib import resources
from typing import Any

from u3v.errors import ModelError
from u3v.wire.pfnc import PIXEL_FORMATS
from u3v.wire.usb import Identity

KINDS = ("printed", "measured", "assumed")


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of a camera: `kind` is "printed", "measured" or "assumed"; `source` says by whom."""

    value: float
    kind: str
    source: str


@dataclass(frozen=True, slots=True)
class Figures:
    """All figures of a model. Units are in the names."""

    width_max_px: Figure
    height_max_px: Figure
    width_default_px: Figure
    height_default_px: Figure
    width_increment_px: Figure
    height_increment_px: Figure
    width_min_px: Figure
    height_min_px: Figure
    binning_max: Figure
    exposure_min_us: Figure
    exposure_max_us: Figure
    exposure_default_us: Figure
    gain_max_db: Figure
    black_level_max_dn12: Figure
    frame_rate_fps: Figure
    throughput_default_bytes_per_s: Figure
    throughput_min_bytes_per_s: Figure
    throughput_max_bytes_per_s: Figure
    payload_rate_bytes_per_s: Figure
    frame_memory_bytes: Figure
    power_w: Figure
    power_idle_w: Figure
    power_per_mb_per_s_mw: Figure
    supply_v: Figure
    max_power_ma: Figure
    max_power_high_speed_ma: Figure
    thermal_resistance_k_per_w: Figure
    thermal_time_constant_s: Figure
    operating_temperature_max_c: Figure


@dataclass(frozen=True, slots=True)
class Model:
    """A camera model. `figures` hold every number with its label; `integer` reads one as an int."""

    name: str
    maker: str
    family: str
    wire: str
    sensor: str
    sensor_text: str
    pixel_formats: tuple[str, ...]
    vid: int
    pid: int
    device_version: str
    firmware_version: str
    manufacturer_info: str
    figures: Figures

    def integer(self, figure: str) -> int:
        return int(getattr(self.figures, figure).value)

    def number(self, figure: str) -> float:
        return float(getattr(self.figures, figure).value)

    def identity(self, serial: str, user_defined_name: str = "") -> Identity:
        """What the bus shows. The GUID is the VID and eight hex digits of the serial (USB3 Vision)."""
        return Identity(
            vid=self.vid,
            pid=self.pid,
            bcd_device=0x0100,
            vendor=self.maker,
            model=self.name,
            family=self.family,
            device_version=self.device_version,
            manufacturer_info=self.manufacturer_info,
            serial=serial,
            guid=f"{self.vid:04X}{_unique(serial):08X}",
            user_defined_name=user_defined_name,
            max_power_ma=self.integer("max_power_ma"),
            max_power_high_speed_ma=self.integer("max_power_high_speed_ma"),
        )


def _unique(serial: str) -> int:
    """Eight hex digits of a serial: the number itself, or a hash of any other text (FNV-1a)."""
    if serial.isascii() and serial.isdigit() and int(serial) < 2**32:
        return int(serial)
    value = 0x811C9DC5
    for byte in serial.encode():
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value


def model_names() -> list[str]:
    """Names of the built-in models."""
    return sorted(load_text(text, path).name for path, text in _files())


def load_model(name: str) -> Model:
    """A built-in model by name, in any case. Raises ModelError with the nearest name where there is none."""
    models = {model.name: model for model in (load_text(text, path) for path, text in _files())}
    for known, model in models.items():
        if known.lower() == name.lower():
            return model
    raise ModelError("models", name, f"no such camera{_hint(name, list(models))}; known: {', '.join(models)}")


def load_text(text: str, path: str) -> Model:
    """Parse a model file. Raises ModelError."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ModelError(path, "TOML", str(error)) from error
    top = _keys(path, "", table, [*_TOP, "identity", "figures"])
    identity = _keys(path, "identity.", top["identity"], _IDENTITY)
    figures = _keys(path, "figures.", top["figures"], [f.name for f in fields(Figures)])
    formats = top["pixel_formats"]
    if not isinstance(formats, list) or not formats:
        raise ModelError(path, "pixel_formats", "must be a list of PFNC names")
    for name in formats:
        if name not in PIXEL_FORMATS:
            raise ModelError(
                path, "pixel_formats", f"unknown format {name!r}{_hint(str(name), list(PIXEL_FORMATS))}"
            )
    for key in ("vid", "pid"):
        if not isinstance(identity[key], int) or not 0 <= identity[key] <= 0xFFFF:
            raise ModelError(path, f"identity.{key}", "must be a number from 0 to 0xFFFF")
    return Model(
        **{key: _text(path, key, top[key]) for key in _TOP if key != "pixel_formats"},
        pixel_formats=tuple(formats),
        vid=identity["vid"],
        pid=identity["pid"],
        **{
            key: _text(path, f"identity.{key}", identity[key])
            for key in _IDENTITY
            if key not in ("vid", "pid")
        },
        figures=Figures(**{key: _figure(path, f"figures.{key}", value) for key, value in figures.items()}),
    )


_TOP = ["name", "maker", "family", "wire", "sensor", "sensor_text", "pixel_formats"]
_IDENTITY = ["vid", "pid", "device_version", "firmware_version", "manufacturer_info"]


def _files() -> list[tuple[str, str]]:
    folder = resources.files("u3v") / "models"
    return sorted((f.name, f.read_text("utf-8")) for f in folder.iterdir() if f.name.endswith(".toml"))


def _hint(name: str, known: list[str]) -> str:
    folded = {k.lower(): k for k in known}
    close = get_close_matches(name.lower(), list(folded), 1, 0.5)
    return f", did you mean {folded[close[0]]!r}?" if close else ""


def _keys(path: str, prefix: str, table: object, known: list[str]) -> Mapping[str, Any]:
    if not isinstance(table, dict):
        raise ModelError(path, prefix.rstrip("."), "must be a table")
    for key in table:
        if key not in known:
            raise ModelError(path, prefix + key, f"unknown key{_hint(key, known)}")
    for key in known:
        if key not in table:
            raise ModelError(path, prefix + key, "missing")
    return table


def _text(path: str, key: str, value: object) -> str:
    if not isinstance(value, str) or not value.isascii():
        raise ModelError(path, key, "must be ASCII text")
    return value


def _figure(path: str, key: str, value: object) -> Figure:
    table = _keys(path, f"{key}.", value, ["value", "kind", "source"])
    number, kind, source = table["value"], table["kind"], table["source"]
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise ModelError(path, f"{key}.value", "must be a number")
    if kind not in KINDS:
        raise ModelError(path, f"{key}.kind", f"{kind!r} is not one of {', '.join(KINDS)}")
    return Figure(number, kind, str(source))
