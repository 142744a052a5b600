"""Facts of a camera model, from TOML: what exists, limits, defaults, strings. Behaviour is code elsewhere.

A model file has strict keys: an unknown or missing one is a ModelError that names file and key. Each figure
says whether the maker printed it, someone measured it, or it is assumed, and where it comes from. `features`
names the family of cameras whose features, names and events the model has (see `u3v.sfnc`); the figures that
only some cameras have are optional.
"""

import tomllib
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from functools import lru_cache
from importlib import resources
from pathlib import Path
from zlib import crc32

from u3v.did_you_mean import hint
from u3v.errors import Mistake, ModelError
from u3v.figures import Figure, read_figure, read_keys
from u3v.line_facts import LineFacts, read_lines
from u3v.wire.pfnc import PIXEL_FORMATS
from u3v.wire.usb import Identity

_FOLDER = resources.files("u3v") / "models"

FAMILIES = ("ace", "generic", "ids", "vcx")
USB, GIGE = "USB3 Vision", "GigE Vision"
WIRES = (USB, GIGE)


@dataclass(frozen=True, slots=True)
class Figures:
    """All figures of a model. Units are in the names. None: the camera has no such thing.

    `payload_rate_bytes_per_s` and `link_bits_per_s` belong to the camera's own wire at full speed, the `slow`
    ones to 100 Mbit/s Ethernet. `binning_joint`: 1 where both directions bin together. `images_...`:
    frames that the image buffer takes, where their number and not their bytes is the limit.
    `trigger_latency_us`: from a trigger to the exposure, `..._readout_us` while an image is read out.
    """

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
    link_bits_per_s: Figure
    link_slow_bits_per_s: Figure | None = None
    payload_rate_slow_bytes_per_s: Figure | None = None
    offset_x_increment_px: Figure | None = None
    offset_y_increment_px: Figure | None = None
    binning_joint: Figure | None = None
    exposure_short_min_us: Figure | None = None
    exposure_increment_us: Figure | None = None
    acquisition_frame_rate_max_hz: Figure | None = None
    readout_frame_rate_fps: Figure | None = None
    trigger_delay_max_us: Figure | None = None
    trigger_latency_us: Figure | None = None
    trigger_latency_readout_us: Figure | None = None
    trigger_queue: Figure | None = None
    images_in_trigger_mode: Figure | None = None
    images_in_free_run: Figure | None = None
    defect_pixels_max: Figure | None = None
    nonvolatile_bytes: Figure | None = None
    timestamp_increment_ns: Figure | None = None
    power_poe_w: Figure | None = None
    supply_poe_v: Figure | None = None
    supply_min_v: Figure | None = None
    supply_max_v: Figure | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """A camera model. `figures` hold every number with its label; `integer` reads one as an int.

    `features`: one of FAMILIES. `wire`: one of WIRES, the camera's own. It is the budget of the frame rate, also where
    the camera is served over USB3 Vision, as every model can be.
    """

    name: str
    title: str
    maker: str
    family: str
    features: str
    wire: str
    wire_text: str
    sensor: str
    sensor_text: str
    pixel_formats: tuple[str, ...]
    vid: int
    pid: int
    device_version: str
    firmware_version: str
    manufacturer_info: str
    sfnc_version: str
    figures: Figures
    lines: tuple[LineFacts, ...] = ()

    def integer(self, figure: str, default: int | None = None) -> int:
        """A figure as an int. `default` is for figures that the camera may lack; ValueError without one."""
        return int(self.number(figure, default))

    def number(self, figure: str, default: float | None = None) -> float:
        """A figure. `default` is for figures that the camera may lack; ValueError without one."""
        known = self.optional(figure)
        if known is None and default is None:
            raise ValueError(f"{self.name} has no figure {figure}")
        return known if known is not None else float(default or 0)

    def optional(self, figure: str) -> float | None:
        """A figure, or None where the camera has no such thing."""
        known: Figure | None = getattr(self.figures, figure)
        return None if known is None else float(known.value)

    def sheet(self) -> dict[str, Figure]:
        """All figures that the camera has; those of its lines as "Line1.low_max_v"."""
        known = {f.name: getattr(self.figures, f.name) for f in fields(Figures)}
        camera = {name: figure for name, figure in known.items() if figure is not None}
        return camera | {
            f"{line.name}.{name}": figure for line in self.lines for name, figure in line.sheet().items()
        }

    def identity(self, serial: str, user_defined_name: str = "") -> Identity:
        """What the bus shows. The GUID is the VID (USB3 Vision) and eight hex digits that differ between any two
        cameras of one vendor: hosts take two with the same GUID for one camera."""
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
            guid=f"{self.vid:04X}{_unique(self.maker, self.name, serial):08X}",
            user_defined_name=user_defined_name,
            max_power_ma=self.integer("max_power_ma"),
            max_power_high_speed_ma=self.integer("max_power_high_speed_ma"),
        )


