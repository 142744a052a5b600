"""What a scene is: light per pixel over the whole pixel array of a sensor, at a time.

A scene draws a picture of relative light (1 = white), grey or RGB; from it, what the pixels behind the
sensor's colour filters get is computed once and kept as a uint16 canvas. What changes from frame to frame then
costs little: a `Radiance` may say for every sensor row which canvas row it sees, shifted how far, dimmed how
much. Drift, rolling-shutter skew, vignetting and flicker are nothing but those vectors. With a rolling shutter
every row is seen at its own time.

Give each frame source a scene of its own; one call at a time. A radiance is valid until the next call.

State: the canvases that some scene holds, so that equal scenes need only one. Always true: nobody writes to a canvas
that may be shared.
"""

import math
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from frames.sensor import Sensor

U16Map = npt.NDArray[np.uint16]
FloatMap = npt.NDArray[np.float32]
Times = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Mosaic = tuple[tuple[int, int], tuple[int, int]]

WHITE_PHOTONS = 1.5e6  # photons/s/pixel: about 94 % of saturation in 10 ms at a quantum efficiency of 0.67
BANDS_NM = ((580, 700), (490, 580), (400, 490))  # what red, green and blue of a picture stand for


_canvases: "weakref.WeakValueDictionary[tuple[object, ...], U16Map]" = weakref.WeakValueDictionary()


class SceneError(ValueError):
    """A scene that cannot be; one line for a person."""


def _one(wavelength_nm: float) -> tuple[float, ...]:
    return (1.0,)


@dataclass(frozen=True)
class Eye:
    """What of a sensor decides which light its pixels get. `mosaic`: channel of each pixel of a 2x2 cell.
    `response(nm)`: relative response of each channel to monochromatic light. `charge_spread`: part of a pixel's
    charge that each of its neighbours along an axis gets.
    """

    pixel_pitch_um: float = 3.45
    mosaic: Mosaic | None = None
    response: Callable[[float], tuple[float, ...]] = _one
    charge_spread: float = 0.0

    @staticmethod
    def of(sensor: Sensor) -> "Eye":
        spread = sensor.charge_spread_percent / 100
        return Eye(sensor.pixel_pitch_um, sensor.mosaic, sensor.response, spread)

    def weights(self, wavelength_nm: float) -> FloatMap:
        """float32 (channels, 3): signal of each channel from red, green and blue light of the picture.

        0 nm is white light with as many photons at every wavelength. Monochrome sensors take photons to be at
        their reference wavelength then, so white gives 1.
        """
        if wavelength_nm:
            inside = [low < wavelength_nm <= high for low, high in BANDS_NM]
            if not any(inside):  # ultraviolet and infrared: as blue and as red
                inside = [wavelength_nm > 700, False, wavelength_nm <= 400]
            return np.outer(self.response(wavelength_nm), inside).astype(np.float32)
        table = []
        for low, high in BANDS_NM:
            band = [self.response(nm) for nm in np.arange(low + 2.5, high, 5)]
            table.append(np.mean(band, axis=0) * (high - low) / 300)
        weights = np.array(table, np.float32).T
        return weights if self.mosaic is not None else weights / weights.sum()

    def white(self) -> float:
        """White photons of 400 .. 700 nm that do the work of one photon of a scene without wavelength."""
        if self.mosaic is not None:
            return 1.0
        return 1 / float(np.mean([self.response(nm)[0] for nm in range(402, 700, 5)]))


@dataclass(frozen=True)
class Shutter:
    """When rows are exposed: row `first_row` at the start, every other `line_time_s` later (0: all at once)."""

    exposure_s: float = 0.0
    line_time_s: float = 0.0
    first_row: int = 0

    def times(self, time_s: float, height: int) -> Times:
        """float64 (height,): start of each row's exposure, s."""
        times: Times = time_s + (np.arange(height, dtype=np.float64) - self.first_row) * self.line_time_s
        return times


