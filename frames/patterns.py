"""Test patterns that stand still, or drift as a whole: all that a picture drawn once can show."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from frames import charts, spectra
from frames.light import Eye, FloatMap, Scene, choice, number


def grid(width: int, height: int) -> tuple[FloatMap, FloatMap]:
    """x, y of pixel centres from the middle of the picture: float32 (1, width) and (height, 1)."""
    x = np.arange(width, dtype=np.float32) - np.float32((width - 1) / 2)
    y = np.arange(height, dtype=np.float32) - np.float32((height - 1) / 2)
    return x[None, :], y[:, None]


def turned(width: int, height: int, degrees: float) -> tuple[FloatMap, FloatMap]:
    """`grid` turned by an angle: two float32 (height, width)."""
    x, y = grid(width, height)
    co, si = np.float32(np.cos(np.deg2rad(degrees))), np.float32(np.sin(np.deg2rad(degrees)))
    return co * x + si * y, co * y - si * x


def edge_profile(
    angle_rad: float, sigma_px: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Signal of square pixels beside a straight edge between 0 and 1, seen through a Gaussian lens: distances of
    the pixel's middle from the edge, pixels, and the signal there, two float64 (n,).

    Across the edge a square pixel is one box after another, of lengths |cos| and |sin| of the edge's turn.
    """
    step_px = 1 / 256
    reach_px = 1.5 + 5 * sigma_px
    at = np.arange(-reach_px, reach_px, step_px)
    at -= at.mean()
    if sigma_px > 0:
        edge = np.array([0.5 * math.erfc(-d / (sigma_px * math.sqrt(2))) for d in at])
    else:
        edge = (at > 0) + 0.5 * (at == 0)
    for length_px in (abs(math.cos(angle_rad)), abs(math.sin(angle_rad))):
        if length_px > step_px:
            total = np.concatenate([[0], np.cumsum((edge[1:] + edge[:-1]) / 2) * step_px])
            ahead, behind = at + length_px / 2, at - length_px / 2
            beyond = np.maximum(0, ahead - at[-1])  # the edge is 1 there
            edge = (np.interp(ahead, at, total) + beyond - np.interp(behind, at, total)) / length_px
    return at, edge


class Pattern(Scene):
    """Base of scenes whose picture follows from their keys."""

    pure: ClassVar[bool] = True


@dataclass(kw_only=True)
class Uniform(Pattern):
    """Even light on every pixel, as from an integrating sphere: the bench of EMVA 1288."""

    name: ClassVar[str] = "uniform"

    def draw(self, width: int, height: int) -> FloatMap:
        return np.ones((height, width), np.float32)


@dataclass(kw_only=True)
class Gradient(Pattern):
    """Ramp from dark to bright, straight or from the rim to the middle."""

    name: ClassVar[str] = "gradient"
    dark: float = number(0.0, 0, 1, "light at the dark end, as a fraction of the bright end's")
    axis: str = choice("x", ("x", "y", "diagonal", "radial"), "direction")

    def draw(self, width: int, height: int) -> FloatMap:
        x = np.linspace(0, 1, width, dtype=np.float32)[None, :]
        y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
        ramps: dict[str, npt.NDArray[np.floating]] = {
            "x": x + 0 * y,
            "y": y + 0 * x,
            "diagonal": (x + y) * np.float32(0.5),
            "radial": 1 - np.hypot(2 * x - 1, 2 * y - 1) / np.float32(2**0.5),
        }
        return (self.dark + (1 - self.dark) * ramps[self.axis]).astype(np.float32)


@dataclass(kw_only=True)
class Wedge(Pattern):
    """Grey patches in equal steps of light or of density (stops)."""

    name: ClassVar[str] = "wedge"
    steps: float = number(16, 2, 4096, "number of patches")
    stops: float = number(0, 0, 20, "from black to white in stops; 0: equal steps of light from 0 to white")

    def draw(self, width: int, height: int) -> FloatMap:
        count = int(self.steps)
        patch = np.arange(width) * count // width / (count - 1)
        row = np.where(self.stops > 0, 2.0 ** (self.stops * (patch - 1)), patch)
        return np.tile(row.astype(np.float32), (height, 1))


@dataclass(kw_only=True)
class Edge(Pattern):
    """Slanted edge (ISO 12233), for the modulation transfer function, which is that of pixel aperture, charge
    spread and defocus."""

    name: ClassVar[str] = "edge"
    angle: float = number(5, -45, 45, "turn of the edge against the columns, degrees")
    dark: float = number(0.1, 0, 1, "light on the left, as a fraction of white")

    def draw(self, width: int, height: int) -> FloatMap:
        """float32 (height, width): exact, the lens's blur (`defocus`) and the pixels' square aperture included."""
        x, _ = turned(width, height, self.angle)
        distance_px, covered = edge_profile(math.radians(self.angle), self.defocus)
        light = self.dark + (1 - self.dark) * np.interp(x, distance_px, covered)
        return light.astype(np.float32)

    def through_lens(self, picture: FloatMap) -> FloatMap:
        return picture