def _unique(maker: str, name: str, serial: str) -> int:
    """32 bits of a camera's maker, model and serial, as text: "1" and "01" are two cameras.

    A CRC, because it tells serials apart for certain that differ in their last four characters only.
    """
    return crc32("\0".join((maker, name, serial)).encode())


def model_names() -> list[str]:
    """Names of the built-in models."""
    return sorted(_built_in(file_name).name for file_name in _file_names())


def load_model(name: str, extra: Sequence[Model] = ()) -> Model:
    """A model by name, in any case: one of `extra`, or a built-in one. Raises Mistake with the nearest name."""
    for model in extra:
        if model.name.lower() == name.lower():
            return model
    file_name = name.lower().replace("-", "_") + ".toml"
    if file_name in _file_names() and (model := _built_in(file_name)).name.lower() == name.lower():
        return model
    models = [*model_names(), *(model.name for model in extra)]
    raise Mistake(f"{name}: no such camera{hint(name, models)}; known: {', '.join(models)}")


def load_file(path: Path) -> Model:
    """A model from anybody's file. Raises ModelError."""
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise ModelError(str(path), "", error.strerror or str(error)) from error
    except UnicodeDecodeError:
        raise ModelError(str(path), "", "is not UTF-8 text") from None
    return load_text(text, str(path))


