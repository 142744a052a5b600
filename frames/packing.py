"""Pixel formats: bits in memory, payload sizes, and packing of 12-bit numbers into the bytes on the wire.

Layouts (P0 = 0x123, P1 = 0xABC gives the bytes shown), each for Mono and the four Bayer patterns, called
Mono8, BayerGR12p, BayerGR12g24IDS and so on:

| layout         | bits | bytes                                                                              |
|----------------|------|------------------------------------------------------------------------------------|
| 8              | 8    | one byte                                                                           |
| 10, 12         | 16   | little-endian word, low bits, upper bits zero                                      |
| 10p            | 10   | bit stream, least significant bit first: pixel k sits at bits 10k .. 10k+9         |
| 12p            | 12   | the same with 12 bits: `23 C1 AB`                                                  |
| 10g40IDS       | 10   | 4 pixels in 5 bytes: four high bytes, then the four 2-bit remainders               |
| 12g24IDS       | 12   | 2 pixels in 3 bytes: two high bytes, then the two 4-bit remainders: `12 AB C3`     |
| 10Packed       | 12   | 2 pixels in 3 bytes (GigE Vision 1): high byte, 2-bit remainders in nibbles, high byte |
| 12Packed       | 12   | the same with 12 bits: `12 C3 AB`                                                  |

RGB8, which has all colours at each pixel, is three bytes: red, green, blue. Its values lie in this order, too:
three for each pixel.

Lines are not padded: a packed stream runs on through line ends, and only the last byte of a frame may hold
unused bits, which are zero. Importing this module does not import numba; packing does.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from frames._words import hint

U8Array = npt.NDArray[np.uint8]
U16Array = npt.NDArray[np.uint16]


class PixelFormatError(ValueError):
    """An unknown pixel format; one line, with the nearest known name."""


@dataclass(frozen=True)
class PixelFormat:
    """`bits`: bits per pixel in memory. `depth`: significant bits of a value. `group_px`: smallest run that ends
    on a byte. `layout`: how bits lie, the same for Mono and Bayer. `colour`: "mono", the start of the Bayer
    pattern, or "RGB". `channels`: values per pixel.
    """

    name: str
    bits: int
    depth: int
    group_px: int
    layout: str
    colour: str
    channels: int = 1


_LAYOUTS = {  # suffix: bits, depth, group, layout
    "8": (8, 8, 1, "8"),
    "10": (16, 10, 1, "16"),
    "12": (16, 12, 1, "16"),
    "10p": (10, 10, 4, "10p"),
    "12p": (12, 12, 2, "12p"),
    "10g40IDS": (10, 10, 4, "10g40"),
    "12g24IDS": (12, 12, 2, "12g24"),
    "10Packed": (12, 10, 2, "10packed"),
    "12Packed": (12, 12, 2, "12packed"),
}
PIXEL_FORMATS: dict[str, PixelFormat] = {
    prefix + suffix: PixelFormat(prefix + suffix, bits, depth, group, layout, colour)
    for prefix, colour in [("Mono", "mono"), *((f"Bayer{c}", c) for c in ("GR", "RG", "GB", "BG"))]
    for suffix, (bits, depth, group, layout) in _LAYOUTS.items()
} | {"RGB8": PixelFormat("RGB8", bits=24, depth=8, group_px=1, layout="8", colour="RGB", channels=3)}


def pixel_format(name: str) -> PixelFormat:
    """The format called `name`; raises PixelFormatError."""
    try:
        return PIXEL_FORMATS[name]
    except KeyError:
        raise PixelFormatError(f"unknown pixel format {name!r}{hint(name, PIXEL_FORMATS)}") from None


def payload_size(width: int, height: int, pixel_format_name: str) -> int:
    """Bytes of one frame: all pixels as one bit stream, rounded up to a whole byte."""
    return (width * height * pixel_format(pixel_format_name).bits + 7) // 8


def _read_only(values: U16Array) -> U16Array:
    """A view that nobody can write to: numba compiles a kernel anew for arrays that one can."""
    view = values.view()
    view.setflags(write=False)
    return view


def pack(values: U16Array, pixel_format_name: str, out: U8Array | None = None) -> U8Array:
    """Pack 1-D uint16 `values`, each below 2**depth of the format, into uint8 of `payload_size` bytes.

    Values are not clipped or masked here; the caller has done that.
    """
    fmt = pixel_format(pixel_format_name)
    size = payload_size(values.size // fmt.channels, 1, fmt.name)
    if out is None:
        out = np.empty(size, np.uint8)
    elif out.size != size:
        raise ValueError(f"{fmt.name}: {values.size} pixels pack to {size} bytes, the buffer has {out.size}")
    if fmt.bits == 16:
        out.view("<u2")[:] = values
        return out
    if fmt.layout == "8":
        out[:] = values
        return out
    kernel = row_packer(fmt.name)
    whole = values.size - values.size % fmt.group_px
    kernel(_read_only(values), whole, out, 0)
    if whole < values.size:
        last = np.zeros(fmt.group_px, np.uint16)
        last[: values.size - whole] = values[whole:]
        tail = np.empty(fmt.group_px * fmt.bits // 8, np.uint8)
        kernel(_read_only(last), fmt.group_px, tail, 0)
        begin = whole * fmt.bits // 8
        out[begin:] = tail[: size - begin]
    return out


def row_packer(pixel_format_name: str) -> Any:
    """The compiled `(values: uint16[:], count, out: uint8[:], byte_offset) -> None` of a packed format."""
    from frames import _packers

    return _packers.PACKERS[pixel_format(pixel_format_name).layout]


def unpack(data: U8Array, count: int, pixel_format_name: str) -> U16Array:
    """The inverse of `pack`: `count` pixels as uint16 values. Plain numpy; for tests, previews and host tools."""
    fmt = pixel_format(pixel_format_name)
    if data.size < payload_size(count, 1, fmt.name):
        raise ValueError(
            f"{fmt.name}: {count} pixels need {payload_size(count, 1, fmt.name)} bytes, there are {data.size}"
        )
    if fmt.layout == "8":
        return data[: count * fmt.channels].astype(np.uint16)
    if fmt.bits == 16:
        return data[: 2 * count].view("<u2").astype(np.uint16)
    group_bytes = fmt.group_px * fmt.bits // 8
    groups = -(-count // fmt.group_px)
    padded = np.zeros(groups * group_bytes, np.uint16)
    used = min(data.size, padded.size)
    padded[:used] = data[:used]
    b = padded.reshape(groups, group_bytes)
    p = np.empty((groups, fmt.group_px), np.uint16)
    if fmt.layout == "12p":
        p[:, 0] = b[:, 0] | (b[:, 1] & 15) << 8
        p[:, 1] = b[:, 1] >> 4 | b[:, 2] << 4
    elif fmt.layout == "12g24":
        p[:, 0] = b[:, 0] << 4 | b[:, 2] & 15
        p[:, 1] = b[:, 1] << 4 | b[:, 2] >> 4
    elif fmt.layout == "12packed":
        p[:, 0] = b[:, 0] << 4 | b[:, 1] & 15
        p[:, 1] = b[:, 2] << 4 | b[:, 1] >> 4
    elif fmt.layout == "10packed":
        p[:, 0] = b[:, 0] << 2 | b[:, 1] & 3
        p[:, 1] = b[:, 2] << 2 | b[:, 1] >> 4 & 3
    elif fmt.layout == "10p":
        for k in range(4):
            p[:, k] = (b[:, k] >> 2 * k | b[:, k + 1] << (8 - 2 * k)) & 1023
    else:
        for k in range(4):
            p[:, k] = b[:, k] << 2 | b[:, 4] >> 2 * k & 3
    return p.reshape(-1)[:count]
