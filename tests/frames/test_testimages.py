"""Test images are exact numbers; the formulas are written out pixel by pixel here."""

from typing import Any

import numpy as np
import pytest

from frames.packing import PIXEL_FORMATS
from frames.scene import parse_scene
from frames.sensor import load_sensor
from frames.source import FrameSource
from tests.frames.cameras import pixels, settings, source

FRAME = 70001
FORMATS = ["Mono8", "Mono12", "Mono12p", "Mono10"]
W, H = 96, 64
AREA = {"offset_x": 16, "offset_y": 2, "width": W, "height": H}
Y, X = np.mgrid[0:H, 0:W]


def shot(image: int | str, name: str = "Mono12", **changes: Any) -> np.ndarray:
    s = {"pixel_format": name, "test_image": image, **AREA, **changes}
    return pixels(source(parse_scene("uniform")), settings(FRAME, **s))


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("image", [1, 2, 3, 4, 5, 6])
def test_basler(image: int, name: str) -> None:
    counter = 0 if image == 1 else FRAME
    twelve = (X + Y + counter) % 4096 if image in (3, 5) else (X + Y + counter) % 256 * 16
    assert np.array_equal(shot(image, name), twelve >> (12 - PIXEL_FORMATS[name].depth))


@pytest.mark.parametrize(("image", "flips"), [(2, False), (3, False), (4, True), (5, True)])
def test_basler_4_and_5_show_the_flips(image: int, flips: bool) -> None:
    plain, flipped = shot(image), shot(image, reverse_x=True, reverse_y=True)
    assert np.array_equal(flipped, plain[::-1, ::-1] if flips else plain)


SFNC = {
    "Black": 0 * X,
    "White": 0 * X + 4095,
    "GreyHorizontalRamp": X * 4095 // (W - 1),
    "GreyVerticalRamp": Y * 4095 // (H - 1),
    "GreyHorizontalRampMoving": (X - FRAME) % W * 4095 // (W - 1),
    "GreyVerticalRampMoving": (Y - FRAME) % H * 4095 // (H - 1),
    "HorizontalLineMoving": 4095 * (Y == FRAME % H),
    "VerticalLineMoving": 4095 * (X == FRAME % W),
    "FrameCounter": 0 * X + FRAME % 4096,
}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("image", SFNC)
def test_patterns(image: str, name: str) -> None:
    assert np.array_equal(shot(image, name), SFNC[image] >> (12 - PIXEL_FORMATS[name].depth))


def colour_shot(image: int | str) -> np.ndarray:
    camera = FrameSource(load_sensor("imx412"), parse_scene("uniform"), seed=1, width=W, height=H)
    return pixels(camera, settings(FRAME, test_image=image, pixel_format="BayerGR12", width=W, height=H))


def test_colour_bars_light_the_pixels_of_their_colour() -> None:
    bars = colour_shot("ColorBar")
    red, green, blue = bars[0::2, 1::2], bars[0::2, 0::2], bars[1::2, 0::2]
    assert np.array_equal(green, bars[1::2, 1::2])
    for plane, lit in ((red, "11001100"), (green, "11110000"), (blue, "10101010")):
        assert [int(v) for v in plane[0, 2::6]] == [4095 * int(c) for c in lit]
        assert (plane == plane[0]).all()


def test_basler_6_in_colour() -> None:
    ramp = (X + Y + FRAME) % 256
    picture = colour_shot(6) // 16
    assert np.array_equal(picture[0::2, 1::2], ramp[0::2, 1::2])
    assert np.array_equal(picture[0::2, 0::2], (ramp[0::2, 0::2] + 85) % 256)
    assert np.array_equal(picture[1::2, 0::2], (ramp[1::2, 0::2] + 170) % 256)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (7, "test image 7 is unknown, must be in 0 .. 6"),
        (-1, "test image -1 is unknown, must be in 0 .. 6"),
        (
            "GrayHorizontalRamp",
            "unknown test pattern 'GrayHorizontalRamp', did you mean 'GreyHorizontalRamp'?",
        ),
    ],
)
def test_refusals(image: int | str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        shot(image)
    assert str(caught.value) == message
