"""From the raw pixels of a colour sensor to RGB8, as a camera does it that sends whole colours.

Each pixel of a colour sensor sees one colour; the two it lacks are the mean of those neighbours that have them
(bilinear interpolation): two or four of the eight around it. At the sensor's edge the neighbours within stand in
for those without. Then each colour is multiplied by a fixed gain of 1 or more, so that white light gives equal
numbers (white balance), and the 12-bit numbers lose their low bits. The numbers stay linear in light: no gamma,
no colour correction.

For example, a pixel under a red filter of a Bayer RG sensor, with raw numbers around it

    80 40 84        red    100                        (its own)
    44 100 48       green  (40 + 44 + 48 + 52) / 4    (left, right, above, below)
    76 52 88        blue   (80 + 84 + 76 + 88) / 4    (the four corners)

A region of interest shows what that part of the full picture shows: the raw picture is taken two pixels wider
on each side where the sensor has them (whole cells of the pattern; of a rolling shutter, the region's first row
then starts two lines later). Mirrored pictures are mirrored after this, pixel by pixel.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from frames._jit import kernel
from frames.sensor import Sensor
from frames.settings import FrameSettings

MARGIN_PX = 2


@dataclass(frozen=True)
class RawRegion:
    """The raw picture to take: `settings`, and where in it the region begins (unmirrored)."""

    settings: FrameSettings
    left: int
    top: int


def raw_region(s: FrameSettings, colour: str, width: int, height: int) -> RawRegion:
    """What to take for a picture `s` in RGB8. `width`, `height`: binned pixels there are."""
    left = width - s.offset_x - s.width if s.reverse_x else s.offset_x
    top = height - s.offset_y - s.height if s.reverse_y else s.offset_y
    begin_x, begin_y = (max(0, at - MARGIN_PX) // 2 * 2 for at in (left, top))  # a cell's beginning
    raw = replace(
        s,
        pixel_format=f"Bayer{colour}12",
        offset_x=begin_x,
        offset_y=begin_y,
        width=min(width, left + s.width + MARGIN_PX) - begin_x,
        height=min(height, top + s.height + MARGIN_PX) - begin_y,
        reverse_x=False,
        reverse_y=False,
    )
    return RawRegion(raw, left - begin_x, top - begin_y)


def white_balance(sensor: Sensor) -> tuple[float, float, float]:
    """Gains of red, green and blue, the least of them 1, that make white light white."""
    red, green, blue = sensor.response()
    most = max(red, green, blue)
    return most / red, most / green, most / blue


def red_at(colour: str) -> tuple[int, int]:
    """Column and row, 0 or 1, of the first red pixel of a Bayer pattern, whose first two colours are `colour`."""
    return {"RG": (0, 0), "GR": (1, 0), "GB": (0, 1), "BG": (1, 1)}[colour]


def scaling(sensor: Sensor, black_level_dn12: float) -> npt.NDArray[np.float32]:
    """float32 (3, 2): factor and offset of each colour, from 12-bit numbers to 8-bit ones. Black stays black."""
    gains = np.array(white_balance(sensor))
    return np.stack([gains / 16, black_level_dn12 * (1 - gains) / 16], axis=1).astype(np.float32)


@kernel
def _padded(row: Any, left: int, width: int, out: Any) -> None:
    """Columns left - 1 .. left + width of a row to `out`, those beyond its ends mirrored at its last pixels."""
    columns = row.size
    out[0] = row[left - 1 if left > 0 else 1]
    seen = row[left : left + width]
    inner = out[1 : width + 1]
    for i in range(width):
        inner[i] = np.float32(seen[i])
    out[width + 1] = row[left + width if left + width < columns else columns - 2]


@kernel
def _finish(values: Any, factor: Any, offset: Any, out: Any) -> None:
    low = np.float32(0.0)
    high = np.float32(255.0)
    for i in range(out.size):
        v = values[i] * factor + offset
        v = v if v > low else low
        v = v if v < high else high
        out[i] = np.uint8(v)


@kernel
def _three(above: Any, here: Any, below: Any, at_own: Any, values: Any) -> None:
    """A row's three colours to `values` (float32 (3, width)): its own beside green, green, the other.

    `above`, `here`, `below`: padded rows. `at_own` (float32): 1 at the pixels of its own colour, 0 at green ones.
    """
    half = np.float32(0.5)
    quarter = np.float32(0.25)
    one = np.float32(1.0)
    own, green, other = values[0], values[1], values[2]
    for i in range(own.size):
        sides = here[i] + here[i + 2]
        corners = above[i] + above[i + 2] + below[i] + below[i + 2]
        poles = above[i + 1] + below[i + 1]
        centre = here[i + 1]
        m = at_own[i]
        n = one - m
        own[i] = m * centre + n * half * sides
        green[i] = m * quarter * (sides + poles) + n * centre
        other[i] = m * quarter * corners + n * half * poles


@kernel
def interpolate(
    out: Any,
    begin: int,
    end: int,
    raw: Any,
    left: int,
    top: int,
    width: int,
    height: int,
    red_at: Any,
    scale: Any,
    reverse_x: bool,
    reverse_y: bool,
) -> None:
    """Rows begin..end-1 of the picture to `out` (uint8, the whole payload) from `raw` (uint16, (rows, columns)).

    `left`, `top`, `width`, `height`: the picture's place in `raw`. `red_at`: column and row, 0 or 1, of the first
    red pixel of `raw`. `scale`: see `scaling`.
    """
    rows = raw.shape[0]
    red_x, red_y = red_at
    above = np.empty(width + 2, np.float32)
    here = np.empty(width + 2, np.float32)
    below = np.empty(width + 2, np.float32)
    values = np.empty((3, width), np.float32)
    bytes_of = np.empty((3, width), np.uint8)
    at_even = np.empty(width, np.float32)
    at_odd = np.empty(width, np.float32)
    for i in range(width):
        at_odd[i] = (left + i) & 1
        at_even[i] = 1 - ((left + i) & 1)
    for row in range(begin, end):
        y = top + (height - 1 - row if reverse_y else row)
        _padded(raw[y - 1 if y > 0 else 1], left, width, above)
        _padded(raw[y], left, width, here)
        _padded(raw[y + 1 if y + 1 < rows else rows - 2], left, width, below)
        red_row = (y & 1) == red_y
        own_x = red_x if red_row else 1 - red_x
        _three(above, here, below, at_odd if own_x else at_even, values)
        for k in range(3):
            colour = k if red_row else 2 - k
            _finish(values[k], scale[colour, 0], scale[colour, 1], bytes_of[colour])
        red, green, blue = bytes_of[0], bytes_of[1], bytes_of[2]
        line = out[3 * row * width : 3 * (row + 1) * width]
        if reverse_x:
            for i in range(width):
                j = width - 1 - i
                line[3 * i] = red[j]
                line[3 * i + 1] = green[j]
                line[3 * i + 2] = blue[j]
        else:
            for i in range(width):
                line[3 * i] = red[i]
                line[3 * i + 1] = green[i]
                line[3 * i + 2] = blue[i]