@dataclass(frozen=True)
class Radiance:
    """Light by rows: sensor row y sees `steps[row_y[y], row_x[y]:]`, times `row_gain[y] * column_gain`.

    `steps`: uint16 (canvas height, canvas width); times `photons_per_s_per_step` gives photons/s/pixel, for
    colour sensors photons that pass the pixel's filter. None: row y at column 0, and 1.
    """

    steps: U16Map
    photons_per_s_per_step: float
    row_y: Rows | None = None
    row_x: Rows | None = None
    row_gain: FloatMap | None = None
    column_gain: FloatMap | None = None

    def seen(self, width: int, height: int) -> U16Map:
        """uint16 (height, width): the part of the canvas that is seen, without the gains."""
        if self.row_y is None and self.row_x is None:
            return self.steps[:height, :width]
        y = np.arange(height) if self.row_y is None else self.row_y
        x = np.zeros(height, np.int64) if self.row_x is None else self.row_x
        canvas: U16Map = self.steps[y[:, None], x[:, None] + np.arange(width)]
        return canvas

    def photons_per_s(self, width: int = 0, height: int = 0) -> FloatMap:
        """photons: float32 (height, width), photons/s/pixel."""
        light = self.seen(width or self.steps.shape[1], height or self.steps.shape[0])
        photons: FloatMap = light * np.float32(self.photons_per_s_per_step)
        if self.row_gain is not None:
            photons *= self.row_gain[:, None]
        if self.column_gain is not None:
            photons *= self.column_gain
        return photons


def expose(
    picture: FloatMap, eye: Eye, weights: FloatMap | None = None, phase: tuple[int, int] = (0, 0)
) -> U16Map:
    """The canvas of a picture, float32 (h, w) or (h, w, k), 0 .. 1, behind the eye's filters: uint16 (h, w),
    65535 = 1 in every channel at full response. `weights` (channels, k): what each channel gets of the picture's
    parts, by default of white light's red, green and blue. `phase` (y, x) moves the mosaic.
    """
    weights = eye.weights(0) if weights is None else weights
    light = picture if picture.ndim == 3 else picture[:, :, None]
    if picture.ndim == 2:
        weights = weights.sum(axis=1, keepdims=True)
    out = np.empty(picture.shape[:2], np.uint16)
    if eye.mosaic is None:
        _steps(light, weights[:1], out)
        return out
    for dy in (0, 1):
        row = np.array(eye.mosaic[(dy + phase[0]) & 1])[(np.arange(picture.shape[1]) + phase[1]) & 1]
        _steps(light[dy::2], weights[row], out[dy::2])
    return out


def _steps(light: FloatMap, weights: FloatMap, out: U16Map) -> None:
    """light (h, w, k) times weights (w or 1, k), summed over k, as steps."""
    values = light[:, :, 0] * (weights[:, 0] * np.float32(65535))
    for k in range(1, weights.shape[1]):
        values += light[:, :, k] * (weights[:, k] * np.float32(65535))
    np.rint(values, out=values)
    np.clip(values, 0, 65535, out=values)
    out[:] = values


def number(default: float, low: float, high: float, doc: str) -> Any:
    return field(default=default, metadata={"low": low, "high": high, "doc": doc})


def choice(default: str, options: tuple[str, ...], doc: str) -> Any:
    return field(default=default, metadata={"options": options, "doc": doc})


def text(doc: str, default: str | None = None) -> Any:
    if default is None:
        return field(metadata={"doc": doc})
    return field(default=default, metadata={"doc": doc})


def common(default: float, low: float, high: float, doc: str) -> Any:
    return field(default=default, metadata={"low": low, "high": high, "doc": doc, "common": True})


