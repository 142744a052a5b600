"""What the camera looks at: light per pixel, over the whole pixel array, at a time.

A scene answers `radiance(time_s, width, height)`: a uint16 map and the photons/s/pixel that one step of it
means. Static scenes compute the map once and keep it. Moving scenes keep a still background and paste what
moves, so a frame costs as much as the moving part; they reuse one map, which is valid until the next call.
Light does not change during an exposure: there is no motion blur.

Give each frame source a scene of its own; one call at a time. `parse_scene` reads the text form
"NAME:key=value,...".
"""

import importlib
import math
import warnings
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from frames import charts
from frames._words import hint

U16Map = npt.NDArray[np.uint16]
FloatMap = npt.NDArray[np.float32]

WHITE_PHOTONS = 1.5e6  # photons/s/pixel: about 94 % of saturation in 10 ms at a quantum efficiency of 0.67


class SceneError(ValueError):
    """A scene that cannot be; one line for a person."""


@dataclass(frozen=True)
class Radiance:
    """`steps`: uint16 (height, width); times `photons_per_s_per_step` gives photons/s/pixel."""

    steps: U16Map
    photons_per_s_per_step: float

    def photons_per_s(self) -> FloatMap:
        """photons: float32 (height, width), photons/s/pixel."""
        return self.steps * np.float32(self.photons_per_s_per_step)


def radiance_of(photons_per_s: npt.ArrayLike) -> Radiance:
    """A map from photons/s/pixel, any real 2-D array; negative light counts as none. Raises SceneError."""
    light = np.asarray(photons_per_s, dtype=np.float32)
    if light.ndim != 2:
        raise SceneError(f"a scene's light must be a 2-D array, not {light.ndim}-D")
    brightest = float(light.max(initial=0.0))
    if not math.isfinite(brightest):
        raise SceneError("a scene's light must be finite")
    if brightest <= 0:
        return Radiance(np.zeros(light.shape, np.uint16), 1.0)
    steps = np.maximum(light, np.float32(0)) * np.float32(65535 / brightest)
    np.rint(steps, out=steps)
    return Radiance(np.minimum(steps, np.float32(65535)).astype(np.uint16), brightest / 65535)


def number(default: float, low: float, high: float, doc: str) -> Any:
    return field(default=default, metadata={"low": low, "high": high, "doc": doc})


def choice(default: str, options: tuple[str, ...], doc: str) -> Any:
    return field(default=default, metadata={"options": options, "doc": doc})


def text(doc: str) -> Any:
    return field(metadata={"doc": doc})


def photons(doc: str = "light of white, photons/s/pixel") -> Any:
    return number(WHITE_PHOTONS, 0, 1e12, doc)


class Scene:
    """Base of all scenes. Subclasses give `draw`, and `paste` if something moves."""

    name: ClassVar[str] = ""
    moving: bool = False

    def __post_init__(self) -> None:
        self._size: tuple[int, int] | None = None
        self._still = Radiance(np.zeros((0, 0), np.uint16), 1.0)
        self._live: U16Map | None = None
        self._pasted: tuple[slice, slice] | None = None

    def draw(self, width: int, height: int) -> Radiance:
        """The still picture, or the background of a moving one."""
        raise NotImplementedError

    def paste(self, live: U16Map, still: U16Map, time_s: float) -> tuple[slice, slice]:
        """Paint what moves into `live`, which equals `still`; returns the rectangle touched."""
        raise NotImplementedError

    def radiance(self, time_s: float, width: int, height: int) -> Radiance:
        """The light at `time_s` on a pixel array of `height` x `width`. Valid until the next call."""
        if self._size != (width, height):
            self._still = self.draw(width, height)
            self._live = self._still.steps.copy() if self.moving else None
            self._pasted = None
            self._size = (width, height)
        if self._live is None:
            return self._still
        if self._pasted is not None:
            self._live[self._pasted] = self._still.steps[self._pasted]
        self._pasted = self.paste(self._live, self._still.steps, time_s)
        return Radiance(self._live, self._still.photons_per_s_per_step)


@dataclass
class Target(Scene):
    """Resolution chart on a gradient, with a bullseye moving over it."""

    name: ClassVar[str] = "target"
    moving: ClassVar[bool] = True  # type: ignore[misc]
    photons: float = photons()
    period: float = number(6.0, 0.1, 3600, "seconds the bullseye takes for one round")

    def draw(self, width: int, height: int) -> Radiance:
        return Radiance(charts.target(width, height), self.photons / 65535)

    def paste(self, live: U16Map, still: U16Map, time_s: float) -> tuple[slice, slice]:
        height, width = live.shape
        disc, inside = charts.bullseye(charts.bullseye_diameter(height))
        turn = 2 * math.pi * time_s / self.period
        x = (width - disc.shape[1]) * (0.5 + 0.46 * math.sin(turn - 0.54))
        y = (height - disc.shape[0]) * (0.45 + 0.35 * math.cos(2 * turn))
        return _paste_disc(live, disc, inside, round(x), round(y))


