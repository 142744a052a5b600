"""The IMX412: Bayer pattern GR, rolling shutter, binning by colour."""

from typing import Any

import numpy as np
import pytest

from frames.packing import PIXEL_FORMATS, pack, unpack
from frames.scene import Function, Scene, Uniform, parse_scene
from frames.sensor import load_sensor
from frames.source import FrameSource
from tests.frames.cameras import pixels, render, settings

SENSOR = load_sensor("imx412")
WIDTH, HEIGHT = 512, 256
BLACK = SENSOR.black_level_dn12
PLANES = {"R": (0, 1), "Gr": (0, 0), "Gb": (1, 1), "B": (1, 0)}
FORMATS = [f.name for f in PIXEL_FORMATS.values() if f.colour == "GR"]


def camera(scene: Scene, seed: int = 1, threads: int = 1) -> FrameSource:
    return FrameSource(SENSOR, scene, seed=seed, width=WIDTH, height=HEIGHT, threads=threads)


def shot(frame: int = 0, **changes: Any) -> Any:
    values = {"width": WIDTH, "height": HEIGHT, "black_level_dn12": BLACK, "pixel_format": "BayerGR12"}
    return settings(frame, **(values | changes))


def planes(raw: np.ndarray) -> dict[str, np.ndarray]:
    return {name: raw[y::2, x::2].astype(float) - BLACK for name, (y, x) in PLANES.items()}


@pytest.mark.parametrize("nm", [450, 530, 620])
def test_channels_answer_to_wavelengths(nm: float) -> None:
    photons_per_s = 4e5
    raw = pixels(camera(Uniform(nm=nm, photons=photons_per_s)), shot())
    red, green, blue = SENSOR.response(nm)
    for name, response in (("R", red), ("Gr", green), ("Gb", green), ("B", blue)):
        electrons = photons_per_s * 0.01 * 0.6 * response + 0.1
        mean = planes(raw)[name].mean()
        assert mean == pytest.approx(0.47 * electrons, abs=0.5 + 4.5 * (electrons + 30) ** 0.5 / 180), name


@pytest.mark.parametrize("name", FORMATS)
def test_all_formats_carry_the_same_numbers(name: str) -> None:
    source = camera(parse_scene("colours"))
    twelve = pixels(source, shot())
    fmt = PIXEL_FORMATS[name]
    wanted = pack((twelve >> (12 - fmt.depth)).ravel(), name)
    assert np.array_equal(render(source, shot(pixel_format=name)), wanted)


def test_threads_and_regions_do_not_change_a_number() -> None:
    alone, shared = camera(parse_scene("colours")), camera(parse_scene("colours"), threads=3)
    try:
        full = pixels(alone, shot(3))
        assert np.array_equal(pixels(shared, shot(3)), full)
        part = pixels(alone, shot(3, offset_x=34, offset_y=62, width=100, height=40))
        assert np.array_equal(part, full[62:102, 34:134])
    finally:
        shared.close()


@pytest.mark.parametrize(
    "flips", [{"reverse_x": True}, {"reverse_y": True}, {"reverse_x": True, "reverse_y": True}]
)
def test_flips_keep_the_bayer_pattern(flips: dict[str, bool]) -> None:
    source = camera(parse_scene("colours"))
    plain, flipped = planes(pixels(source, shot(0))), planes(pixels(source, shot(1, **flips)))
    for name, plane in plain.items():
        mirrored = plane[:: -1 if "reverse_y" in flips else 1, :: -1 if "reverse_x" in flips else 1]
        difference = (flipped[name] - mirrored).reshape(16, 8, 16, 16).mean(axis=(1, 3))
        assert np.abs(difference).max() < 6 * 0.47 * (6000 * 2 / 128) ** 0.5
        assert np.corrcoef(flipped[name].ravel(), mirrored.ravel())[0, 1] > 0.98
    part = pixels(source, shot(1, offset_x=20, offset_y=8, width=60, height=30, **flips))
    assert np.array_equal(part, pixels(source, shot(1, **flips))[8:38, 20:80])


