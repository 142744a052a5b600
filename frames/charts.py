"""The drawings behind the scenes: float32 maps of light, 1 = white."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

FloatMap = npt.NDArray[np.float32]

BLACK, WHITE = 0.03, 1.0


def target(width: int, height: int) -> FloatMap:
    """Siemens star, line groups, slanted edge, checkerboard and grey wedge on a gradient."""
    u = min(height / 2176, width / 4112)
    top = height / 2 - 1088 * u
    x = np.linspace(0, 1, width, dtype=np.float32)[None, :]
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    light = 0.30 + 0.32 * x - 0.16 * y
    cx, cy = width // 2, int(height * 0.5)
    _put(light, _star(int(660 * u), 36), cx, cy)
    for side in (-1, 1):
        _line_groups(light, int(cx + side * 1330 * u), int(top + 680 * u), u, vertical=side < 0)
    _put(light, _slanted_edge(int(420 * u)), int(cx - 1330 * u), int(top + 1460 * u))
    _put(light, checkerboard(10, 10, max(1, int(42 * u))), int(cx + 1330 * u), int(top + 1460 * u))
    _wedge(light, cx, int(top + 1985 * u), int(3400 * u), int(150 * u), 16)
    _frame(light, int(40 * u), max(1, int(6 * u)))
    _caption(light, cx, int(top + 110 * u), int(64 * u), f"VIRTUAL USB3 VISION CAMERA  {width} x {height}")
    return np.clip(light, 0, 1)


def bullseye_diameter(height: int) -> int:
    """Diameter of the bullseye for a sensor of this height."""
    return max(8, int(height * 0.17))


@lru_cache(maxsize=4)
def bullseye(diameter: int) -> tuple[FloatMap, npt.NDArray[np.bool_]]:
    """Five rings, black and white in turn; the map and the mask of the pixels that belong to it."""
    c = np.arange(diameter, dtype=np.float32) - (diameter - 1) / 2
    r = np.hypot(c[:, None], c[None, :]) / (diameter / 2)
    ring = np.minimum((r * 5).astype(np.int64), 4)
    return np.where(ring % 2 == 0, WHITE, BLACK).astype(np.float32), r <= 1


def checkerboard(columns: int, rows: int, field_px: int) -> FloatMap:
    """Black and white fields in turn, black in the corner."""
    fields = (np.arange(rows)[:, None] + np.arange(columns)) % 2
    light = np.where(fields == 1, np.float32(WHITE), np.float32(BLACK))
    return np.repeat(np.repeat(light, field_px, axis=0), field_px, axis=1)


def dots(columns: int, rows: int, field_px: int) -> FloatMap:
    """Black dots of half a field's width on white, edges one pixel soft."""
    c = np.arange(field_px, dtype=np.float32) - np.float32((field_px - 1) / 2)
    ink = np.clip(np.float32(field_px / 4 + 0.5) - np.hypot(c[:, None], c), 0, 1)
    return np.tile(WHITE + (BLACK - WHITE) * ink, (rows, columns)).astype(np.float32)


def charuco(columns: int, rows: int, field_px: int) -> FloatMap:
    """Checkerboard with marker number 0, 1, 2 ... in its white fields, row by row."""
    light = checkerboard(columns, rows, field_px)
    module = max(1, round(field_px * 0.7 / 7))
    side, at = 7 * module, (field_px - 7 * module) // 2
    white = [(r, c) for r in range(rows) for c in range(columns) if (r + c) % 2 and at >= 0]
    for number, (r, c) in enumerate(white):
        y, x = r * field_px + at, c * field_px + at
        bits = np.repeat(np.repeat(aruco(number % 1024), module, axis=0), module, axis=1)
        light[y : y + side, x : x + side] = np.where(bits, np.float32(WHITE), np.float32(BLACK))
    return light