def load_text(text: str, path: str) -> Model:
    """Parse a model file; `path` names it in errors. Raises ModelError."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ModelError(path, "", f"not valid TOML: {error}") from error
    top = read_keys(path, "", table, [*_TOP, "identity", "figures", "lines"], ["lines"])
    identity = read_keys(path, "identity.", top["identity"], _IDENTITY)
    optional = [f.name for f in fields(Figures) if f.default is not MISSING]
    figures = read_keys(path, "figures.", top["figures"], [f.name for f in fields(Figures)], optional)
    formats = top["pixel_formats"]
    if not isinstance(formats, list) or not formats:
        raise ModelError(path, "pixel_formats", "must be a list of PFNC names")
    for name in formats:
        if not isinstance(name, str) or name not in PIXEL_FORMATS:
            raise ModelError(
                path, "pixel_formats", f"unknown format {name!r}{hint(str(name), PIXEL_FORMATS)}"
            )
    for key in ("vid", "pid"):
        number = identity[key]
        if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= 0xFFFF:
            raise ModelError(path, f"identity.{key}", "must be a number from 0 to 0xFFFF")
    texts = {key: _text(path, key, top[key]) for key in _TOP if key != "pixel_formats"}
    texts |= {k: _text(path, f"identity.{k}", identity[k]) for k in _IDENTITY if k not in ("vid", "pid")}
    for key, choices in (("features", FAMILIES), ("wire", WIRES)):
        if texts[key] not in choices:
            wrong = f"{texts[key]!r} is not one of {', '.join(choices)}{hint(texts[key], choices)}"
            raise ModelError(path, key, wrong)
    if not all(part.isdigit() for part in texts["sfnc_version"].split(".")) or (
        texts["sfnc_version"].count(".") != 1
    ):
        raise ModelError(path, "identity.sfnc_version", "must be two numbers, such as 2.4")
    model = Model(
        **texts,
        pixel_formats=tuple(formats),
        vid=identity["vid"],
        pid=identity["pid"],
        figures=Figures(
            **{key: read_figure(path, f"figures.{key}", value) for key, value in figures.items()}
        ),
        lines=read_lines(path, top.get("lines", {})),
    )
    _check_sense(path, model)
    return model


def _check_sense(path: str, model: Model) -> None:
    """Refuse figures that no camera can have: a model that loads can be built."""
    for figure in fields(Figures):
        number = model.optional(figure.name)
        whole = figure.name.endswith(("_px", "_bytes", "_ma")) or figure.name in _WHOLE
        if number is None:
            continue
        if number < 0 or (number == 0 and figure.name not in _MAY_BE_ZERO):
            bound = "zero or more" if figure.name in _MAY_BE_ZERO else "above zero"
            raise ModelError(path, f"figures.{figure.name}.value", f"is {number:g}, must be {bound}")
        if whole and number != int(number):
            raise ModelError(path, f"figures.{figure.name}.value", f"is {number:g}, must be a whole number")
    for low, high in _ORDERED:
        small, large = model.optional(low), model.optional(high)
        if small is not None and large is not None and small > large:
            raise ModelError(path, f"figures.{low}.value", f"is {small:g}, above {high} ({large:g})")
    for axis in ("width", "height"):
        default, least, step = (
            model.integer(f"{axis}_{what}_px") for what in ("default", "min", "increment")
        )
        if (default - least) % step:
            wrong = f"is {default}, not {least} and a multiple of {step}"
            raise ModelError(path, f"figures.{axis}_default_px.value", wrong)
        most = model.integer(f"{axis}_max_px") // model.integer("binning_max")
        if least > most:
            raise ModelError(
                path, f"figures.{axis}_min_px.value", f"is {least}, above the {most} that binning leaves"
            )


_TOP = [
    "name",
    "title",
    "maker",
    "family",
    "features",
    "wire",
    "wire_text",
    "sensor",
    "sensor_text",
    "pixel_formats",
]
_IDENTITY = ["vid", "pid", "device_version", "firmware_version", "manufacturer_info", "sfnc_version"]
_REGISTER_TEXTS = {
    "name",
    "maker",
    "family",
    "identity.device_version",
    "identity.manufacturer_info",
}
_WHOLE = {
    "timestamp_increment_ns",
    "binning_max",
    "trigger_queue",
    "images_in_trigger_mode",
    "images_in_free_run",
    "defect_pixels_max",
}
_MAY_BE_ZERO = {
    "max_power_ma",
    "max_power_high_speed_ma",
    "power_per_mb_per_s_mw",
    "binning_joint",
    "gain_max_db",
    "black_level_max_dn12",
    "trigger_delay_max_us",
    "trigger_latency_us",
    "trigger_latency_readout_us",
    "defect_pixels_max",
    "thermal_resistance_k_per_w",
}
_ORDERED = (
    ("width_min_px", "width_default_px"),
    ("width_default_px", "width_max_px"),
    ("height_min_px", "height_default_px"),
    ("height_default_px", "height_max_px"),
    ("exposure_short_min_us", "exposure_min_us"),
    ("exposure_min_us", "exposure_default_us"),
    ("exposure_default_us", "exposure_max_us"),
    ("throughput_min_bytes_per_s", "throughput_default_bytes_per_s"),
    ("throughput_default_bytes_per_s", "throughput_max_bytes_per_s"),
    ("supply_min_v", "supply_max_v"),
)


def _file_names() -> list[str]:
    """The models that come with the package. A file is named as its model: in small letters, hyphens as underscores."""
    return [file.name for file in _FOLDER.iterdir() if file.name.endswith(".toml")]


@lru_cache(maxsize=64)
def _built_in(file_name: str) -> Model:
    """One of them; reading them all takes a tenth of a second."""
    return load_text((_FOLDER / file_name).read_text("utf-8"), file_name)


def _text(path: str, key: str, value: object) -> str:
    if not isinstance(value, str) or not value.isascii() or not value.strip():
        raise ModelError(path, key, "must be ASCII text")
    if len(value) > 63 and key in _REGISTER_TEXTS:
        raise ModelError(path, key, f"has {len(value)} characters, the register takes 63")
    return value