@dataclass
class Bar(Scene):
    """Bright vertical bar that sweeps across an even background."""

    name: ClassVar[str] = "bar"
    moving: ClassVar[bool] = True  # type: ignore[misc]
    photons: float = photons("light of the bar, photons/s/pixel")
    background: float = number(0.2, 0, 1, "light beside the bar, as a fraction of the bar's")
    bar_width: float = number(200, 1, 100000, "width of the bar, pixels")
    speed: float = number(1000, -1e6, 1e6, "pixels/s to the right")

    def draw(self, width: int, height: int) -> Radiance:
        level = round(self.background * 65535)
        return Radiance(np.full((height, width), level, np.uint16), self.photons / 65535)

    def paste(self, live: U16Map, still: U16Map, time_s: float) -> tuple[slice, slice]:
        width = live.shape[1]
        bar = min(int(self.bar_width), width)
        left = round(self.speed * time_s) % width
        live[:, left : left + bar] = 65535
        overlap = left + bar - width
        if overlap <= 0:
            return slice(None), slice(left, left + bar)
        live[:, :overlap] = 65535
        return slice(None), slice(None)


@dataclass
class Uniform(Scene):
    """Even light on every pixel, as from an integrating sphere."""

    name: ClassVar[str] = "uniform"
    photons: float = photons("light, photons/s/pixel")

    def draw(self, width: int, height: int) -> Radiance:
        return Radiance(np.full((height, width), 65535, np.uint16), self.photons / 65535)


@dataclass
class Gradient(Scene):
    """Linear ramp from dark to bright."""

    name: ClassVar[str] = "gradient"
    photons: float = photons("light at the bright end, photons/s/pixel")
    dark: float = number(0.0, 0, 1, "light at the dark end, as a fraction of the bright end's")
    axis: str = choice("x", ("x", "y", "diagonal"), "direction")

    def draw(self, width: int, height: int) -> Radiance:
        x = np.linspace(0, 1, width, dtype=np.float32)[None, :]
        y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
        ramp = {"x": x + 0 * y, "y": y + 0 * x, "diagonal": (x + y) / 2}[self.axis]
        steps = np.rint((self.dark + (1 - self.dark) * ramp) * 65535).astype(np.uint16)
        return Radiance(steps, self.photons / 65535)


@dataclass
class ImageFile(Scene):
    """Picture from a file (PNG, TIFF, whatever Pillow reads), scaled to the sensor."""

    name: ClassVar[str] = "image"
    path: str = text("the file")
    photons: float = photons("light of the format's white, photons/s/pixel")
    fit: str = choice("cover", ("cover", "contain", "stretch"), "cut, pad or distort to the sensor's shape")
    gamma: float = number(1.0, 0.1, 10, "light = value ** gamma; 2.2 undoes a display's coding")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._reflectance = _load_image(Path(self.path))

    def draw(self, width: int, height: int) -> Radiance:
        picture = Image.fromarray(self._reflectance)
        fx, fy = width / picture.width, height / picture.height
        if self.fit == "stretch":
            size = (width, height)
        else:
            f = max(fx, fy) if self.fit == "cover" else min(fx, fy)
            size = (max(1, round(picture.width * f)), max(1, round(picture.height * f)))
        if size != picture.size:
            picture = picture.resize(size, Image.Resampling.BICUBIC)
        left, top = (size[0] - width) // 2, (size[1] - height) // 2
        picture = picture.crop((left, top, left + width, top + height))  # outside the picture: 0
        light = np.clip(np.asarray(picture, np.float32), 0, 1) ** np.float32(self.gamma)
        return Radiance(np.rint(light * 65535).astype(np.uint16), self.photons / 65535)


LightFunction = Callable[[float, int, int], npt.ArrayLike]


class Function(Scene):
    """Light computed by a Python function (time_s, width, height) -> photons/s/pixel."""

    name: ClassVar[str] = "function"

    def __init__(self, function: LightFunction, *, moving: bool = True) -> None:
        super().__post_init__()
        self.function = function
        self.moving = moving

    def draw(self, width: int, height: int) -> Radiance:
        return self._light(0.0, width, height)

    def radiance(self, time_s: float, width: int, height: int) -> Radiance:
        if self.moving:
            return self._light(time_s, width, height)
        return super().radiance(time_s, width, height)

    def _light(self, time_s: float, width: int, height: int) -> Radiance:
        light = radiance_of(self.function(time_s, width, height))
        if light.steps.shape != (height, width):
            got = "x".join(map(str, reversed(light.steps.shape)))
            raise SceneError(f"scene function: returned {got} pixels, the sensor has {width}x{height}")
        return light


