"""Compiled packers: each packs `count` pixels (whole groups) of a uint16 row to `out` from `byte_offset`."""

from typing import Any

import numpy as np

from frames._jit import kernel


@kernel
def pack_10p(values: Any, count: int, out: Any, byte_offset: int) -> None:
    dst = out[byte_offset : byte_offset + count * 10 // 8]
    for i in range(count // 4):
        a = values[4 * i]
        b = values[4 * i + 1]
        c = values[4 * i + 2]
        d = values[4 * i + 3]
        dst[5 * i] = np.uint8(a)
        dst[5 * i + 1] = np.uint8(a >> 8 | b << 2)
        dst[5 * i + 2] = np.uint8(b >> 6 | c << 4)
        dst[5 * i + 3] = np.uint8(c >> 4 | d << 6)
        dst[5 * i + 4] = np.uint8(d >> 2)


@kernel
def pack_12p(values: Any, count: int, out: Any, byte_offset: int) -> None:
    dst = out[byte_offset : byte_offset + count * 12 // 8]
    for i in range(count // 2):
        a = values[2 * i]
        b = values[2 * i + 1]
        dst[3 * i] = np.uint8(a)
        dst[3 * i + 1] = np.uint8(a >> 8 | b << 4)
        dst[3 * i + 2] = np.uint8(b >> 4)


@kernel
def pack_10g40(values: Any, count: int, out: Any, byte_offset: int) -> None:
    dst = out[byte_offset : byte_offset + count * 10 // 8]
    for i in range(count // 4):
        a = values[4 * i]
        b = values[4 * i + 1]
        c = values[4 * i + 2]
        d = values[4 * i + 3]
        dst[5 * i] = np.uint8(a >> 2)
        dst[5 * i + 1] = np.uint8(b >> 2)
        dst[5 * i + 2] = np.uint8(c >> 2)
        dst[5 * i + 3] = np.uint8(d >> 2)
        dst[5 * i + 4] = np.uint8((a & 3) | (b & 3) << 2 | (c & 3) << 4 | (d & 3) << 6)


@kernel
def pack_12g24(values: Any, count: int, out: Any, byte_offset: int) -> None:
    dst = out[byte_offset : byte_offset + count * 12 // 8]
    for i in range(count // 2):
        a = values[2 * i]
        b = values[2 * i + 1]
        dst[3 * i] = np.uint8(a >> 4)
        dst[3 * i + 1] = np.uint8(b >> 4)
        dst[3 * i + 2] = np.uint8((a & 15) | (b & 15) << 4)


@kernel
def pack_10packed(values: Any, count: int, out: Any, byte_offset: int) -> None:
    dst = out[byte_offset : byte_offset + count * 12 // 8]
    for i in range(count // 2):
        a = values[2 * i]
        b = values[2 * i + 1]
        dst[3 * i] = np.uint8(a >> 2)
        dst[3 * i + 1] = np.uint8((a & 3) | (b & 3) << 4)
        dst[3 * i + 2] = np.uint8(b >> 2)


@kernel
def pack_12packed(values: Any, count: int, out: Any, byte_offset: int) -> None:
    dst = out[byte_offset : byte_offset + count * 12 // 8]
    for i in range(count // 2):
        a = values[2 * i]
        b = values[2 * i + 1]
        dst[3 * i] = np.uint8(a >> 4)
        dst[3 * i + 1] = np.uint8((a & 15) | (b & 15) << 4)
        dst[3 * i + 2] = np.uint8(b >> 4)


PACKERS: dict[str, Any] = {
    "10p": pack_10p,
    "12p": pack_12p,
    "10g40": pack_10g40,
    "12g24": pack_12g24,
    "10packed": pack_10packed,
    "12packed": pack_12packed,
}
