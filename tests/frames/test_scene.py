import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from frames.computed import brightness
from frames.scene import (
    SCENES,
    WHITE_PHOTONS,
    Function,
    SceneError,
    parse_scene,
    scene_doc,
    scene_parameters,
)


def light_of_gradient(time_s: float, width: int, height: int) -> np.ndarray:
    """What `python:call=...` finds."""
    return np.tile(np.arange(width, dtype=float) * 1000 + time_s, (height, 1))


@pytest.mark.parametrize("name", SCENES)
def test_listing_has_a_line_for_each(name: str) -> None:
    assert scene_doc(name)
    assert all(p.doc for p in scene_parameters(name))


@pytest.mark.parametrize("text", ["target", "bar", "uniform", "gradient"])
@pytest.mark.parametrize("size", [(1, 1), (16, 8), (641, 479), (4112, 128)])
def test_any_sensor_size(text: str, size: tuple[int, int]) -> None:
    scene = parse_scene(text)
    for time_s in (0.0, 1.7, 1e6):
        light = scene.radiance(time_s, *size)
        assert light.seen(*size).shape == size[::-1]
        assert light.steps.dtype == np.uint16


def test_empty_text_is_the_target() -> None:
    assert parse_scene("").name == "target"
    assert parse_scene("").moving


def test_uniform_is_exact() -> None:
    light = parse_scene("uniform:photons=12345.678").radiance(0, 8, 4).photons_per_s()
    assert np.allclose(light, 12345.678, rtol=1e-6)


def test_gradient_runs_from_dark_to_bright() -> None:
    light = parse_scene("gradient:photons=1000,dark=0.5,axis=y").radiance(0, 4, 11).photons_per_s()
    assert light[:, 0] == pytest.approx(np.linspace(500, 1000, 11), rel=1e-4)
    assert (light == light[:, :1]).all()


def test_static_scene_is_drawn_once() -> None:
    scene = parse_scene("gradient")
    assert not scene.moving
    assert scene.radiance(0, 64, 32).steps is scene.radiance(5, 64, 32).steps


def test_bar_moves_with_time_wraps_and_leaves_nothing_behind() -> None:
    scene = parse_scene("bar:bar_width=10,speed=100,background=0")
    for time_s, columns in ((0.0, range(10)), (0.25, range(25, 35)), (0.95, [*range(95, 100), *range(5)])):
        bright = scene.radiance(time_s, 100, 4).seen(100, 4) == 65535
        assert (bright == bright[0]).all()
        assert sorted(np.flatnonzero(bright[0])) == sorted(columns)


def test_target_is_a_function_of_time_alone() -> None:
    scene, other = parse_scene("target"), parse_scene("target")
    for time_s in (0.0, 1.0, 2.5):
        scene.radiance(time_s, 640, 360)
    assert np.array_equal(scene.radiance(1.0, 640, 360).steps, other.radiance(1.0, 640, 360).steps)
    assert not np.array_equal(scene.radiance(1.5, 640, 360).steps, other.radiance(1.0, 640, 360).steps)


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_image_keeps_its_16_bit_values(tmp_path: Path, suffix: str) -> None:
    values = (np.arange(12, dtype=np.uint16).reshape(3, 4) * 5000).astype(np.uint16)
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(values).save(path)
    light = parse_scene(f"image:path={path},photons=65535").radiance(0, 4, 3).photons_per_s()
    assert light == pytest.approx(values.astype(float))


def test_image_fits(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    Image.fromarray(np.full((10, 20), 255, np.uint8)).save(path)
    contained = parse_scene(f"image:path={path},fit=contain").radiance(0, 40, 40).steps
    assert (contained[10:30] == 65535).all()
    assert not contained[:10].any()
    assert not contained[30:].any()
    for fit in ("cover", "stretch"):
        assert (parse_scene(f"image:path={path},fit={fit}").radiance(0, 40, 40).steps == 65535).all()


def test_image_gamma(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    Image.fromarray(np.full((4, 4, 3), 128, np.uint8)).save(path)
    light = parse_scene(f"image:path={path},gamma=2.2").radiance(0, 4, 4).photons_per_s()
    assert light == pytest.approx(WHITE_PHOTONS * (128 / 255) ** 2.2, rel=1e-4)


def test_python_function(monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"python:call={__name__}:light_of_gradient"
    moving, still = parse_scene(text), parse_scene(f"{text},still=yes")
    assert moving.moving
    assert not still.moving
    assert moving.radiance(500, 5, 2).photons_per_s()[1] == pytest.approx(
        [500, 1500, 2500, 3500, 4500], rel=1e-4
    )
    assert still.radiance(500, 5, 2).photons_per_s()[1, 4] == pytest.approx(4000)


def test_function_of_the_wrong_shape_is_refused() -> None:
    scene = Function(lambda time_s, width, height: np.zeros((height, width + 1)))
    with pytest.raises(SceneError, match=r"^scene function: returned 9x4 pixels, the sensor has 8x4$"):
        scene.radiance(0, 8, 4)


def test_light_must_be_finite() -> None:
    for light in (math.nan, math.inf):
        with pytest.raises(SceneError, match=r"^a scene's light must be finite$"):
            brightness([[0.0, light]])
    picture, brightest = brightness([[-5.0, 10.0]])
    assert (picture.tolist(), brightest) == ([[0.0, 1.0]], 10.0)
    assert not brightness([[-5.0, 0.0]])[0].any()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("targt", "unknown scene 'targt', did you mean 'target'?"),
        ("xyz", "unknown scene 'xyz'; known: " + ", ".join(SCENES)),
        ("uniform:photon=1", "scene uniform: unknown key 'photon', did you mean 'photons'?"),
        ("uniform:photons", "scene uniform: 'photons' must be key=value"),
        ("uniform:photons=a", "scene uniform: photons=a is not a number"),
        ("uniform:photons=-1", "scene uniform: photons=-1 must be in 0 .. 1e+12"),
        ("uniform:photons=nan", "scene uniform: photons=nan must be in 0 .. 1e+12"),
        ("uniform:photons=1,photons=2", "scene uniform: photons is given twice"),
        ("gradient:axis=z", "scene gradient: axis=z must be x or y or diagonal or radial"),
        ("image", "scene image: path= is missing (the file)"),
        ("image:path=/no/such.png", "scene image: path=/no/such.png: no such file"),
        ("python:call=json", "scene python: call=json must be MODULE:NAME"),
        ("python:call=json:nope", "scene python: call=json:nope: module 'json' has no attribute 'nope'"),
        ("python:call=json:__name__", "scene python: call=json:__name__ is not callable"),
    ],
)
def test_refusals(text: str, message: str) -> None:
    with pytest.raises(SceneError) as caught:
        parse_scene(text)
    assert str(caught.value) == message
    assert isinstance(caught.value, ValueError)


def test_not_an_image(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_text("hello")
    with pytest.raises(SceneError) as caught:
        parse_scene(f"image:path={path}")
    assert str(caught.value) == f"scene image: path={path}: not an image Pillow can read"
