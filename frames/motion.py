"""Scenes in which something moves before a still background.

They keep a live copy of the background, paint what moves into it and mend it before the next frame, so that a
frame costs as much as the moving part. With a rolling shutter every row is painted as at its own time.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from frames import charts
from frames.light import (
    Eye,
    FloatMap,
    Radiance,
    Scene,
    SceneError,
    Times,
    U16Map,
    defocused,
    expose,
    number,
    spread,
)

Box = tuple[slice, slice]


@dataclass(kw_only=True)
class Painted(Scene):
    """Base. Subclasses give `draw` for the background and `paint`."""

    pure: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._refuse("drift_x", "drift_y")
        self._still: object = None
        self._live: U16Map = np.zeros((0, 0), np.uint16)
        self._touched: Box | None = None

    @property
    def moving(self) -> bool:
        return True

    def release(self) -> None:
        super().release()
        self._still = None
        self._live = np.zeros((0, 0), np.uint16)
        self._touched = None

    def paint(self, live: U16Map, times: Times, eye: Eye) -> Box:
        """Paint what moves into `live`, which equals the background; the rectangle touched."""
        raise NotImplementedError

    def look(self, times: Times, width: int, height: int, eye: Eye, blur_px: tuple[int, int]) -> Radiance:
        still = super().look(times, width, height, eye, blur_px).steps
        if self._still is not still:
            self._still = still
            self._live = still.copy()
        elif self._touched is not None:
            self._live[self._touched] = still[self._touched]
        self._touched = self.paint(self._live, times, eye)
        return Radiance(self._live, 1 / 65535)


@dataclass(kw_only=True)
class Target(Painted):
    """Resolution chart on a gradient, with a bullseye moving over it."""

    name: ClassVar[str] = "target"
    period: float = number(6.0, 0.1, 3600, "seconds the bullseye takes for one round")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._disc: tuple[object, list[U16Map], npt.NDArray[np.bool_]] | None = None

    def draw(self, width: int, height: int) -> FloatMap:
        return charts.target(width, height)

    def paint(self, live: U16Map, times: Times, eye: Eye) -> Box:
        height, width = live.shape
        diameter = charts.bullseye_diameter(height)
        discs, inside = self._discs(diameter, eye)
        turn = 2 * np.pi * times / self.period
        x = np.rint((width - diameter) * (0.5 + 0.46 * np.sin(turn - 0.54))).astype(np.int64)
        y = np.rint((height - diameter) * (0.45 + 0.35 * np.cos(2 * turn))).astype(np.int64)
        if times[0] == times[-1]:
            return paste(live, discs, inside, int(x[0]), int(y[0]))
        return paste_by_rows(live, discs, inside, x, y)

    def _discs(self, diameter: int, eye: Eye) -> tuple[list[U16Map], npt.NDArray[np.bool_]]:
        """The bullseye behind the colour filters, for the four places its corner may have in a cell."""
        key = (diameter, eye, self.nm, self.defocus)
        if self._disc is None or self._disc[0] != key:
            picture, inside = charts.bullseye(diameter)
            picture = spread(defocused(picture, self.defocus), eye.charge_spread)
            phases = [(dy, dx) for dy in (0, 1) for dx in (0, 1)] if eye.mosaic is not None else [(0, 0)] * 4
            self._disc = key, [expose(picture, eye, eye.weights(self.nm), p) for p in phases], inside
        return self._disc[1], self._disc[2]


def paste(live: U16Map, discs: list[U16Map], inside: npt.NDArray[np.bool_], x: int, y: int) -> Box:
    """Paste the sprite where `inside`, its corner at (x, y), cut off at the edges."""
    disc = discs[2 * (y & 1) + (x & 1)]
    top, bottom = max(0, y), min(live.shape[0], y + disc.shape[0])
    left, right = max(0, x), min(live.shape[1], x + disc.shape[1])
    box = slice(top, bottom), slice(left, right)
    source = slice(top - y, bottom - y), slice(left - x, right - x)
    np.copyto(live[box], disc[source], where=inside[source])
    return box


def paste_by_rows(
    live: U16Map,
    discs: list[U16Map],
    inside: npt.NDArray[np.bool_],
    x: npt.NDArray[np.int64],
    y: npt.NDArray[np.int64],
) -> Box:
    """The same with a corner for every row of `live`."""
    height, width = live.shape
    size = inside.shape[0]
    source = np.arange(height) - y
    rows = np.flatnonzero((source >= 0) & (source < size))
    for row in rows:
        k, left = int(source[row]), int(x[row])
        a, b = max(0, left), min(width, left + inside.shape[1])
        line = discs[2 * (int(y[row]) & 1) + (left & 1)][k, a - left : b - left]
        np.copyto(live[row, a:b], line, where=inside[k, a - left : b - left])
    if not rows.size:
        return slice(0, 0), slice(0, 0)
    left, right = int(x[rows].min()), int(x[rows].max()) + inside.shape[1]
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(max(0, left), max(0, min(width, right)))


@dataclass(frozen=True)
class _Face:
    """A board's face as `warp` wants it: black + pixel, times `steps` of the live copy, uint16."""

    pixels: npt.NDArray[np.uint32]
    black: np.float32
    steps: FloatMap

    @classmethod
    def of(cls, light: FloatMap, eye: Eye, nm: float) -> "_Face":
        low, high = float(light.min()), float(light.max())
        unit = max(high - low, 1e-6) / 255
        grey = np.rint((light - low) / unit).astype(np.uint32)
        two = grey | np.roll(grey, -1, axis=1) << np.uint32(8)
        four = two | np.roll(two, -1, axis=0) << np.uint32(16)
        weights = eye.weights(nm).sum(axis=1) * np.float32(65535 * unit)
        return cls(four, np.float32(low / unit), weights[np.array(eye.mosaic or ((0, 0), (0, 0)))])