def aruco(number: int) -> npt.NDArray[np.bool_]:
    """bool (7, 7), True = white: marker `number` (0 .. 1023) of the original ArUco dictionary.

    Each of the five rows carries two bits of the number, most significant first, as one of four words with
    distance (Garrido-Jurado et al. 2014, section 3).
    """
    words = ("10000", "10111", "01001", "01110")
    marker = np.zeros((7, 7), bool)
    for row in range(5):
        word = words[number >> (8 - 2 * row) & 3]
        marker[row + 1, 1:6] = [bit == "1" for bit in word]
    return marker


def with_margin(board: FloatMap, margin_px: int) -> FloatMap:
    """A board on white card."""
    return np.pad(board, margin_px, constant_values=np.float32(WHITE))


def conveyor(width: int, height: int, parts: int) -> FloatMap:
    """Parts on a dark belt, in rows; the same for the same size. Every fifth part lacks something."""
    random = np.random.Generator(np.random.SFC64(7))
    belt = random.normal(0.12, 0.006, (height, width)).astype(np.float32)
    rows = max(1, round((parts * height / max(1, width)) ** 0.5))
    columns = -(-parts // rows)
    pitch_x, pitch_y = width / columns, height / rows
    size = max(3, int(min(pitch_x, pitch_y) * 0.6))
    for k in range(parts):
        drawing = (_washer, _nut, _bolt, _barcode)[k % 4](size, k % 5 == 4)
        wobble_x, wobble_y = random.uniform(-0.12, 0.12, 2)
        x = int((k % columns + 0.5 + wobble_x) * pitch_x)
        y = int((k // columns + 0.5 + wobble_y) * pitch_y)
        _put(belt, drawing, x, y)
    return np.clip(belt, 0, 1)


def _disc_grid(size: int) -> tuple[FloatMap, FloatMap]:
    c = ((np.arange(size) + 0.5) / size * 2 - 1).astype(np.float32)
    return np.broadcast_to(c[None, :], (size, size)), np.broadcast_to(c[:, None], (size, size))


def _washer(size: int, faulty: bool) -> FloatMap:
    """A ring; a faulty one is open."""
    x, y = _disc_grid(size)
    r = np.hypot(x, y)
    tile = np.where((r < 0.95) & (r > 0.5), 0.75 + 0.2 * x, np.nan)
    return np.where(faulty & (np.abs(y) < 0.12) & (x > 0), np.nan, tile).astype(np.float32)


def _nut(size: int, faulty: bool) -> FloatMap:
    """A hexagon with a hole; a faulty one without."""
    x, y = _disc_grid(size)
    across = np.max([np.abs(x * np.cos(a) + y * np.sin(a)) for a in (0, np.pi / 3, 2 * np.pi / 3)], axis=0)
    hole = (np.hypot(x, y) < 0.4) & (not faulty)
    return np.where((across < 0.82) & ~hole, 0.6 - 0.25 * y, np.nan).astype(np.float32)


def _bolt(size: int, faulty: bool) -> FloatMap:
    """Head and threaded shaft; a faulty one is short."""
    x, y = _disc_grid(size)
    head = (np.abs(y) < 0.45) & (x < -0.55)
    shaft = (np.abs(y) < 0.2) & (x >= -0.55) & (x < (0.3 if faulty else 0.9))
    thread = 0.5 + 0.3 * np.sin(60 * x + 6 * y)
    return np.where(head, 0.8, np.where(shaft, thread, np.nan)).astype(np.float32)


def _barcode(size: int, faulty: bool) -> FloatMap:
    """A white label with bars; a faulty one is smeared."""
    x, y = _disc_grid(size)
    bars = np.random.Generator(np.random.SFC64(size)).integers(0, 2, 48)[
        np.clip((x + 0.8) * 30, 0, 47).astype(int)
    ]
    ink = (bars == 1) & (np.abs(y) < 0.35) & (np.abs(x) < 0.8)
    label = np.where(ink, 0.45 if faulty else 0.05, 0.95)
    return np.where(np.abs(y) < 0.5, label, np.nan).astype(np.float32)


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