@dataclass(kw_only=True)
class Scene:
    """Base of all scenes, and the keys that all of them take. Subclasses give `draw`; those that do not
    stand still or drift also override `look`.
    """

    name: ClassVar[str] = ""
    pure: ClassVar[bool] = False
    """Whether the picture follows from the keys alone, so that equal scenes may share one canvas."""
    photons: float = common(WHITE_PHOTONS, 0, 1e12, "light of white, photons/s/pixel")
    lux: float = common(0, 0, 1e6, "light on a white object, lux, through a lens; 0: by photons")
    fnumber: float = common(4, 0.5, 64, "f-number of the lens, with lux")
    nm: float = common(0, 0, 2000, "wavelength of the light, nm; 0: white")
    drift_x: float = common(
        0, -1e6, 1e6, "speed of a still picture to the right, pixels/s; it repeats itself"
    )
    drift_y: float = common(0, -1e6, 1e6, "speed of a still picture downwards, pixels/s")
    defocus: float = common(0, 0, 500, "blur of the lens, standard deviation in pixels")
    vignetting: float = common(0, 0, 0.95, "light lost in the corners, as a fraction")
    flicker: float = common(0, 0, 1, "flicker of the lamp, peak deviation as a fraction")
    flicker_hz: float = common(100, 0.01, 1e5, "frequency of the flicker")

    def __post_init__(self) -> None:
        self._canvas: tuple[object, U16Map] | None = None
        if self.lux and self.photons != WHITE_PHOTONS:
            raise SceneError(
                f"scene {self.name}: photons and lux both say how bright white is; give one of them"
            )

    def _refuse(self, *keys: str) -> None:
        """Raises SceneError if one of these common keys is given, which do not go with this scene."""
        for f in fields(self):
            if f.name in keys and getattr(self, f.name) != f.default:
                raise SceneError(f"scene {self.name}: {f.name} does not go with it")

    @property
    def moving(self) -> bool:
        """Whether two frames may differ in light."""
        return bool(self.drift_x or self.drift_y or self.flicker)

    def release(self) -> None:
        """Let go of what has been drawn; the next frame draws it again."""
        self._canvas = None

    def close(self) -> None:
        """Let go of files and memory, if any; the scene is not used any more."""

    def draw(self, width: int, height: int) -> FloatMap:
        """The picture: float32 (height, width) or (height, width, 3), 0 .. 1."""
        raise NotImplementedError

    def look(self, times: Times, width: int, height: int, eye: Eye, blur_px: tuple[int, int]) -> Radiance:
        """What rows seen at `times` see, in units of white. `blur_px` (x, y): drift during the exposure."""
        key = (width, height, eye, blur_px, self.nm, self.defocus)
        if self._canvas is None or self._canvas[0] != key:
            self._canvas = (key, self._shared(key, lambda: self._expose_picture(width, height, eye, blur_px)))
        canvas = self._canvas[1]
        if not (self.drift_x or self.drift_y):
            return Radiance(canvas, 1 / 65535)
        x, y = (np.rint(times * v).astype(np.int64) for v in (self.drift_x, self.drift_y))
        row_x, row_y = -x % width, (np.arange(height) - y) % height
        if eye.mosaic is not None:  # the copy whose filters are the sensor's at this shift
            row_y += height * (2 * ((row_y ^ np.arange(height)) & 1) + (row_x & 1))
        return Radiance(canvas, 1 / 65535, row_y, row_x)

    def _shared(self, key: tuple[object, ...], draw: Callable[[], U16Map]) -> U16Map:
        """The canvas that an equal scene holds, if this one is pure and there is one; else a new one."""
        if not self.pure:
            return draw()
        own = tuple(getattr(self, f.name) for f in fields(self) if "common" not in f.metadata)
        whole = (type(self), own, key, bool(self.drift_x), bool(self.drift_y))
        canvas = _canvases.get(whole)
        if canvas is None:
            canvas = _canvases[whole] = draw()
        return canvas

    def _expose_picture(self, width: int, height: int, eye: Eye, blur_px: tuple[int, int]) -> U16Map:
        picture, weights = self.lit(width, height, eye)
        picture = box_blur(box_blur(self.through_lens(picture), blur_px[0], 1), blur_px[1], 0)
        picture = spread(picture, eye.charge_spread, "wrap" if self.drift_x or self.drift_y else "edge")
        return self._repeated(picture, eye, weights)

    def _repeated(self, picture: FloatMap, eye: Eye, weights: FloatMap) -> U16Map:
        """The canvas: beside itself if it drifts, and once for each shift of the colour filters."""
        if not (self.drift_x or self.drift_y):
            return expose(picture, eye, weights)
        picture = np.concatenate([picture, picture], axis=1) if self.drift_x else picture
        if eye.mosaic is None:
            return expose(picture, eye, weights)
        return np.concatenate([expose(picture, eye, weights, (dy, dx)) for dy in (0, 1) for dx in (0, 1)])

    def lit(self, width: int, height: int, eye: Eye) -> tuple[FloatMap, FloatMap]:
        """The picture, float32 (height, width[, k]), and what each channel gets of its parts, (channels, k)."""
        return self.draw(width, height), eye.weights(self.nm)

    def through_lens(self, picture: FloatMap) -> FloatMap:
        """The picture, out of focus if the scene says so."""
        return defocused(picture, self.defocus)

    def white_photons(self, eye: Eye) -> float:
        """Light of white on this sensor, photons/s/pixel.

        A white (Lambertian) object under E lux gives E / (4 N^2) lux behind a lens of f-number N.
        """
        if not self.lux:
            return self.photons
        per_lux_m2 = photons_per_lux_m2(self.nm) * (1 if self.nm else 1 / eye.white())
        return float(self.lux / (4 * self.fnumber**2) * per_lux_m2 * (eye.pixel_pitch_um * 1e-6) ** 2)

    def radiance(
        self,
        time_s: float,
        width: int,
        height: int,
        eye: Eye = Eye(),
        shutter: Shutter = Shutter(),
    ) -> Radiance:
        """The light on a pixel array of `height` x `width` in an exposure that starts at `time_s`."""
        times = shutter.times(time_s, height)
        blur_px = (
            round(abs(self.drift_x) * shutter.exposure_s),
            round(abs(self.drift_y) * shutter.exposure_s),
        )
        seen = self.look(
            times + shutter.exposure_s / 2,
            width,
            height,
            eye,
            (min(blur_px[0], width), min(blur_px[1], height)),
        )
        row_gain = seen.row_gain
        column_gain = seen.column_gain
        if self.vignetting:
            fall_x, fall_y = falloff(self.vignetting, width, height)
            row_gain = fall_y if row_gain is None else row_gain * fall_y
            column_gain = fall_x if column_gain is None else column_gain * fall_x
        if self.flicker:
            lamp = flicker(self.flicker, self.flicker_hz, times, shutter.exposure_s)
            row_gain = lamp if row_gain is None else row_gain * lamp
        scale = seen.photons_per_s_per_step * self.white_photons(eye)
        return Radiance(seen.steps, scale, seen.row_y, seen.row_x, row_gain, column_gain)


