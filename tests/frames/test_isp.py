"""RGB8: each pixel's missing colours from its neighbours, white light white, beside OpenCV and a slow reference."""

from typing import Any

import cv2
import numpy as np
import pytest

from frames import isp
from frames.scene import Scene, Uniform, parse_scene
from frames.sensor import load_sensor
from frames.source import FrameSource
from tests.frames.cameras import render, settings

SENSOR = load_sensor("generic-color")
WIDTH, HEIGHT = 360, 240
PLAIN = np.array([[1.0, 0.0]] * 3, np.float32)
BAYER = {"RG": cv2.COLOR_BayerBG2RGB, "GR": cv2.COLOR_BayerGB2RGB, "GB": cv2.COLOR_BayerGR2RGB, "BG": cv2.COLOR_BayerRG2RGB}  # fmt: skip  # noqa: E501
"""OpenCV names a pattern by its second row, from the second column on."""


def camera(scene: Scene, threads: int = 1) -> FrameSource:
    return FrameSource(SENSOR, scene, seed=1, width=WIDTH, height=HEIGHT, threads=threads)


def shot(source: FrameSource, frame: int = 0, **changes: Any) -> np.ndarray:
    values = {"width": WIDTH, "height": HEIGHT, "black_level_dn12": 0.0, "pixel_format": "RGB8"} | changes
    s = settings(frame, **values)
    return render(source, s).reshape(s.height, s.width, 3)


def interpolated(raw: np.ndarray, colour: str, **flips: bool) -> np.ndarray:
    rows, columns = raw.shape
    out = np.full(rows * columns * 3, 0xA5, np.uint8)
    mirror = flips.get("reverse_x", False), flips.get("reverse_y", False)
    isp.interpolate(out, 0, rows, raw, 0, 0, columns, rows, isp.red_at(colour), PLAIN, *mirror)
    return out.reshape(rows, columns, 3)


def reference(raw: np.ndarray, colour: str) -> np.ndarray:
    """Means of the neighbours that have the colour, pixel by pixel."""
    pattern = [list(colour), ["RGB"[2 - "RGB".index(c)] for c in reversed(colour)]]
    rows, columns = raw.shape
    padded = np.pad(raw.astype(float), 1, mode="reflect")
    out = np.zeros((rows, columns, 3), int)
    for y, x in np.ndindex(rows, columns):
        around = {(dy, dx): padded[y + 1 + dy, x + 1 + dx] for dy in (-1, 0, 1) for dx in (-1, 0, 1)}
        for k, name in enumerate("RGB"):
            having = [at for at in around if pattern[(y + at[0]) % 2][(x + at[1]) % 2] == name]
            near = [(0, 0)] if (0, 0) in having else having
            out[y, x, k] = int(sum(around[at] for at in near) / len(near))
    return out


