"""Where light goes: colour filters, rolling shutter, drift, flicker, lens."""

import math
from dataclasses import replace

import numpy as np
import pytest

from frames.charts import aruco
from frames.light import (
    BANDS_NM,
    Eye,
    Shutter,
    box_blur,
    defocused,
    expose,
    falloff,
    flicker,
    photons_per_lux_m2,
    spread,
)
from frames.scene import SCENES, SceneError, parse_scene, scene_parameters
from frames.sensor import load_sensor

MONO, COLOUR = Eye.of(load_sensor("imx255")), Eye.of(load_sensor("imx412"))
SHARP = replace(MONO, charge_spread=0.0)
PIXELS = {"R": (0, 1), "G": (0, 0), "B": (1, 0)}  # of a GR cell
STILL = [name for name in SCENES if all(p.default is not None for p in scene_parameters(name))]


def test_white_light_is_what_the_curves_let_through() -> None:
    white = expose(np.ones((4, 4), np.float32), COLOUR) / 65535
    response = load_sensor("imx412").response()
    for (y, x), wanted in zip(PIXELS.values(), response, strict=True):
        assert white[y::2, x::2] == pytest.approx(wanted, rel=0.01)


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_primaries_land_mostly_in_their_own_pixels(channel: int) -> None:
    picture = np.zeros((4, 4, 3), np.float32)
    picture[:, :, channel] = 1
    seen = expose(picture, COLOUR)
    own, *others = (
        int(seen[p]) for p in sorted(PIXELS.values(), key=lambda p: p != list(PIXELS.values())[channel])
    )
    assert own > 2.5 * max(others)


def test_monochrome_sees_white_as_one_and_grey_as_its_sum() -> None:
    grey = expose(np.full((2, 2), 0.5, np.float32), MONO)
    rgb = expose(np.full((2, 2, 3), 0.5, np.float32), MONO)
    assert grey == pytest.approx(32768, abs=1)
    assert rgb == pytest.approx(32768, abs=1)


@pytest.mark.parametrize("nm", [450, 530, 620])
def test_one_wavelength_shows_one_plane_of_the_picture(nm: float) -> None:
    band = [low < nm <= high for low, high in BANDS_NM].index(True)
    picture = np.zeros((2, 2, 3), np.float32)
    picture[:, :, band] = 1
    response = load_sensor("imx412").response(nm)
    seen = expose(picture, COLOUR, COLOUR.weights(nm)) / 65535
    assert [float(seen[p]) for p in PIXELS.values()] == pytest.approx(response, abs=1e-4)
    assert not expose(1 - picture, COLOUR, COLOUR.weights(nm)).any()


@pytest.mark.parametrize("eye", [MONO, COLOUR], ids=["mono", "colour"])
@pytest.mark.parametrize(("dx", "dy"), [(1, 0), (0, 1), (3, 5), (-7, 2)])
def test_drift_shows_the_shifted_picture_behind_the_same_filters(dx: int, dy: int, eye: Eye) -> None:
    scene = parse_scene(f"colours:drift_x={dx},drift_y={dy}")
    picture, weights = scene.lit(48, 32, eye)
    for time_s in (0.0, 1.0, 2.0, 100.0):
        moved = np.roll(picture, (int(dy * time_s), int(dx * time_s)), (0, 1))
        seen = scene.radiance(time_s, 48, 32, eye).seen(48, 32)
        assert np.array_equal(seen, expose(spread(moved, eye.charge_spread, "wrap"), eye, weights))


def test_rolling_shutter_shears_what_moves_sideways() -> None:
    """Row y is seen 16 us x y later: at 1e6 / 16 pixels/s, one pixel further per row."""
    scene = parse_scene("bar:background=0,bar_width=20,speed=62500")
    shutter = Shutter(0.0, 16e-6)
    left = [
        int(np.flatnonzero(row)[0]) for row in scene.radiance(0.0, 400, 300, SHARP, shutter).seen(400, 300)
    ]
    assert left == list(range(300))
    upright = scene.radiance(0.0, 400, 300, SHARP, Shutter(0.0, 0.0)).seen(400, 300)
    assert (upright == upright[0]).all()


def test_rolling_shutter_counts_from_the_first_row_of_the_region() -> None:
    scene = parse_scene("bar:background=0,bar_width=20,speed=62500")
    seen = scene.radiance(0.0, 400, 300, SHARP, Shutter(0.0, 16e-6, first_row=100)).seen(400, 300)
    assert np.flatnonzero(seen[100])[0] == 0
    assert np.flatnonzero(seen[150])[0] == 50


def test_rolling_shutter_stretches_what_moves_down() -> None:
    scene = parse_scene("gradient:axis=y,drift_y=25000")
    seen = scene.radiance(0.0, 8, 400, SHARP, Shutter(0.0, 16e-6)).seen(8, 400)[:, 0]
    still = parse_scene("gradient:axis=y").radiance(0.0, 8, 400).seen(8, 400)[:, 0]
    rows = np.arange(400)
    assert np.array_equal(seen, still[rows - np.rint(rows * 0.4).astype(int)])