def flicker(depth: float, hz: float, times: Times, exposure_s: float) -> FloatMap:
    """float32 (rows,): mean of 1 + depth * sin(2 pi hz t) over each row's exposure."""
    middle = times + exposure_s / 2
    return (1 + depth * np.sinc(hz * exposure_s) * np.sin(2 * np.pi * hz * middle)).astype(np.float32)


def falloff(corner_loss: float, width: int, height: int) -> tuple[FloatMap, FloatMap]:
    """Light by column and by row: exp(-a r^2), which is close to cos^4, `corner_loss` lost in the corners."""
    a = -math.log(1 - corner_loss) / (width**2 + height**2)

    def along(n: int) -> FloatMap:
        x = 2 * np.arange(n) - (n - 1)
        return np.exp(-a * x.astype(np.float64) ** 2).astype(np.float32)

    return along(width), along(height)


def photons_per_lux_m2(wavelength_nm: float) -> float:
    """Photons/s/m^2 of one lux; 0 nm: white, as many photons at every wavelength of 400 .. 700 nm.

    683 lm/W at 555 nm (the definition of the candela) and a Gaussian for the eye's sensitivity.
    """
    band_um = np.array([wavelength_nm]) / 1000 if wavelength_nm else np.linspace(0.4, 0.7, 61)
    lumens_per_watt = 683 * 1.019 * np.exp(-285.4 * (band_um - 0.559) ** 2)
    joules = 6.62607015e-34 * 299792458 / (band_um * 1e-6)
    lux_per_photon = float((lumens_per_watt * joules).mean())
    return 1 / lux_per_photon


