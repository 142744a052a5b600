"""Scenes from outside: files, arrays, generators, another process."""

import struct
import subprocess
import sys
from itertools import count
from multiprocessing import shared_memory
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from frames.light import Eye, expose
from frames.media import LivePicture
from frames.scene import Array, Function, Generated, SceneError, parse_scene
from frames.sensor import load_sensor

MONO, COLOUR = Eye.of(load_sensor("imx255")), Eye.of(load_sensor("imx412"))


def steps(scene: object, time_s: float = 0.0, width: int = 4, height: int = 3) -> np.ndarray:
    return scene.radiance(time_s, width, height).seen(width, height)  # type: ignore[attr-defined]


@pytest.mark.parametrize("suffix", ["png", "tiff", "bmp"])
def test_colour_picture_behind_colour_filters(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(np.full((8, 8, 3), (255, 0, 0), np.uint8)).save(path)
    seen = parse_scene(f"image:path={path}").radiance(0, 8, 8, COLOUR).seen(8, 8)
    red, green, blue = seen[0, 1], seen[0, 0], seen[1, 0]
    assert red > 2.5 * max(green, blue)


def test_jpeg(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    Image.fromarray(np.full((16, 16), 200, np.uint8)).save(path)
    assert steps(parse_scene(f"image:path={path}")) == pytest.approx(200 / 255 * 65535, rel=0.01)


def test_folder_shows_its_pictures_in_turn(tmp_path: Path) -> None:
    for k, suffix in enumerate(("png", "tif", "jpg")):
        Image.fromarray(np.full((9, 5), 50 * (k + 1), np.uint8)).save(tmp_path / f"{k}.{suffix}")
    (tmp_path / "notes.txt").write_text("no picture")
    scene = parse_scene(f"folder:path={tmp_path},period=0.5")
    assert scene.moving
    for time_s, level in ((0.0, 50), (0.49, 50), (0.5, 100), (1.2, 150), (1.5, 50), (0.6, 100)):
        assert steps(scene, time_s) == pytest.approx(level / 255 * 65535, rel=0.01)


def test_video_plays_at_its_speed_and_again(tmp_path: Path) -> None:
    path = tmp_path / "x.mkv"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv444p"
        for k in range(8):
            frame = av.VideoFrame.from_ndarray(np.full((16, 16, 3), 30 * k + 10, np.uint8), format="rgb24")
            file.mux(stream.encode(frame.reformat(format="yuv444p")))
        file.mux(stream.encode())
    scene = parse_scene(f"video:path={path}")
    for time_s, number in ((0.05, 0), (0.25, 2), (0.71, 7), (0.33, 3), (0.85, 0), (8.05, 0)):
        assert steps(scene, time_s) / 65535 * 255 == pytest.approx(30 * number + 10, abs=3), time_s
    scene.close()


def test_array_grey_and_colour_of_any_size_and_type() -> None:
    assert steps(Array(np.full((7, 9), 128, np.uint8))) == pytest.approx(128 / 255 * 65535, abs=1)
    assert steps(Array(np.full((7, 9), 1000, np.uint16))) == pytest.approx(1000, abs=1)
    assert steps(Array(np.full((2, 2, 3), 0.5))) == pytest.approx(32768, abs=2)
    assert steps(Array(np.ones((2, 2), bool), photons=5.0)).min() == 65535
    half = np.zeros((6, 8))
    half[:, 4:] = 1
    assert steps(Array(half, fit="stretch"), width=8, height=6)[0].tolist() == [0] * 4 + [65535] * 4
    with pytest.raises(SceneError, match=r"^scene array: an array of shape \(3,\) is no picture$"):
        Array(np.zeros(3))


def test_array_drifts() -> None:
    scene = Array(np.eye(8), drift_x=2.0)
    assert np.array_equal(steps(scene, 1.5, 8, 8), np.roll(np.eye(8), 3, 1) * 65535)


def test_function_in_colour() -> None:
    def light(time_s: float, width: int, height: int) -> np.ndarray:
        return np.full((height, width, 3), (time_s, 0, 0)) * 1000

    scene = Function(light)
    seen = scene.radiance(5.0, 4, 4, COLOUR).photons_per_s(4, 4)
    weights = COLOUR.weights(0)
    assert seen[0, 1] == pytest.approx(5000 * weights[0, 0], rel=1e-3)
    assert seen[0, 0] == pytest.approx(5000 * weights[1, 0], rel=1e-2)


def test_generator_gives_the_next_picture_when_its_time_has_come() -> None:
    scene = Generated((np.full((3, 4), k / 10) for k in count()), fps=10)
    for time_s, level in ((0.0, 0.0), (0.05, 0.0), (0.1001, 0.1), (0.55, 0.5)):
        assert steps(scene, time_s) == pytest.approx(level * 65535, abs=1)
    ends = Generated([np.zeros((2, 2)), np.ones((2, 2))], fps=10)
    assert steps(ends, 99).min() == 65535


def shown(picture: np.ndarray, width: int, height: int, eye: Eye = MONO, **keys: Any) -> np.ndarray:
    return Generated([picture], fps=1, **keys).radiance(0, width, height, eye).seen(width, height)


@pytest.mark.parametrize("eye", [MONO, COLOUR], ids=["mono", "colour"])
def test_changing_pictures_of_the_sensors_size_are_not_touched(eye: Eye) -> None:
    picture = np.random.default_rng(1).random((20, 30, 3)).astype(np.float32)
    difference = shown(picture, 30, 20, eye).astype(int) - expose(picture, eye)
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("fit", ["cover", "contain", "stretch"])
@pytest.mark.parametrize("size", [(64, 48), (48, 64), (200, 50), (17, 33)])
def test_changing_pictures_lie_where_still_ones_do(fit: str, size: tuple[int, int]) -> None:
    y, x = np.mgrid[0:40, 0:60] / 60
    ramp = 0.2 + 0.3 * x + 0.5 * y
    moving, still = shown(ramp, *size, fit=fit), steps(Array(ramp, fit=fit), 0, *size)
    if fit == "contain":
        inside = (moving > 0) & (still > 0)
        assert inside.mean() > 0.95 * (still > 0).mean()
        moving, still = moving[inside], still[inside]
    inner = np.abs(moving.astype(int) - still)
    assert np.median(inner) < 500  # of 65535; a pixel to the side would be 300 .. 1500
    assert np.quantile(inner, 0.9) < 1500


def test_large_pictures_are_averaged_not_sampled() -> None:
    lines = np.zeros((300, 400))
    lines[:, ::2] = 1
    assert shown(lines, 40, 30) == pytest.approx(32768, abs=2)


def test_outside_a_contained_picture_is_dark() -> None:
    contained = shown(np.ones((10, 20)), 40, 40, fit="contain")
    assert (contained[10:30] == 65535).all()
    assert not contained[:10].any()
    assert not contained[30:].any()


def test_gamma_and_defocus_of_changing_pictures() -> None:
    assert shown(np.full((4, 4), 0.5), 8, 8, gamma=2.2) == pytest.approx(0.5**2.2 * 65535, abs=2)
    spot = np.zeros((41, 41))
    spot[20, 20] = 1
    blurred = shown(spot, 41, 41, defocus=2.0) / 65535
    assert blurred.sum() == pytest.approx(1, abs=0.02)
    assert blurred.max() == pytest.approx(1 / (2 * np.pi * 4), rel=0.03)


WRITER = """
import sys
import av
import numpy as np
from frames.media import LivePicture
live = LivePicture(sys.argv[1], 6, 8, colour=True)
for line in sys.stdin:
    live.show(np.full((6, 8, 3), int(line), np.uint8))
    print("shown", flush=True)
live.close()
"""


def test_live_picture_of_another_process() -> None:
    name = f"u3v-test-{np.random.default_rng().integers(1 << 62)}"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None

        def show(level: int) -> None:
            writer.stdin.write(f"{level}\n")
            writer.stdin.flush()
            assert writer.stdout.readline() == "shown\n"

        show(51)
        scene = parse_scene(f"live:memory={name}")
        try:
            assert steps(scene) == pytest.approx(0.2 * 65535, abs=1)
            show(204)
            assert steps(scene) == pytest.approx(0.8 * 65535, abs=1)
        finally:
            writer.stdin.close()
            assert writer.wait(20) == 0
        assert steps(scene) == pytest.approx(0.8 * 65535, abs=1)
        scene.close()


def test_a_picture_half_written_is_not_taken() -> None:
    name = f"u3v-test-{np.random.default_rng().integers(1 << 62)}"
    writer = LivePicture(name, 3, 4, sixteen_bit=True)
    scene = parse_scene(f"live:memory={name}")
    writer.show(np.full((3, 4), 1000))
    assert steps(scene).max() == 1000
    writer._header[0] += 1
    writer._pixels[:] = 2000
    assert steps(scene).max() == 1000
    writer._header[0] += 1
    assert steps(scene).min() == 2000
    scene.close()
    writer.close()


def test_other_shared_memory_is_refused() -> None:
    for content in (bytes(8), bytes(64), struct.pack("=5q", 0, 1000, 1000, 3, 1) + bytes(100)):
        memory = shared_memory.SharedMemory(create=True, size=len(content))
        try:
            memory.buf[: len(content)] = content
            with pytest.raises(SceneError, match=r": not made by frames\.media\.LivePicture$"):
                parse_scene(f"live:memory={memory.name}")
        finally:
            memory.close()
            memory.unlink()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("live:memory=../shm/x", "scene live: memory=../shm/x: no such shared memory"),
        ("folder:path=/no/such", "scene folder: path=/no/such: no such folder"),
        ("video:path=/no/such.mp4", "scene video: path=/no/such.mp4: no such file"),
        ("live:memory=no-such-memory", "scene live: memory=no-such-memory: no such shared memory"),
        ("target:drift_x=5", "scene target: drift_x does not go with it"),
        ("python:call=math:sin,lux=5", "scene python: lux does not go with it"),
        ("live:memory=x,drift_y=5", "scene live: drift_y does not go with it"),
    ],
)
def test_refusals(text: str, message: str) -> None:
    with pytest.raises(SceneError) as caught:
        parse_scene(text)
    assert str(caught.value) == message


def test_folder_without_pictures_and_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match=r": no picture in it \(\.png \.tif "):
        parse_scene(f"folder:path={tmp_path}")
    (tmp_path / "x.png").write_text("hello")
    with pytest.raises(SceneError, match=r"x\.png: not an image Pillow can read$"):
        parse_scene(f"folder:path={tmp_path}")
    with pytest.raises(SceneError, match=r"x\.png: not a video FFmpeg can read$"):
        parse_scene(f"video:path={tmp_path / 'x.png'}")
