"""Compiled: a flat board seen under an angle."""

from typing import Any

import numpy as np

from frames._jit import kernel


@kernel
def _limit(slope: Any, offset: Any, span: Any) -> None:
    """Narrow span (first, last) to where slope * x + offset >= 0."""
    if slope > 0:
        span[0] = max(span[0], np.ceil(-offset / slope))
    elif slope < 0:
        span[1] = min(span[1], np.floor(-offset / slope))
    elif offset < 0:
        span[1] = -1.0


@kernel
def warp(texture: Any, black: Any, first: Any, last: Any, live: Any, box: Any, weights: Any) -> None:
    """Paint `texture` into `live` (uint16) within box (y0, y1, x0, x1).

    `texture`: uint32 (h, w), four pixels of 8 bit each from the lowest byte on: this one, its right neighbour
    and the two below, so that one look-up gives all that is interpolated between; `black`: float32, what is
    added to them. `first`, `last`: 3x3 float64 homographies (x, y, 1) of `live` -> texture pixels, of the first
    and the last row of `live`; rows between are interpolated. `weights`: float32 (2, 2), steps of `live` per
    step of the texture, by place in a 2x2 cell.
    """
    right = texture.shape[1] - 1.001
    bottom = texture.shape[0] - 1.001
    span: Any = np.empty(2, np.float64)
    m: Any = np.empty(9, np.float64)
    columns = live.shape[1]
    fu = np.empty(columns, np.float32)
    fv = np.empty(columns, np.float32)
    at = np.empty(columns, np.uint32)
    four = np.empty(columns, np.uint32)
    flat = texture.reshape(texture.size)
    stride = np.int32(texture.shape[1])
    zero: Any = np.float32(0)
    one = np.float32(1)
    u_end: Any = np.float32(right)
    v_end: Any = np.float32(bottom)
    low8 = np.uint32(0xFF)
    one_byte, two_bytes, three_bytes = np.uint32(8), np.uint32(16), np.uint32(24)
    for y in range(box[0], box[1]):
        part = y / max(1, live.shape[0] - 1)
        for k in range(9):
            m[k] = first[k // 3, k % 3] * (1 - part) + last[k // 3, k % 3] * part
        a = m[1] * y + m[2]
        b = m[4] * y + m[5]
        c = m[7] * y + m[8]
        span[0] = box[2]
        span[1] = box[3] - 1
        _limit(m[0], a, span)
        _limit(m[3], b, span)
        _limit(right * m[6] - m[0], right * c - a, span)
        _limit(bottom * m[6] - m[3], bottom * c - b, span)
        x0 = np.int64(min(span[0], box[3]))
        n: Any = np.int64(span[1]) - x0 + 1
        u0, u1 = np.float32(m[0] * x0 + a), np.float32(m[0])
        v0, v1 = np.float32(m[3] * x0 + b), np.float32(m[3])
        w0, w1 = np.float32(m[6] * x0 + c), np.float32(m[6])
        even = weights[y & 1, x0 & 1]
        odd = weights[y & 1, 1 - (x0 & 1)]
        dst = live[y, x0 : x0 + max(n, 0)]
        for i in range(n):  # three loops, so that all but the look-up run on vectors
            x = np.float32(np.int32(i))
            scale = one / (w0 + w1 * x)
            u = min(max((u0 + u1 * x) * scale, zero), u_end)
            v = min(max((v0 + v1 * x) * scale, zero), v_end)
            iu = np.int32(u)
            iv = np.int32(v)
            fu[i] = u - np.float32(iu)
            fv[i] = v - np.float32(iv)
            at[i] = np.uint32(iv * stride + iu)
        for i in range(n):
            four[i] = flat[at[i]]
        for i in range(n):
            pixels = four[i]
            p00 = np.float32(np.int32(pixels & low8))
            p01 = np.float32(np.int32(pixels >> one_byte & low8))
            p10 = np.float32(np.int32(pixels >> two_bytes & low8))
            p11 = np.float32(np.int32(pixels >> three_bytes))
            top = p00 + (p01 - p00) * fu[i]
            low = p10 + (p11 - p10) * fu[i]
            light = (black + top + (low - top) * fv[i]) * (odd if i & 1 else even)
            dst[i] = np.uint16(np.int32(light))