@dataclass(kw_only=True)
class Board(Painted):
    """Base of flat calibration boards with a pose: position, turn and tilt, all swaying about a mean."""

    size: float = number(0.7, 0.05, 3, "height of the board, as a fraction of the picture's")
    turn: float = number(0, -180, 180, "turn in the picture plane, degrees")
    tilt: float = number(20, -60, 60, "tilt towards the camera, degrees")
    sway: float = number(15, 0, 20, "how far turn and tilt sway, degrees; 0: the board stands still")
    period: float = number(8, 0.1, 3600, "seconds of one sway")
    columns: float = number(9, 2, 100, "fields in a row")
    rows: float = number(7, 2, 100, "rows of fields")

    def __post_init__(self) -> None:
        super().__post_init__()
        reach = self.size / 2 * math.hypot(1, self.columns / self.rows)
        if reach > 2.5:  # the lens is three heights away
            raise SceneError(
                f"scene {self.name}: the board reaches the lens; size or columns must be smaller"
            )
        self._drawn: tuple[object, _Face] | None = None

    @property
    def moving(self) -> bool:
        return bool(self.sway or self.flicker)

    def board(self, field_px: int) -> FloatMap:
        """The board's face, float32, fields of `field_px` pixels."""
        raise NotImplementedError

    def draw(self, width: int, height: int) -> FloatMap:
        return np.full((height, width), 0.25, np.float32)

    def paint(self, live: U16Map, times: Times, eye: Eye) -> Box:
        from frames._warp import warp

        height, width = live.shape
        face = self._face(height, eye)
        h, w = shape = face.pixels.shape
        poses = [self.homography(float(t), shape, width, height) for t in (times[0], times[-1])]
        corners = np.array([[0, w, w, 0], [0, 0, h, h], [1, 1, 1, 1]])
        seen = np.concatenate([m @ corners for m in poses], axis=1)
        x, y = seen[0] / seen[2], seen[1] / seen[2]
        y0, y1 = max(0, int(y.min())), min(height, int(y.max()) + 2)
        x0, x1 = max(0, int(x.min())), min(width, int(x.max()) + 2)
        inverse = [np.linalg.inv(m) for m in poses]
        box = np.array([y0, y1, x0, x1])
        warp(face.pixels, face.black, inverse[0], inverse[1], live, box, face.steps)
        return slice(y0, y1), slice(x0, x1)

    def _face(self, height: int, eye: Eye) -> "_Face":
        field_px = max(2, round(self.size * height / self.rows))
        key = (field_px, self.defocus, eye, self.nm)
        if self._drawn is None or self._drawn[0] != key:
            self._drawn = key, _Face.of(defocused(self.board(field_px), self.defocus), eye, self.nm)
        return self._drawn[1]

    def homography(
        self, time_s: float, face: tuple[int, ...], width: int, height: int
    ) -> npt.NDArray[np.float64]:
        """float64 (3, 3): pixels (u, v, 1) of the board's face to pixels of the picture at a time."""
        phase = 2 * math.pi * time_s / self.period
        roll = math.radians(self.turn + self.sway * math.sin(phase))
        pitch = math.radians(self.tilt + self.sway * math.cos(phase))
        yaw = math.radians(self.sway * math.sin(phase + 1))
        r = _about(2, roll) @ _about(1, yaw) @ _about(0, pitch)
        scale = self.size * height / face[0]
        place = np.array([0.08 * width * math.sin(phase), 0.05 * height * math.cos(phase), 0]) * bool(
            self.sway
        )
        distance = 3.0 * height
        u, v = r[:, 0] * scale, r[:, 1] * scale
        at = place - u * face[1] / 2 - v * face[0] / 2 + [0, 0, distance]
        camera = np.array([[distance, 0, width / 2], [0, distance, height / 2], [0, 0, 1]])
        pose: npt.NDArray[np.float64] = camera @ np.stack([u, v, at], axis=1)
        return pose


def _about(axis: int, angle: float) -> npt.NDArray[np.float64]:
    a, b = [k for k in range(3) if k != axis]
    r = np.eye(3)
    r[a, a] = r[b, b] = math.cos(angle)
    r[b, a] = math.sin(angle)
    r[a, b] = -r[b, a]
    return r


@dataclass(kw_only=True)
class Checkerboard(Board):
    """Checkerboard whose pose sways."""

    name: ClassVar[str] = "checkerboard"

    def board(self, field_px: int) -> FloatMap:
        return charts.with_margin(
            charts.checkerboard(int(self.columns), int(self.rows), field_px), field_px // 2
        )


@dataclass(kw_only=True)
class Dots(Board):
    """Grid of dots whose pose sways."""

    name: ClassVar[str] = "dots"

    def board(self, field_px: int) -> FloatMap:
        return charts.with_margin(charts.dots(int(self.columns), int(self.rows), field_px), field_px // 2)


@dataclass(kw_only=True)
class Charuco(Board):
    """Checkerboard with ArUco markers (original dictionary, 5x5) whose pose sways."""

    name: ClassVar[str] = "charuco"

    def board(self, field_px: int) -> FloatMap:
        return charts.with_margin(charts.charuco(int(self.columns), int(self.rows), field_px), field_px // 2)
