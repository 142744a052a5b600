"""Frames that are rendered once and repeated, where a machine is too slow to render each."""

from dataclasses import replace

import numpy as np
import pytest

from frames.scene import parse_scene
from frames.scene_cache import SceneCache
from frames.sensor import load_sensor
from frames.settings import FrameSettings
from frames.source import FrameSource

SETTINGS = FrameSettings(0, 0.0, 5000.0, 0.0, 30.0, 0, 0, 64, 16)


class Counting(FrameSource):
    """A real source that tells which frames it was asked for."""

    def __init__(self) -> None:
        super().__init__(load_sensor("imx255"), parse_scene("bar"), seed=1, width=64, height=64)
        self.rendered: list[int] = []

    def render_into(self, out: memoryview | np.ndarray, settings: FrameSettings) -> None:  # type: ignore[type-arg]
        if settings.height > 1:  # `prepare` renders a line
            self.rendered.append(settings.frame)
        super().render_into(out, settings)


def taken(cache: SceneCache, frame: int, **changed: object) -> bytes:
    settings = replace(SETTINGS, frame=frame, time_s=frame / 40, **changed)  # type: ignore[arg-type]
    out = np.zeros(settings.width * settings.height, np.uint8)
    cache.render_into(memoryview(out), settings)
    return out.tobytes()


@pytest.fixture
def source() -> Counting:
    return Counting()


def test_the_first_frames_are_real_and_then_come_in_turn(source: Counting) -> None:
    cache = SceneCache(source, 3)
    frames = [taken(cache, n) for n in range(9)]
    assert source.rendered == [0, 1, 2]
    assert frames[:3] * 3 == frames and len(set(frames)) == 3
    plain = Counting()
    out = np.zeros(64 * 16, np.uint8)
    plain.render_into(out, replace(SETTINGS, frame=2, time_s=2 / 40))
    assert out.tobytes() == frames[2]


def test_the_cache_is_not_the_frame_that_was_handed_out(source: Counting) -> None:
    cache, out = SceneCache(source, 1), np.zeros(64 * 16, np.uint8)
    cache.render_into(memoryview(out), SETTINGS)
    first = out.tobytes()
    out[:] = 0
    cache.render_into(memoryview(out), SETTINGS)
    assert out.tobytes() == first


@pytest.mark.parametrize("changed", [{"exposure_us": 6000.0}, {"gain_db": 6.0}, {"height": 15}])
def test_other_settings_are_rendered_anew(source: Counting, changed: dict[str, object]) -> None:
    cache = SceneCache(source, 2)
    before = [taken(cache, n) for n in range(4)]
    after = [taken(cache, n, **changed) for n in range(4, 8)]
    assert source.rendered == [0, 1, 4, 5]
    assert not set(before) & set(after)


def test_a_camera_that_warms_up_and_time_that_passes_change_nothing(source: Counting) -> None:
    cache = SceneCache(source, 1)
    assert taken(cache, 0, temperature_c=30.0) == taken(cache, 1, temperature_c=50.0)
    assert source.rendered == [0]


def test_another_scene_is_rendered_anew(source: Counting) -> None:
    cache = SceneCache(source, 1)
    taken(cache, 0)
    source.scene = parse_scene("uniform:photons=100")
    taken(cache, 1)
    assert source.rendered == [0, 1]


def test_prepared_ahead(source: Counting) -> None:
    """Everything is rendered before the first frame is asked for, a period apart."""
    cache = SceneCache(source, 2)
    cache.prepare(SETTINGS, 1 / 40)
    assert source.rendered == [0, 1]
    ahead = [taken(cache, n) for n in range(10, 14)]
    assert source.rendered == [0, 1]
    cache.release()
    assert [taken(cache, n) for n in range(2)] == ahead[:2] == ahead[2:]


def test_none_is_no_cache(source: Counting) -> None:
    with pytest.raises(ValueError, match="at least 1 frame, not 0"):
        SceneCache(source, 0)
