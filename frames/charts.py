"""The drawings behind the `target` scene: uint16 maps, 65535 = white; sizes follow the sensor height."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

U16Map = npt.NDArray[np.uint16]
FloatMap = npt.NDArray[np.float32]

BLACK, WHITE = 0.03, 1.0


def target(width: int, height: int) -> U16Map:
    """Siemens star, line groups, slanted edge, checkerboard and grey wedge on a gradient."""
    u = height / 2176
    x = np.linspace(0, 1, width, dtype=np.float32)[None, :]
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    light = 0.30 + 0.32 * x - 0.16 * y
    cx, cy = width // 2, int(height * 0.5)
    _put(light, _star(int(660 * u), 36), cx, cy)
    for side in (-1, 1):
        _line_groups(light, int(cx + side * 1330 * u), int(680 * u), u, vertical=side < 0)
    _put(light, _slanted_edge(int(420 * u)), int(cx - 1330 * u), int(1460 * u))
    _put(light, _checkerboard(int(420 * u), 10), int(cx + 1330 * u), int(1460 * u))
    _wedge(light, cx, int(1985 * u), int(3400 * u), int(150 * u), 16)
    _frame(light, int(40 * u), max(1, int(6 * u)))
    _caption(light, cx, int(110 * u), int(64 * u), f"VIRTUAL USB3 VISION CAMERA  {width} x {height}")
    return _steps(light)


def bullseye_diameter(height: int) -> int:
    """Diameter of the bullseye for a sensor of this height."""
    return max(8, int(height * 0.17))


@lru_cache(maxsize=4)
def bullseye(diameter: int) -> tuple[U16Map, npt.NDArray[np.bool_]]:
    """Five rings, black and white in turn; the map and the mask of the pixels that belong to it."""
    c = np.arange(diameter, dtype=np.float32) - (diameter - 1) / 2
    r = np.hypot(c[:, None], c[None, :]) / (diameter / 2)
    ring = np.minimum((r * 5).astype(np.int64), 4)
    return _steps(np.where(ring % 2 == 0, WHITE, BLACK).astype(np.float32)), r <= 1


def _steps(light: FloatMap) -> U16Map:
    steps: U16Map = np.rint(np.clip(light, 0, 1) * np.float32(65535)).astype(np.uint16)
    return steps


def _put(light: FloatMap, tile: FloatMap, cx: int, cy: int) -> None:
    """Centre `tile` on (cx, cy); NaN is transparent; what is off the picture is cut."""
    top, left = cy - tile.shape[0] // 2, cx - tile.shape[1] // 2
    y0, x0 = max(0, top), max(0, left)
    y1, x1 = min(light.shape[0], top + tile.shape[0]), min(light.shape[1], left + tile.shape[1])
    if y0 < y1 and x0 < x1:
        part = tile[y0 - top : y1 - top, x0 - left : x1 - left]
        np.copyto(light[y0:y1, x0:x1], part, where=~np.isnan(part))


def _star(radius: int, spokes: int) -> FloatMap:
    """Siemens star whose spoke edges are one pixel soft."""
    c = np.arange(-radius, radius + 1, dtype=np.float32)
    r = np.hypot(c[:, None], c[None, :])
    theta = np.arctan2(c[:, None], c[None, :])
    soft = np.clip(np.sin(spokes * theta) * r / spokes, -0.5, 0.5) + 0.5
    tile: FloatMap = (BLACK + (WHITE - BLACK) * soft).astype(np.float32)
    tile[r > radius - max(2, radius // 60)] = WHITE
    tile[r > radius] = np.nan
    return tile


def _line_groups(light: FloatMap, cx: int, cy: int, u: float, vertical: bool) -> None:
    """Groups of five black lines, ever finer, on a white card."""
    card = np.full((max(1, int(760 * u)), max(1, int(760 * u))), WHITE, np.float32)
    side = card.shape[0]
    at = int(40 * u)
    for full_width in (22, 15, 10, 7, 4, 3, 2, 1):
        line = max(1, round(full_width * u))
        for k in range(5):
            begin = at + 2 * k * line
            if begin + line < side:
                card[int(60 * u) : side - int(60 * u), begin : begin + line] = BLACK
        at += 9 * line + int(12 * u)
    _put(light, card if vertical else np.ascontiguousarray(card.T), cx, cy)


def _slanted_edge(side: int) -> FloatMap:
    """A dark square turned by 5 degrees on white, edges one pixel soft."""
    c = np.arange(side, dtype=np.float32) - side / 2
    co, si = np.cos(np.deg2rad(5)), np.sin(np.deg2rad(5))
    across = np.abs(co * c[None, :] + si * c[:, None])
    along = np.abs(co * c[:, None] - si * c[None, :])
    inside = np.clip(side * 0.31 - np.maximum(across, along) + 0.5, 0, 1)
    tile: FloatMap = (WHITE + (0.12 - WHITE) * inside).astype(np.float32)
    return tile


def _checkerboard(side: int, fields: int) -> FloatMap:
    k = np.arange(side) * fields // max(1, side)
    return np.where((k[:, None] + k[None, :]) % 2 == 0, WHITE, BLACK).astype(np.float32)


def _wedge(light: FloatMap, cx: int, cy: int, width: int, height: int, patches: int) -> None:
    """Grey wedge in equal steps of light."""
    k = np.arange(width) * patches // max(1, width)
    row = BLACK + (WHITE - BLACK) * k / (patches - 1)
    _put(light, np.broadcast_to(row.astype(np.float32), (height, width)), cx, cy)


def _frame(light: FloatMap, inset: int, line: int) -> None:
    height, width = light.shape
    light[inset : inset + line, inset : width - inset] = WHITE
    light[height - inset - line : height - inset, inset : width - inset] = WHITE
    light[inset : height - inset, inset : inset + line] = WHITE
    light[inset : height - inset, width - inset - line : width - inset] = WHITE


def _caption(light: FloatMap, cx: int, cy: int, size: int, text: str) -> None:
    if size < 8:
        return
    font = ImageFont.load_default(size)
    left, top, right, bottom = ImageDraw.Draw(Image.new("L", (1, 1))).textbbox((0, 0), text, font=font)
    tile = Image.new("L", (int(right - left) + 2, int(bottom - top) + 2))
    ImageDraw.Draw(tile).text((1 - left, 1 - top), text, fill=255, font=font)
    ink = np.asarray(tile, np.float32) / np.float32(255)
    _put(light, np.where(ink > 0.5, np.float32(WHITE), np.float32(np.nan)).astype(np.float32), cx, cy)
