"""U9: pictures look right: 8 bits, colours where there is a Bayer pattern. The numbers stay to be had."""

import random

import numpy as np
import pytest

from frames.packing import PIXEL_FORMATS, PixelFormatError, pack
from frames.pictures import MAX_GAIN, demosaic, describe, picture, to_8bit, unpack_image, white_balance

PATTERNS = ("RG", "GR", "GB", "BG")
FILTERS = {"RG": "RGGB", "GR": "GRBG", "GB": "GBRG", "BG": "BGGR"}  # row by row
RED, GREEN, BLUE = 200, 120, 40


def mosaic(pattern: str, height: int, width: int, scale: int = 1) -> np.ndarray:
    """What a sensor behind this pattern sees of one colour."""
    value = {"R": RED, "G": GREEN, "B": BLUE}
    cell = np.array([value[f] for f in FILTERS[pattern]]).reshape(2, 2) * scale
    return np.tile(cell, (height // 2 + 1, width // 2 + 1))[:height, :width].astype(np.uint16)


@pytest.mark.parametrize("name", [n for n in PIXEL_FORMATS if n.startswith(("Mono", "Bayer"))])
def test_every_format_that_is_packed_is_unpacked_by_its_name(name: str) -> None:
    depth, width, height = PIXEL_FORMATS[name].depth, 36, 5  # groups of whole bytes
    values = np.random.default_rng(1).integers(0, 1 << depth, width * height).astype(np.uint16)
    dn = unpack_image(pack(values, name), width, height, name)
    assert dn.shape == (height, width) and np.array_equal(dn.reshape(-1), values)
    assert dn.dtype == (np.uint8 if depth == 8 else np.uint16)
    made = describe(name)
    assert (made.pattern != "") == name.startswith("Bayer") and name.startswith(
        f"{made.colour}{made.pattern}"
    )


def test_three_numbers_a_pixel_come_as_red_green_blue() -> None:
    for name, order in (("RGB8", (0, 1, 2)), ("BGR8", (2, 1, 0))):
        data = np.arange(2 * 3 * 3, dtype=np.uint8)
        dn = unpack_image(data, 3, 2, name)
        assert dn.shape == (2, 3, 3)
        assert dn[1, 2].tolist() == [15 + k for k in order]
        assert np.array_equal(picture(dn, name), dn)


def test_padding_behind_each_line_is_left_out() -> None:
    lines = [bytes((3 * k, 3 * k + 1, 3 * k + 2)) + b"\xee\xee" for k in range(4)]
    dn = unpack_image(np.frombuffer(b"".join(lines), np.uint8), 3, 4, "BayerRG8", 2)
    assert dn.reshape(-1).tolist() == list(range(12))


@pytest.mark.parametrize("name", ["YUV422_8", "BayerRG7", "Mono", "Coord3D_C16", "RGBa8", "0x02100032"])
def test_names_that_say_nothing_about_numbers(name: str) -> None:
    with pytest.raises(PixelFormatError, match=f"pixel format {name} cannot be converted"):
        describe(name)


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("shape", [(2, 2), (6, 8), (7, 9)])
def test_one_colour_is_one_colour_behind_every_pattern(pattern: str, shape: tuple[int, int]) -> None:
    for scale in (1, 16):
        rgb = demosaic(mosaic(pattern, *shape, scale), pattern)
        assert rgb.shape == (*shape, 3)
        if min(shape) > 2:
            inner = rgb[1:-1, 1:-1].reshape(-1, 3)
            assert np.unique(inner, axis=0).tolist() == [[RED * scale, GREEN * scale, BLUE * scale]]


@pytest.mark.parametrize("shape", [(1, 8), (8, 1), (1, 1)])
def test_too_small_for_colours_is_grey(shape: tuple[int, int]) -> None:
    rgb = demosaic(mosaic("RG", *shape), "RG")
    assert rgb.shape == (*shape, 3)
    assert np.array_equal(rgb[:, :, 0], rgb[:, :, 2])


def test_eight_bits_are_the_upper_ones() -> None:
    rng = random.Random(2)
    for depth in (10, 12):
        values = [0, (1 << depth) - 1, *(rng.randrange(1 << depth) for _ in range(50))]
        dn = np.array([values], np.uint16)
        assert to_8bit(dn, depth)[0].tolist() == [v >> (depth - 8) for v in values]
        assert np.array_equal(picture(dn, f"Mono{depth}p"), to_8bit(dn, depth))


def tinted(level: np.ndarray, black: int = 64, red: float = 0.6, blue: float = 0.4) -> np.ndarray:
    """Grey of `level` as a sensor sees it, whose filters let less red and blue pass."""
    return np.stack([black + level * red, black + level, black + level * blue], axis=-1).astype(np.uint16)


def test_grey_is_grey_black_stays_black_and_green_is_left_alone() -> None:
    ramp = np.tile(np.arange(0, 900, 3), (40, 1))
    before = tinted(ramp)
    after = white_balance(before, 10).astype(int)
    assert np.array_equal(after[:, :, 1], before[:, :, 1])
    assert np.abs(after - after[:, :, 1:2]).max() <= 4
    assert after[:, 0].tolist() == [[64, 64, 64]] * 40


def test_a_scene_without_black_is_balanced_too() -> None:
    """The darkest pixel is no black level there; noise must not be blown up."""
    noise = np.random.default_rng(3).normal(600, 5, (64, 64)).clip(0, 1000)
    after = white_balance(tinted(noise, black=0), 10).astype(float)
    means = after.reshape(-1, 3).mean(axis=0)
    assert np.abs(means - means[1]).max() < 12
    assert after[:, :, 2].std() < 2 * after[:, :, 1].std()


@pytest.mark.parametrize("colour", [(900, 30, 20), (30, 40, 900), (0, 0, 0), (1023, 1023, 1023)])
def test_what_is_red_stays_red(colour: tuple[int, int, int]) -> None:
    picture_ = np.full((16, 16, 3), colour, np.uint16)
    after = white_balance(picture_, 10)[0, 0].tolist()
    assert after[colour.index(max(colour))] == max(colour)
    assert all(b <= a <= b * MAX_GAIN + 1 for a, b in zip(after, colour, strict=True))