@dataclass
class NamedFunction(Function):
    """Light computed by a Python function: call=MODULE:NAME, (time_s, width, height) -> photons/s/pixel."""

    name: ClassVar[str] = "python"
    call: str = text("MODULE:NAME of the function")
    still: str = choice("no", ("yes", "no"), "whether it is called only once")

    def __post_init__(self) -> None:
        module, colon, attribute = self.call.partition(":")
        if not colon or not module or not attribute:
            raise SceneError(f"scene python: call={self.call} must be MODULE:NAME")
        try:
            function = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise SceneError(f"scene python: call={self.call}: {error}") from None
        if not callable(function):
            raise SceneError(f"scene python: call={self.call} is not callable")
        Function.__init__(self, function, moving=self.still == "no")


SCENES: dict[str, type[Scene]] = {
    c.name: c for c in (Target, Bar, Uniform, Gradient, ImageFile, NamedFunction)
}
DEFAULT_SCENE = "target"


@dataclass(frozen=True)
class Parameter:
    """One key of a scene's text form, for listings. `default` is None where a value must be given."""

    name: str
    default: float | str | None
    doc: str


def scene_doc(name: str) -> str:
    """One line on the scene called `name`."""
    return (SCENES[name].__doc__ or "").splitlines()[0]


def scene_parameters(name: str) -> list[Parameter]:
    """The keys the scene called `name` takes."""
    return [
        Parameter(f.name, None if f.default is MISSING else f.default, f.metadata["doc"])
        for f in _parameter_fields(SCENES[name])
    ]


def parse_scene(description: str) -> Scene:
    """The scene of "NAME" or "NAME:key=value,..."; an empty name is the default scene. Raises SceneError."""
    name, _, rest = description.partition(":")
    name = name.strip() or DEFAULT_SCENE
    if name not in SCENES:
        raise SceneError(f"unknown scene {name!r}{hint(name, SCENES)}")
    known = {f.name: f for f in _parameter_fields(SCENES[name])}
    values: dict[str, float | str] = {}
    for item in filter(None, (part.strip() for part in rest.split(","))):
        key, equals, value = (part.strip() for part in item.partition("="))
        if not equals:
            raise SceneError(f"scene {name}: {item!r} must be key=value")
        if key not in known:
            raise SceneError(f"scene {name}: unknown key {key!r}{hint(key, known)}")
        if key in values:
            raise SceneError(f"scene {name}: {key} is given twice")
        values[key] = _value(name, known[key], value)
    for key, parameter in known.items():
        if parameter.default is MISSING and key not in values:
            raise SceneError(f"scene {name}: {key}= is missing ({parameter.metadata['doc']})")
    return SCENES[name](**values)


def _parameter_fields(scene: type[Scene]) -> list[Field[Any]]:
    return [f for f in fields(scene) if f.init and "doc" in f.metadata]  # type: ignore[arg-type]


def _value(scene: str, parameter: Field[Any], value: str) -> float | str:
    limits = parameter.metadata
    if "options" in limits:
        if value not in limits["options"]:
            raise SceneError(
                f"scene {scene}: {parameter.name}={value} must be {' or '.join(limits['options'])}"
            )
        return value
    if "low" not in limits:
        return value
    try:
        result = float(value)
    except ValueError:
        raise SceneError(f"scene {scene}: {parameter.name}={value} is not a number") from None
    if not limits["low"] <= result <= limits["high"]:
        raise SceneError(
            f"scene {scene}: {parameter.name}={value} must be in {limits['low']:g} .. {limits['high']:g}"
        )
    return result


def _paste_disc(
    live: U16Map, disc: U16Map, inside: npt.NDArray[np.bool_], x: int, y: int
) -> tuple[slice, slice]:
    """Paste `disc` where `inside`, at (x, y), cut off at the edges."""
    height, width = live.shape
    top, bottom = max(0, y), min(height, y + disc.shape[0])
    left, right = max(0, x), min(width, x + disc.shape[1])
    box = slice(top, bottom), slice(left, right)
    source = slice(top - y, bottom - y), slice(left - x, right - x)
    np.copyto(live[box], disc[source], where=inside[source])
    return box


def _load_image(path: Path) -> FloatMap:
    """reflectance: float32 (height, width), 1 = the format's white (float files: brightest pixel)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as file:
                if file.mode in ("F", "I"):
                    values = np.asarray(file, np.float32)
                    top = 65535.0 if file.mode == "I" else float(values.max(initial=0.0))
                elif file.mode.startswith("I;16"):
                    values, top = np.asarray(file, np.float32), 65535.0
                else:
                    values, top = np.asarray(file.convert("L"), np.float32), 255.0
    except FileNotFoundError:
        raise SceneError(f"scene image: path={path}: no such file") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise SceneError(f"scene image: path={path}: larger than {Image.MAX_IMAGE_PIXELS} pixels") from None
    except (OSError, ValueError, SyntaxError) as error:
        reason = "not an image Pillow can read" if isinstance(error, UnidentifiedImageError) else error
        raise SceneError(f"scene image: path={path}: {reason}") from None
    if not top > 0 or not np.isfinite(values).all():
        raise SceneError(f"scene image: path={path}: no light in it")
    return np.ascontiguousarray(values / np.float32(top))
