"""How bright a frame is, against the mean of all its pixels."""

import numpy as np
import pytest

from frames.metering import mean_share
from frames.packing import pack

FORMATS = {"Mono8": 8, "Mono10": 10, "Mono10p": 10, "Mono12": 12, "Mono12p": 12, "BayerGR10g40IDS": 10}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("size", [(64, 48), (1000, 700)])
def test_the_mean_of_a_noisy_picture(name: str, size: tuple[int, int]) -> None:
    width, height = size
    depth = FORMATS[name]
    values = np.random.default_rng(3).integers(0, 1 << depth, (height, width)).astype(np.uint16)
    data = pack(values.reshape(-1), name)
    share = mean_share(data, width, height, name, (0, 0, width, height))
    assert share == pytest.approx(values.mean() / ((1 << depth) - 1), abs=0.03)


@pytest.mark.parametrize("name", ["Mono8", "Mono12p"])
@pytest.mark.parametrize("region", [(0, 0, 40, 30), (7, 9, 20, 16), (100, 64, 60, 50), (159, 119, 1, 1)])
def test_a_region_counts_alone(name: str, region: tuple[int, int, int, int]) -> None:
    """White inside, black outside. Packed rows that do not begin on bytes are not needed."""
    width, height = 160, 120
    x, y, columns, rows = region
    values = np.zeros((height, width), np.uint16)
    values[y : y + rows, x : x + columns] = (1 << FORMATS[name]) - 1
    assert mean_share(pack(values.reshape(-1), name), width, height, name, region) == 1.0


def test_a_region_between_rows_that_begin_on_bytes_counts_by_the_row_above() -> None:
    """161 pixels of 12 bits: every eighth row begins on a byte, and none of the region's does."""
    width, height = 161, 24
    values = np.full((height, width), 4095, np.uint16)
    assert mean_share(pack(values.reshape(-1), "Mono12p"), width, height, "Mono12p", (0, 9, width, 4)) == 1.0
