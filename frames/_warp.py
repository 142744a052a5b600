"""Compiled: a flat board seen under an angle."""

from typing import Any

import numpy as np

from frames._jit import kernel


@kernel
def warp(texture: Any, first: Any, last: Any, live: Any, box: Any, weights: Any) -> None:
    """Paint `texture` (uint16) into `live` (uint16) within box (y0, y1, x0, x1).

    `first`, `last`: 3x3 float64 homographies (x, y, 1) of `live` -> texture pixels, of the first and the last
    row of `live`; rows between are interpolated. `weights`: float32 (2, 2), response by place in a 2x2 cell.
    """
    height, width = texture.shape
    m = np.empty(9, np.float64)
    for y in range(box[0], box[1]):
        part = y / max(1, live.shape[0] - 1)
        for k in range(9):
            m[k] = first[k // 3, k % 3] * (1 - part) + last[k // 3, k % 3] * part
        a = m[1] * y + m[2]
        b = m[4] * y + m[5]
        c = m[7] * y + m[8]
        for x in range(box[2], box[3]):
            scale = 1 / (m[6] * x + c)
            u = (m[0] * x + a) * scale
            v = (m[3] * x + b) * scale
            if u >= 0 and v >= 0 and u < width - 1 and v < height - 1:
                i = int(u)
                j = int(v)
                fu = np.float32(u - i)
                fv = np.float32(v - j)
                top = texture[j, i] * (1 - fu) + texture[j, i + 1] * fu
                bottom = texture[j + 1, i] * (1 - fu) + texture[j + 1, i + 1] * fu
                live[y, x] = np.uint16((top * (1 - fv) + bottom * fv) * weights[y & 1, x & 1])