def box_blur(picture: FloatMap, length_px: int, axis: int) -> FloatMap:
    """Mean over `length_px` pixels along an axis, the picture repeating itself; 0 and 1 change nothing."""
    if length_px < 2:
        return picture
    total = np.cumsum(picture, axis=axis, dtype=np.float64)
    whole = np.take(total, [-1], axis=axis)
    before = np.roll(total, length_px, axis=axis)
    wrapped = [slice(None)] * picture.ndim
    wrapped[axis] = slice(0, length_px)
    before[tuple(wrapped)] -= whole
    out: FloatMap = np.roll((total - before) / length_px, -(length_px // 2), axis=axis).astype(np.float32)
    return out


def spread(picture: FloatMap, part: float, beyond: Literal["edge", "wrap"] = "edge") -> FloatMap:
    """The picture as the charge it makes has wandered: each pixel gives `part` of it to each of its neighbours along
    both axes. `beyond` the picture, it is extended or repeats itself. It comes before the colour filters, for
    response curves are measured with it.

    Its modulation transfer function along an axis is 1 - 2 part (1 - cos 2 pi f), f in cycles/pixel.
    """
    if part <= 0:
        return picture
    given = np.float32(part)
    for axis in (0, 1):
        along = np.moveaxis(picture, axis, 0)
        out = along * np.float32(1 - 2 * part)
        out[1:] += given * along[:-1]
        out[:-1] += given * along[1:]
        out[0] += given * along[0 if beyond == "edge" else -1]
        out[-1] += given * along[-1 if beyond == "edge" else 0]
        picture = np.moveaxis(out, 0, axis)
    return np.ascontiguousarray(picture)


def defocused(picture: FloatMap, sigma_px: float) -> FloatMap:
    """A Gaussian blur as the sum of shifted copies (small) or three box blurs (large); edges are extended."""
    if sigma_px <= 0:
        return picture
    margin = min(int(4 * sigma_px) + 1, *picture.shape[:2])
    edges = [(margin, margin), (margin, margin), (0, 0)][: picture.ndim]
    wide: FloatMap = np.pad(picture, edges, mode="edge").astype(np.float32)
    for axis in (0, 1):
        wide = _gauss(wide, sigma_px, axis)
    return np.ascontiguousarray(wide[margin:-margin, margin:-margin])


def _gauss(picture: FloatMap, sigma_px: float, axis: int) -> FloatMap:
    if sigma_px > 4:
        short = (math.floor(math.sqrt(4 * sigma_px**2 + 1)) - 1) // 2 * 2 + 1
        # three boxes, odd so that nothing shifts: the sum of their variances (n^2 - 1) / 12 is sigma^2
        count = round((12 * sigma_px**2 - 3 * short**2 + 3) / (4 * short + 4))
        for k in range(3):
            picture = box_blur(picture, short + 2 * (k < count), axis)
        return picture
    reach = math.ceil(3.5 * sigma_px)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma_px) ** 2)
    kernel /= kernel.sum()
    out = picture * np.float32(kernel[reach])
    for k in range(1, reach + 1):
        both = np.roll(picture, k, axis) + np.roll(picture, -k, axis)
        out += both * np.float32(kernel[reach + k])
    return out
