"""How bright a frame is, from some of its rows: cheap enough for every frame."""

import numpy as np
import numpy.typing as npt

from frames import packing

ROWS, COLUMNS = 48, 256


def mean_share(
    data: npt.NDArray[np.uint8], width: int, height: int, pixel_format: str, region: tuple[int, int, int, int]
) -> float:
    """The mean of a region's pixel values as a share of the largest one, 0 to 1, from at most some 48 x 256 pixels.

    `data`: the frame's bytes, Mono or Bayer. `region`: column, row, width and height in pixels, within the frame.
    """
    fmt = packing.pixel_format(pixel_format)
    x, y, columns, rows = region
    step_x = max(columns // COLUMNS, 1)
    every = 1 if width * fmt.bits % 8 == 0 else 8  # rows that begin on a byte
    step_y = -(-max(rows // ROWS, 1) // every) * every
    first_row, end_row = -(-y // every) * every, min(y + rows, height)
    total, count = 0, 0
    for row in range(first_row if first_row < end_row else y // every * every, end_row, step_y):
        first = row * width * fmt.bits // 8
        end = first + -(-width * fmt.bits // 8)
        values = packing.unpack(data[first:end], width, pixel_format)
        seen = values[x : x + columns : step_x]
        total += int(seen.sum(dtype=np.int64))
        count += seen.size
    return total / count / ((1 << fmt.depth) - 1) if count else 0.0
