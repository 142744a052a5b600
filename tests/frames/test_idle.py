"""P1: a source that nobody uses costs next to nothing; what it makes when it is used is shared and given back."""

import gc
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from frames import individual
from frames.scene import SCENES, parse_scene
from frames.sensor import SensorError, load_sensor
from frames.source import FrameSource
from tests.frames.cameras import SENSOR, render, settings, source


def test_p1_a_hundred_idle_sources_cost_next_to_nothing() -> None:
    full = {"width": 4096, "height": 2168}
    idle = [FrameSource(SENSOR, parse_scene("target"), seed=0, **full)]
    tracemalloc.start()
    try:
        begin = time.thread_time()
        idle += [
            FrameSource(load_sensor("imx255"), parse_scene("target"), seed=n, **full) for n in range(100)
        ]
        seconds = time.thread_time() - begin
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 100 * 50_000
    assert seconds < 100 * 0.01


def test_p1_prepare_makes_what_the_first_frame_needs_and_release_gives_it_back() -> None:
    camera, other = source(parse_scene("conveyor")), source(parse_scene("conveyor"))
    assert camera.fixed_pattern is None
    camera.prepare()
    pattern = camera.fixed_pattern
    assert pattern is not None
    wanted = render(other, settings(3))
    assert np.array_equal(render(camera, settings(3)), wanted)
    assert camera.fixed_pattern is pattern
    camera.release()
    assert camera.fixed_pattern is None
    assert np.array_equal(render(camera, settings(3)), wanted)


def test_p1_equal_cameras_share_pattern_and_canvas_until_the_last_lets_go() -> None:
    scene, equal = parse_scene("star:spokes=7"), parse_scene("star:spokes=7,photons=5")
    a, b = source(scene, seed=77), source(equal, seed=77)
    different = source(parse_scene("star:spokes=8"), seed=78)
    for camera in (a, b, different):
        camera.prepare(settings(0))
    assert a.fixed_pattern is b.fixed_pattern
    assert a.fixed_pattern is not different.fixed_pattern
    sizes = 1024, 512
    steps = [c.scene.radiance(0.0, *sizes, c._eye).steps for c in (a, b, different)]
    assert steps[0] is steps[1]
    assert steps[0] is not steps[2]
    del steps
    for camera in (a, b):
        camera.release()
    gc.collect()
    assert (77, *sizes) not in individual._patterns
    assert (78, *sizes) in individual._patterns


@pytest.mark.parametrize("name", [n for n in SCENES if SCENES[n].pure])
def test_p1_a_released_scene_shows_the_same_again(name: str) -> None:
    camera = source(parse_scene(name))
    frames = [render(camera, settings(n, time_s=n / 3)) for n in range(2)]
    camera.release()
    assert np.array_equal(render(camera, settings(1, time_s=1 / 3)), frames[1])


def test_a_fixed_pattern_cannot_be_written_to() -> None:
    camera = source(parse_scene("uniform"))
    camera.prepare()
    assert camera.fixed_pattern is not None
    with pytest.raises(ValueError, match="read-only"):
        camera.fixed_pattern.prnu[0, 0] = 1


def test_u6_a_picture_wider_than_the_sensor_is_refused() -> None:
    message = r"^a picture of 4113x2 pixels is larger than the sensor IMX255, which has 4112x2176$"
    with pytest.raises(SensorError, match=message):
        FrameSource(SENSOR, parse_scene("uniform"), seed=1, width=4113, height=2)


def test_scenes_from_files_are_not_shared(tmp_path: Path) -> None:
    """The file may have changed in between."""
    from PIL import Image

    seen = []
    for grey in (50, 200):
        Image.new("L", (8, 8), grey).save(tmp_path / "a.png")
        seen.append(parse_scene(f"image:path={tmp_path / 'a.png'}").radiance(0.0, 8, 8).steps)
    assert seen[0].max() < seen[1].min()
