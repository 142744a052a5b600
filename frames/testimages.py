"""The makers' test images, which come from the camera's logic instead of the sensor: exact numbers, no noise.

Basler's are numbered. `row` and `column` count within the region; those that move do so by one pixel per frame:

    1  (column + row) mod 256, still       2  (column + row + frame) mod 256
    3  (column + row + frame) mod 4096     4, 5  as 2 and 3, with the picture's flips applied
    6  as 2; on colour sensors red, green and blue are a third of the ramp apart

Baumer's go by the names that SFNC gives to TestPattern (see PATTERNS); ramps run from black to white over the
region, lines are one pixel wide, FrameCounter has the frame's number in all pixels.

8-bit numbers fill the high bits of deeper formats; 12-bit ones lose low bits in shallower ones. In RGB8 every
pixel has the numbers that the image has for red, green and blue.
"""

import numpy as np
import numpy.typing as npt

from frames import packing
from frames._words import hint
from frames.light import Mosaic
from frames.settings import FrameSettings

Numbers = npt.NDArray[np.uint16]
BASLER = range(1, 7)
PATTERNS = (
    "Black",
    "White",
    "GreyHorizontalRamp",
    "GreyVerticalRamp",
    "GreyHorizontalRampMoving",
    "GreyVerticalRampMoving",
    "HorizontalLineMoving",
    "VerticalLineMoving",
    "ColorBar",
    "FrameCounter",
)


def check(image: int | str) -> None:
    """Raises ValueError unless it is 0, or one of BASLER or PATTERNS."""
    if isinstance(image, int):
        if image and image not in BASLER:
            raise ValueError(f"test image {image} is unknown, must be in 0 .. {BASLER[-1]}")
    elif image not in PATTERNS:
        raise ValueError(f"unknown test pattern {image!r}{hint(image, PATTERNS)}")


def render(out: npt.NDArray[np.uint8], s: FrameSettings, mosaic: Mosaic | None = None) -> None:
    """The test image of the settings to `out`, in their pixel format."""
    fmt = packing.pixel_format(s.pixel_format)
    draw = _pattern if isinstance(s.test_image, str) else _basler
    if fmt.colour == "RGB":
        planes = [draw(s, ((c, c), (c, c)), 12 - fmt.depth) for c in range(3)]
        values = np.stack([np.broadcast_to(plane, (s.height, s.width)) for plane in planes], axis=2)
    else:
        values = np.broadcast_to(draw(s, mosaic, 12 - fmt.depth), (s.height, s.width))
    if s.test_image in (4, 5):
        values = values[:: -1 if s.reverse_y else 1, :: -1 if s.reverse_x else 1]
    if fmt.layout == "8":
        out.reshape(values.shape)[:] = values
    else:
        packing.pack(np.ascontiguousarray(values).reshape(-1), fmt.name, out)


def _basler(s: FrameSettings, mosaic: Mosaic | None, drop_bits: int) -> Numbers:
    modulus, shift = (4096, 0) if s.test_image in (3, 5) else (256, 4)
    phase = 0 if s.test_image == 1 else s.frame % modulus
    ramp = ((np.arange(s.width + modulus) % modulus << shift) >> drop_bits).astype(np.uint16)
    rows = np.lib.stride_tricks.sliding_window_view(ramp, s.width)
    values: Numbers = rows[(np.arange(s.height) + phase) % modulus]
    if s.test_image == 6 and mosaic is not None:
        third = (np.array([0, 85 << 4, 170 << 4]) >> drop_bits).astype(np.uint16)
        values = (values + third[_channels(s, mosaic)]) % np.uint16(4096 >> drop_bits)
    return values


def _pattern(s: FrameSettings, mosaic: Mosaic | None, drop_bits: int) -> Numbers:
    """As much of the image as is not the same again: (1 or height, 1 or width)."""
    x, y = np.arange(s.width)[None, :], np.arange(s.height)[:, None]
    name = str(s.test_image)
    if name.endswith("Moving"):
        x, y = (x - s.frame) % s.width, (y - s.frame) % s.height
    if name.startswith("GreyHorizontalRamp"):
        values = x * 4095 // max(1, s.width - 1)
    elif name.startswith("GreyVerticalRamp"):
        values = y * 4095 // max(1, s.height - 1)
    elif name == "HorizontalLineMoving":
        values = 4095 * (y == 0)
    elif name == "VerticalLineMoving":
        values = 4095 * (x == 0)
    elif name == "ColorBar":  # white, yellow, cyan, green, magenta, red, blue, black
        bars = np.array(
            [[1, 1, 1], [1, 1, 0], [0, 1, 1], [0, 1, 0], [1, 0, 1], [1, 0, 0], [0, 0, 1], [0, 0, 0]]
        )
        channel = np.ones((1, 1), np.int64) if mosaic is None else _channels(s, mosaic)
        values = 4095 * bars[x * 8 // s.width, channel]
    else:
        values = np.array([[{"White": 4095, "FrameCounter": s.frame % 4096}.get(name, 0)]])
    return (values >> drop_bits).astype(np.uint16)


def _channels(s: FrameSettings, mosaic: Mosaic) -> npt.NDArray[np.int64]:
    """The colour of every pixel of the region."""
    y, x = np.arange(s.height)[:, None] + s.offset_y, np.arange(s.width)[None, :] + s.offset_x
    channels: npt.NDArray[np.int64] = np.array(mosaic)[y & 1, x & 1]
    return channels