@pytest.mark.parametrize("eye", [SHARP, COLOUR], ids=["mono", "colour"])
def test_target_rolled_is_every_row_at_its_time(eye: Eye) -> None:
    line_s = 2e-3
    rolled = parse_scene("target").radiance(0.3, 320, 200, eye, Shutter(0.0, line_s)).seen(320, 200)
    other = parse_scene("target")
    for y in range(0, 200, 7):
        at_once = other.radiance(0.3 + y * line_s, 320, 200, eye).seen(320, 200)
        assert np.array_equal(rolled[y], at_once[y])


@pytest.mark.parametrize("name", STILL)
def test_every_scene_is_a_function_of_time_alone(name: str) -> None:
    scene, other = parse_scene(name), parse_scene(name)
    shutter = Shutter(1e-3, 16e-6)
    for time_s in (0.0, 1.0, 2.5):
        scene.radiance(time_s, 160, 120, COLOUR, shutter)
    again = scene.radiance(1.0, 160, 120, COLOUR, shutter).photons_per_s(160, 120)
    assert np.array_equal(again, other.radiance(1.0, 160, 120, COLOUR, shutter).photons_per_s(160, 120))


@pytest.mark.parametrize("name", STILL)
def test_scenes_that_move_say_so(name: str) -> None:
    scene = parse_scene(name)
    a, b = (scene.radiance(t, 320, 200).seen(320, 200).copy() for t in (0.0, 0.77))
    assert np.array_equal(a, b) != scene.moving


def test_motion_blurs_during_the_exposure() -> None:
    scene = parse_scene("bar:background=0,bar_width=50,speed=10000")
    light = scene.radiance(0.0, 400, 2, SHARP, Shutter(2e-3)).seen(400, 2)[0] / 65535
    assert light.sum() == pytest.approx(50, abs=0.01)
    assert np.flatnonzero(light).tolist() == list(range(69))  # 20 pixels of way, from 0..50 to 20..70
    rise, fall = np.arange(11, 61) / 20, np.arange(59, 9, -1) / 20
    assert light[10:60] == pytest.approx(np.minimum(np.minimum(rise, fall), 1), abs=2e-5)


def test_flicker_is_the_mean_over_each_exposure() -> None:
    times = np.linspace(0, 0.02, 50)
    gain = flicker(0.4, 100, times, 3e-3)
    fine = np.linspace(0, 3e-3, 4001)[None, :] + times[:, None]
    wanted = np.trapezoid(1 + 0.4 * np.sin(2 * np.pi * 100 * fine), axis=1) / 4000
    assert gain == pytest.approx(wanted, abs=1e-5)
    assert flicker(0.4, 100, times, 10e-3) == pytest.approx(
        np.ones(50), abs=1e-6
    )  # whole periods: no flicker


def test_flicker_bands_a_rolling_shutter_and_pumps_a_global_one() -> None:
    scene = parse_scene("uniform:flicker=0.5,flicker_hz=100")
    rolling = scene.radiance(0.0, 4, 625, MONO, Shutter(1e-4, 16e-6)).photons_per_s(4, 625)[:, 0]
    assert rolling.max() / rolling.min() == pytest.approx(3, rel=0.01)
    assert np.argmax(rolling) == pytest.approx(625 / 4, abs=5)
    frames = [scene.radiance(t, 4, 4, MONO, Shutter(1e-4)).photons_per_s(4, 4) for t in (0.0, 2.5e-3, 7.5e-3)]
    assert all((f == f[0, 0]).all() for f in frames)
    assert frames[1][0, 0] > 1.4 * frames[0][0, 0] > 1.4 * 1.4 * frames[2][0, 0]


def test_vignetting_darkens_the_corners_by_what_is_said() -> None:
    light = parse_scene("uniform:vignetting=0.6").radiance(0, 401, 301).photons_per_s(401, 301)
    assert light[0, 0] / light[150, 200] == pytest.approx(0.4, abs=0.005)
    x, y = falloff(0.6, 401, 301)
    assert x[200] == y[150] == 1
    corner = 0.4**0.5  # cos^4 with the same loss at the corner: 4 % apart at most
    slope2 = 1 / corner - 1
    r2 = np.linspace(0, 1, 50)
    assert np.exp(math.log(0.4) * r2) == pytest.approx((1 / (1 + slope2 * r2)) ** 2, abs=0.04)