def test_the_example_of_the_module() -> None:
    raw = np.array([[80, 40, 84], [44, 100, 48], [76, 52, 88]], np.uint16)
    assert interpolated(raw, "BG")[1, 1].tolist() == [100, (40 + 44 + 48 + 52) // 4, (80 + 84 + 76 + 88) // 4]


@pytest.mark.parametrize("shape", [(2, 2), (3, 5), (6, 8), (7, 4)])
@pytest.mark.parametrize("colour", BAYER)
def test_every_pixel_of_every_pattern_up_to_the_edge(colour: str, shape: tuple[int, int]) -> None:
    raw = np.random.default_rng(7).integers(0, 256, shape).astype(np.uint16)
    wanted = reference(raw, colour)
    assert np.array_equal(interpolated(raw, colour), wanted)
    assert np.array_equal(interpolated(raw, colour, reverse_x=True), wanted[:, ::-1])
    assert np.array_equal(interpolated(raw, colour, reverse_y=True), wanted[::-1])


@pytest.mark.parametrize("colour", BAYER)
def test_opencv_interpolates_alike(colour: str) -> None:
    """Its bilinear demosaicing, away from the edge, where it has a way of its own; it rounds, we truncate."""
    raw = np.random.default_rng(8).integers(0, 256, (64, 96)).astype(np.uint16)
    theirs = cv2.cvtColor(raw, BAYER[colour])[1:-1, 1:-1].astype(int)
    ours = interpolated(raw, colour)[1:-1, 1:-1].astype(int)
    assert (theirs - ours).min() >= 0 and (theirs - ours).max() <= 1


def test_white_is_white_and_black_is_black() -> None:
    """A white balance that belongs to the sensor: its filters pass unequal parts of white light."""
    gains = isp.white_balance(SENSOR)
    assert min(gains) == gains[1] == 1 and max(gains) > 1.3
    for photons, black in ((1e6, 0.0), (1e6, 200.0), (0.0, 200.0)):
        mean = shot(camera(Uniform(photons=photons)), black_level_dn12=black).mean(axis=(0, 1))
        green = min(
            255.0, photons * 0.01 * SENSOR.quantum_efficiency * SENSOR.response()[1] * 0.375 / 16 + black / 16
        )
        assert mean == pytest.approx([green - 0.5] * 3, abs=0.35), (photons, black)
    assert (shot(camera(Uniform(photons=1e9))) == 255).all()


def test_patches_have_their_colours() -> None:
    """The first row of the chart: red, green, blue, yellow, magenta, cyan."""
    picture = shot(camera(parse_scene("colours:photons=3e6")))
    wanted = ["R", "G", "B", "RG", "RB", "GB"]
    for column, bright in enumerate(wanted):
        x = column * WIDTH // 6 + WIDTH // 12
        mean = picture[20:40, x - 10 : x + 10].reshape(-1, 3).mean(axis=0)
        lit = {name for name, value in zip("RGB", mean, strict=True) if value > 0.6 * mean.max()}
        assert lit == set(bright), (column, mean)


@pytest.mark.parametrize(
    "flips", [{}, {"reverse_x": True}, {"reverse_y": True}, {"reverse_x": True, "reverse_y": True}]
)
def test_regions_mirrors_and_threads_do_not_change_a_number(flips: dict[str, bool]) -> None:
    source, shared = camera(parse_scene("colours")), camera(parse_scene("colours"), threads=3)
    try:
        full = shot(source, 3, **flips)
        assert np.array_equal(shot(shared, 3, **flips), full)
        plain = shot(source, 3)
        mirrored = plain[:: -1 if "reverse_y" in flips else 1, :: -1 if "reverse_x" in flips else 1]
        assert np.array_equal(full, mirrored)
        for x, y, w, h in ((0, 0, 16, 2), (4, 2, 100, 41), (20, 198, 60, 42), (344, 0, 16, 240)):
            part = shot(source, 3, offset_x=x, offset_y=y, width=w, height=h, **flips)
            assert np.array_equal(part, full[y : y + h, x : x + w]), (x, y)
    finally:
        shared.close()


def test_binned_pixels_are_interpolated_alike() -> None:
    source = camera(Uniform(photons=3e5))
    binned = {"binning_horizontal": 2, "binning_vertical": 2, "width": 180, "height": 120}
    assert shot(source, **binned).mean(axis=(0, 1)) == pytest.approx(
        4 * shot(source).mean(axis=(0, 1)), rel=0.1
    )


def test_colour_bars_are_exact_in_all_colours() -> None:
    """A test pattern comes from the camera's logic: no interpolation blurs its edges."""
    bars = shot(camera(Uniform()), test_image="ColorBar")
    wanted = ["111", "110", "011", "010", "101", "100", "001", "000"]
    assert (bars == bars[0]).all()
    for bar, digits in enumerate(wanted):
        columns = bars[0, bar * WIDTH // 8 : (bar + 1) * WIDTH // 8]
        assert (columns == [255 * int(d) for d in digits]).all(), bar


def test_a_monochrome_sensor_has_no_colours() -> None:
    source = FrameSource(load_sensor("imx255"), Uniform(), seed=1, width=64, height=64)
    with pytest.raises(
        ValueError, match=r"^pixel format RGB8 is not this sensor's: it has no colour filters$"
    ):
        render(source, settings(pixel_format="RGB8", width=64, height=64))
