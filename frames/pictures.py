"""From the bytes of a frame to the numbers of its pixels, and from those to a picture that looks right.

`unpack_image` gives the camera's numbers (DN) as an array, for every format whose PFNC name says how it is made:
`Mono12p` is one number a pixel, 12 bits of a bit stream; `BayerRG8` one byte a pixel behind a colour filter whose
first row begins red, green; `RGB8` three bytes a pixel. `picture` makes of that what a screen shows: 8 bits, and
colours where there is a Bayer pattern. Steps of it are there to be used alone: `demosaic`, `white_balance`,
`to_8bit`. No state. OpenCV is imported only when there is a pattern to demosaic.
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from frames.packing import PIXEL_FORMATS, PixelFormatError, U8Array, U16Array, unpack

Pixels = npt.NDArray[Any]

MAX_GAIN = 3.0

_NAME = re.compile(r"(?P<colour>Mono|Bayer(?P<pattern>GR|RG|GB|BG)|RGB|BGR)(?P<layout>\d+\w*)")


@dataclass(frozen=True, slots=True)
class PixelDescription:
    """What a PFNC name says. `pattern`: the first two filters of a Bayer mosaic, "" for others. `channels`: numbers
    a pixel, 1 or 3, in the order of `colour` ("Mono", "Bayer", "RGB", "BGR"). `depth`: significant bits of a
    number, `bits`: bits of it in memory. `layout`: the rest of the name, such as "12p".
    """

    name: str
    colour: str
    pattern: str
    channels: int
    depth: int
    bits: int
    layout: str

    def line_bytes(self, width_px: int) -> int:
        return (width_px * self.channels * self.bits + 7) // 8


def describe(pixel_format: str) -> PixelDescription:
    """Raises PixelFormatError for names that do not say how their pixels are made of numbers."""
    found = _NAME.fullmatch(pixel_format)
    mono = PIXEL_FORMATS.get("Mono" + found["layout"]) if found is not None else None
    if found is None or mono is None:
        raise PixelFormatError(f"pixel format {pixel_format} cannot be converted")
    pattern = found["pattern"] or ""
    colour = "Bayer" if pattern else found["colour"]
    channels = 3 if colour in ("RGB", "BGR") else 1
    return PixelDescription(pixel_format, colour, pattern, channels, mono.depth, mono.bits, found["layout"])


def unpack_image(data: U8Array, width: int, height: int, pixel_format: str, padding_bytes: int = 0) -> Pixels:
    """DN: (height, width), or (height, width, 3) in R, G, B for RGB and BGR; uint8 for 8-bit numbers, else uint16.

    `padding_bytes` follow each line. Raises PixelFormatError, and ValueError where `data` is too short.
    """
    made = describe(pixel_format)
    count = width * made.channels
    if padding_bytes:
        stride = made.line_bytes(width) + padding_bytes
        if data.size < stride * height:
            raise ValueError(f"{data.size} bytes for {height} lines of {stride}")
        lines = data[: stride * height].reshape(height, stride)[:, : made.line_bytes(width)]
        pixels = np.concatenate([_numbers(np.ascontiguousarray(line), count, made) for line in lines])
    else:
        if data.size < made.line_bytes(width * height):
            raise ValueError(f"{data.size} bytes for {width} x {height} pixels of {pixel_format}")
        pixels = _numbers(data, count * height, made)
    if made.channels == 1:
        return pixels.reshape(height, width)
    pixels = pixels.reshape(height, width, 3)
    return pixels[:, :, ::-1] if made.colour == "BGR" else pixels


def demosaic(mosaic: Pixels, pattern: str) -> Pixels:
    """RGB (H, W, 3) of a Bayer mosaic (H, W), bilinear. `pattern`: its first two filters, GR, RG, GB or BG.

    A picture of one row or column has no colours: it becomes grey.
    """
    if min(mosaic.shape) < 2:
        return np.repeat(mosaic[:, :, None], 3, axis=2)
    import cv2

    codes = {
        "RG": cv2.COLOR_BayerRGGB2RGB,
        "GR": cv2.COLOR_BayerGRBG2RGB,
        "GB": cv2.COLOR_BayerGBRG2RGB,
        "BG": cv2.COLOR_BayerBGGR2RGB,
    }
    rgb: Pixels = cv2.cvtColor(np.ascontiguousarray(mosaic), codes[pattern])
    return rgb


def to_8bit(dn: Pixels, depth: int) -> npt.NDArray[np.uint8]:
    """The upper 8 of `depth` bits, which is what a camera sends when it is set to 8 bits."""
    if dn.dtype == np.uint8:
        return dn.astype(np.uint8, copy=False)
    return (dn >> (depth - 8)).astype(np.uint8)


def white_balance(rgb: Pixels, depth: int) -> Pixels:
    """The same with red and blue raised to green, as if the bright parts of the scene were grey on average.

    Green filters pass most light: without this, grey is green. Bright parts count most (a mean of 6th powers: "shades
    of grey", Finlayson and Trezzi 2004), for white things are bright. Gains are 1 to `MAX_GAIN`, so what is red stays
    red. They apply above black, which is the darkest that is seen here, and a 16th of the range at most.
    """
    size = max(
        1, min(rgb.shape[:2]) // 128
    )  # means of blocks: what a mosaic makes of fine stripes has no say
    height, width = rgb.shape[0] // size, rgb.shape[1] // size
    blocks = rgb[: height * size, : width * size].reshape(height, size, width, size, 3).mean(axis=(1, 3))
    black = min(float(np.percentile(rgb[::size, ::size], 0.1)), 2**depth / 16)
    light = np.maximum(blocks.reshape(-1, 3) - black, 0.0)
    red, green, blue = (light**6).mean(axis=0) ** (1 / 6)
    levels = np.arange(2**depth)
    out = rgb.copy()
    for channel, mean in ((0, red), (2, blue)):
        gain = min(max(float(green / mean), 1.0), MAX_GAIN) if mean > 0 else 1.0
        balanced = np.clip(black + (levels - black) * gain + 0.5, 0, 2**depth - 1).astype(rgb.dtype)
        out[:, :, channel] = balanced[rgb[:, :, channel]]
    return out


def picture(dn: Pixels, pixel_format: str) -> npt.NDArray[np.uint8]:
    """What `unpack_image` gave as a picture for people: uint8 (H, W), or (H, W, 3) where there are colours."""
    made = describe(pixel_format)
    if made.pattern:
        dn = white_balance(demosaic(dn, made.pattern), made.depth)
    return to_8bit(dn, made.depth)


def _numbers(data: U8Array, count: int, made: PixelDescription) -> Pixels:
    if made.bits == 8:
        return data[:count]
    numbers: U16Array = unpack(data, count, "Mono" + made.layout)
    return numbers
