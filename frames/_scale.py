"""Compiled: pictures of any size to the sensor's, for pictures that change from frame to frame."""

from typing import Any

import numpy as np

from frames._jit import kernel


@kernel
def scale(planes: Any, channel: Any, column: Any, part_x: Any, row: Any, part_y: Any, out: Any) -> None:
    """Bilinear: out[y, x] (uint16) from between planes[c, row[y]:, column[x]:] (float32), 0 where one is below 0.

    `part_x`, `part_y`: how far towards the next column and row, 0 .. 1. `channel` (2, 2): c by place in a cell.
    """
    width = planes.shape[2]
    lines = np.empty((2, width), np.float32)
    one = np.float32(1)
    for y in range(out.shape[0]):
        dst = out[y]
        if row[y] < 0:
            dst[:] = 0
            continue
        for k in range(2):
            upper = planes[channel[y & 1, k], row[y]]
            lower = planes[channel[y & 1, k], row[y] + 1]
            line = lines[k]
            for i in range(width):
                line[i] = upper[i] * (one - part_y[y]) + lower[i] * part_y[y]
        for x in range(out.shape[1]):
            i = column[x]
            line = lines[x & 1]
            dst[x] = (
                np.uint16(line[i] * (one - part_x[x]) + line[i + 1] * part_x[x]) if i >= 0 else np.uint16(0)
            )