@dataclass(kw_only=True)
class Star(Pattern):
    """Siemens star that fills the picture."""

    name: ClassVar[str] = "star"
    spokes: float = number(36, 2, 720, "pairs of black and white")

    def draw(self, width: int, height: int) -> FloatMap:
        x, y = grid(width, height)
        r = np.hypot(x, y)
        wave = np.sin(np.float32(self.spokes) * np.arctan2(y, x))
        soft = np.clip(wave * r / self.spokes, -0.5, 0.5) + 0.5
        return (charts.BLACK + (charts.WHITE - charts.BLACK) * soft).astype(np.float32)


@dataclass(kw_only=True)
class Lines(Pattern):
    """Sine grating; as fine as Nyquist."""

    name: ClassVar[str] = "lines"
    pitch: float = number(16, 2, 100000, "period, pixels")
    angle: float = number(0, -180, 180, "turn of the lines against the columns, degrees")
    contrast: float = number(1, 0, 1, "(bright - dark) / (bright + dark)")

    def draw(self, width: int, height: int) -> FloatMap:
        x, _ = turned(width, height, self.angle)
        wave = np.cos(x * np.float32(2 * np.pi / self.pitch))
        light: FloatMap = (1 + self.contrast * wave) / (1 + self.contrast)
        return light


def patch_numbers(width: int, height: int) -> npt.NDArray[np.int64]:
    """Which of 6 x 4 patches a pixel sees, row by row from 0; 24 is the black between them: int64 (height, width)."""
    x, y = np.arange(width) * 6 / width, np.arange(height) * 4 / height
    numbers = y.astype(np.int64)[:, None] * 6 + x.astype(np.int64)[None, :]
    gap = (np.abs(y % 1 - 0.5)[:, None] > 0.46) | (np.abs(x % 1 - 0.5)[None, :] > 0.46)
    numbers[gap] = 24
    return numbers


@dataclass(kw_only=True)
class ColorChecker(Pattern):
    """Colour chart of 24 patches by their measured spectra, under a lamp of a known spectrum."""

    name: ClassVar[str] = "colorchecker"
    illuminant: str = choice("D65", spectra.ILLUMINANTS, "spectrum of the lamp, CIE")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._refuse("nm", "lux", "fnumber")

    def lit(self, width: int, height: int, eye: Eye) -> tuple[FloatMap, FloatMap]:
        signals = spectra.chart_signals(self.illuminant, eye.response)
        channels = signals.shape[1]
        if eye.mosaic is None:  # photons are at the reference wavelength then: white is 1
            white = spectra.lamp_photons(self.illuminant) @ [
                eye.response(float(nm))[0] for nm in spectra.BAND_NM
            ]
            signals = signals / np.float32(white)
        return signals[patch_numbers(width, height)], np.eye(channels, dtype=np.float32)


@dataclass(kw_only=True)
class Colours(Pattern):
    """Chart of 24 patches: primaries, mixtures, browns and skin, six greys. Grey on monochrome sensors."""

    name: ClassVar[str] = "colours"
    PATCHES: ClassVar[tuple[int, ...]] = (
        *(0xE01010, 0x10C020, 0x1020D0, 0xF0E010, 0xE010C0, 0x10C0E0),
        *(0xF08010, 0x6010A0, 0xA0F020, 0xF09090, 0x104080, 0x80F0C0),
        *(0x402010, 0x704020, 0xB07040, 0xE0B090, 0xF0D8C0, 0x305020),
        *(0xF8F8F8, 0xC0C0C0, 0x909090, 0x606060, 0x303030, 0x080808),
    )

    def draw(self, width: int, height: int) -> FloatMap:
        rgb = np.array([[c >> 16, c >> 8 & 255, c & 255] for c in self.PATCHES]) / np.float32(255)
        patches = (np.append(rgb**2.2, [[0.02] * 3], axis=0)).astype(np.float32)[patch_numbers(width, height)]
        light: FloatMap = patches
        return light


@dataclass(kw_only=True)
class Bar(Pattern):
    """Bright vertical bar that sweeps across an even background."""

    name: ClassVar[str] = "bar"
    background: float = number(0.2, 0, 1, "light beside the bar, as a fraction of white")
    bar_width: float = number(200, 1, 100000, "width of the bar, pixels")
    speed: float = number(1000, -1e6, 1e6, "pixels/s to the right")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.drift_x = self.drift_x or self.speed

    def draw(self, width: int, height: int) -> FloatMap:
        light = np.full((height, width), self.background, np.float32)
        light[:, : int(self.bar_width)] = 1
        return light


@dataclass(kw_only=True)
class Conveyor(Pattern):
    """Parts on a belt: washers, nuts, bolts and a bar code, lit from above; some are faulty."""

    name: ClassVar[str] = "conveyor"
    speed: float = number(1000, -1e6, 1e6, "pixels/s to the right")
    parts: float = number(12, 1, 500, "parts in one picture")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.drift_x = self.drift_x or self.speed

    def draw(self, width: int, height: int) -> FloatMap:
        return charts.conveyor(width, height, int(self.parts))