def test_lux_through_a_lens() -> None:
    """1 lux at 555 nm is 1/683 W/m^2: 4.09e15 photons/s/m^2; f/2 leaves a sixteenth of a white object's lux."""
    assert photons_per_lux_m2(555) == pytest.approx(555e-9 / (683 * 6.626e-34 * 2.998e8), rel=0.02)
    scene = parse_scene("uniform:lux=1000,fnumber=2,nm=555")
    wanted = 1000 / 16 * photons_per_lux_m2(555) * (3.45e-6) ** 2
    assert scene.radiance(0, 2, 2, replace(MONO, response=lambda nm: (1.0,))).photons_per_s(
        2, 2
    ) == pytest.approx(wanted)
    stopped = parse_scene("uniform:lux=1000,fnumber=4,nm=555").white_photons(MONO)
    assert stopped == pytest.approx(scene.white_photons(MONO) / 4)
    assert scene.white_photons(COLOUR) == pytest.approx(wanted * (1.55 / 3.45) ** 2)
    assert photons_per_lux_m2(0) == pytest.approx(1.15e16, rel=0.05)


@pytest.mark.parametrize("sigma", [0.6, 2.0, 9.0])
def test_defocus_is_a_gaussian(sigma: float) -> None:
    picture = np.zeros((129, 129), np.float32)
    picture[64, 64] = 1
    spot = defocused(picture, sigma)
    x = np.arange(129) - 64
    assert spot.sum() == pytest.approx(1, abs=1e-3)
    for axis in (0, 1):
        assert (spot.sum(axis=axis) * x).sum() == pytest.approx(0, abs=1e-3)
        assert (spot.sum(axis=axis) * x**2).sum() == pytest.approx(sigma**2, rel=0.08)
    assert defocused(np.full((20, 30), 0.7, np.float32), sigma) == pytest.approx(0.7, rel=1e-5)


def test_box_blur_is_a_mean_that_wraps() -> None:
    row = np.arange(10, dtype=np.float32)[None, :] ** 2
    wanted = np.mean([np.roll(row, k, 1) for k in (-1, 0, 1)], axis=0)
    assert box_blur(row, 3, 1) == pytest.approx(wanted)
    assert box_blur(row.T, 3, 0) == pytest.approx(wanted.T)
    assert box_blur(row, 10, 1) == pytest.approx(row.mean())


@pytest.mark.parametrize("eye", [MONO, COLOUR], ids=["mono", "colour"])
@pytest.mark.parametrize("time_s", [0.0, 1.7, 5.0])
def test_the_pose_of_a_board_is_where_its_fields_are(time_s: float, eye: Eye) -> None:
    """Every field's middle, put through the homography, has the field's colour."""
    scene = parse_scene("checkerboard:columns=9,rows=7,size=0.6")
    light = scene.radiance(time_s, 640, 480, eye).seen(640, 480)
    field_px = round(0.6 * 480 / 7)
    margin = field_px // 2
    face = (7 * field_px + 2 * margin, 9 * field_px + 2 * margin)
    pose = scene.homography(time_s, face, 640, 480)  # type: ignore[attr-defined]
    white = expose(np.ones((2, 2), np.float32), eye)
    for row in range(7):
        for column in range(9):
            centre = [margin + (column + 0.5) * field_px, margin + (row + 0.5) * field_px, 1]
            x, y, w = pose @ centre
            x, y = round(x / w), round(y / w)
            share = light[y, x] / white[y & 1, x & 1]
            assert share == pytest.approx(1.0 if (row + column) % 2 else 0.03, abs=0.02)


def test_a_rolled_board_is_every_row_at_its_time() -> None:
    rolled = parse_scene("charuco:period=2").radiance(0.3, 320, 240, MONO, Shutter(0.0, 2e-5)).seen(320, 240)
    other = parse_scene("charuco:period=2")
    for y in range(0, 240, 11):
        at_once = other.radiance(0.3 + y * 2e-5, 320, 240).seen(320, 240)
        assert (
            np.abs(rolled[y].astype(int) - at_once[y]).max() < 1500
        )  # the pose is interpolated between rows
    upright = other.radiance(0.3, 320, 240).seen(320, 240)
    assert np.abs(rolled.astype(int) - upright).max() > 5000


def test_markers_are_those_of_the_original_dictionary() -> None:
    """Number 0 and 1023 by hand: every row 10000, every row 01110."""
    for number, row in ((0, "10000"), (1023, "01110"), (341, "10111"), (682, "01001")):
        inner = aruco(number)[1:6, 1:6]
        assert all("".join("01"[int(b)] for b in line) == row for line in inner)
        assert aruco(number).sum() == inner.sum()


def test_a_board_that_reaches_the_lens_is_refused() -> None:
    with pytest.raises(
        SceneError, match=r"^scene dots: the board reaches the lens; size or columns must be smaller$"
    ):
        parse_scene("dots:columns=100,rows=2")


@pytest.mark.parametrize(
    "text", ["checkerboard:size=3", "dots:size=0.05,columns=2,rows=2", "charuco:tilt=60,sway=20"]
)
@pytest.mark.parametrize("size", [(1, 1), (33, 17), (640, 90)])
def test_boards_of_any_size_on_any_sensor(text: str, size: tuple[int, int]) -> None:
    scene = parse_scene(text)
    for time_s in np.linspace(0, 8, 9):
        assert scene.radiance(float(time_s), *size).seen(*size).shape == size[::-1]