def test_binning_sums_pixels_of_one_colour() -> None:
    def light(time_s: float, width: int, height: int) -> np.ndarray:
        y, x = np.mgrid[0:height, 0:width]
        return np.stack([x // 32 * 3e4, y // 32 * 5e4, (x // 32 + y // 32) * 2e4], axis=2)

    source = camera(Function(light, moves=False))
    binned = planes(pixels(source, shot(0, binning_horizontal=2, binning_vertical=2, width=256, height=128)))
    for name, plane in planes(pixels(source, shot(1))).items():
        summed = plane.reshape(64, 2, 128, 2).sum(axis=(1, 3))
        assert summed.max() < 4095 - BLACK
        difference = (binned[name] - summed).reshape(8, 8, 16, 8).mean(axis=(1, 3))
        assert np.abs(difference).max() < 6 * 0.47 * (2 * 7700 / 64) ** 0.5
        assert summed.std() > 100


def test_rolling_shutter_shears_by_the_line_time() -> None:
    """A bar at 31250 pixels/s moves half a pixel per 16 us line; seen here on raw numbers."""
    source = camera(parse_scene("bar:background=0,bar_width=40,speed=31250,photons=1e8"))
    raw = pixels(source, shot(exposure_us=32)).astype(float) - BLACK
    columns = np.arange(WIDTH)
    centre = np.array([(row * columns)[row > 60].sum() / row[row > 60].sum() for row in raw[:200]])
    slope, start = np.polyfit(np.arange(200), centre, 1)
    assert slope == pytest.approx(16e-6 * 31250, rel=0.01)
    assert start == pytest.approx(19.5 + 31250 * 16e-6, abs=1)


def test_rolling_shutter_of_a_region_starts_with_its_first_row() -> None:
    source = camera(parse_scene("bar:background=0,bar_width=40,speed=31250,photons=1e8"))
    raw = pixels(source, shot(exposure_us=32, offset_y=100, height=100)).astype(float) - BLACK
    first = np.flatnonzero(raw[0] > 100)
    assert 0 <= first[0] <= 2
    binned = pixels(
        source, shot(exposure_us=32, binning_horizontal=2, binning_vertical=2, width=256, height=100)
    ).astype(float)
    left = [np.flatnonzero(row - BLACK > 400)[0] for row in binned]
    assert left[-1] == pytest.approx(100 * 0.5 / 2, abs=3)  # a binned row takes one line time as well


def test_flicker_bands() -> None:
    source = camera(parse_scene("uniform:flicker=0.6,flicker_hz=500,nm=530,photons=3e7"))
    rows = (pixels(source, shot(exposure_us=100)).astype(float) - BLACK)[:, ::2][::2].mean(axis=1)
    times = np.arange(0, HEIGHT, 2) * 16e-6 + 50e-6
    wanted = 1 + 0.6 * np.sinc(0.05) * np.sin(2 * np.pi * 500 * times)
    assert rows / rows.mean() == pytest.approx(wanted / wanted.mean(), abs=0.03)
    assert rows.max() > 3 * rows.min()


def test_globally_shut_frames_do_not_band() -> None:
    mono = load_sensor("imx255")
    source = FrameSource(
        mono, parse_scene("uniform:flicker=0.6,flicker_hz=500"), seed=1, width=64, height=256
    )
    raw = pixels(source, settings(exposure_us=1e3, width=64, height=256)).astype(float)
    rows = raw.mean(axis=1)
    assert rows.std() < 5 * raw.std() / 8


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"pixel_format": "BayerRG8"},
            "pixel format BayerRG8 is not this sensor's: it has the Bayer pattern GR",
        ),
        ({"offset_x": 1, "width": 64}, "offset x is 1, must be even on a sensor with colour filters"),
        ({"offset_y": 3, "height": 64}, "offset y is 3, must be even on a sensor with colour filters"),
        ({"width": 63}, "width is 63, must be even on a sensor with colour filters"),
    ],
)
def test_refusals(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        render(camera(Uniform()), shot(**changes))
    assert str(caught.value) == message


def test_a_monochrome_sensor_has_no_bayer_formats() -> None:
    source = FrameSource(load_sensor("imx255"), Uniform(), seed=1, width=64, height=64)
    with pytest.raises(
        ValueError, match=r"^pixel format BayerGR8 is not this sensor's: it has no colour filters$"
    ):
        render(source, settings(pixel_format="BayerGR8", width=64, height=64))


def test_unpacks_to_the_same_numbers() -> None:
    source = camera(parse_scene("colours"))
    data = render(source, shot(pixel_format="BayerGR12g24IDS"))
    assert np.array_equal(
        unpack(data, WIDTH * HEIGHT, "BayerGR12g24IDS").reshape(HEIGHT, WIDTH), pixels(source, shot())
    )
