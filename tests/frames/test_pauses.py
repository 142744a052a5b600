"""A frame is rendered in parts, so that others get the processor in between; its bytes know nothing of that."""

import numpy as np
import pytest

from frames.scene import parse_scene
from frames.sensor import load_sensor
from frames.source import FrameSettings, FrameSource

WIDTH, HEIGHT = 64, 50


@pytest.mark.parametrize("pixel_format", ["Mono8", "Mono12", "Mono12p"])
def test_parts_and_pauses(pixel_format: str) -> None:
    source = FrameSource(load_sensor("imx255"), parse_scene("target"), seed=1, width=WIDTH, height=HEIGHT)
    settings = FrameSettings(3, 0.5, 5000.0, 0.0, 0.0, 0, 0, WIDTH, HEIGHT, pixel_format=pixel_format)
    size = FrameSource.payload_size(WIDTH, HEIGHT, pixel_format)
    frames: list[np.ndarray[tuple[int], np.dtype[np.uint8]]] = []
    pauses: list[int] = []
    source.pause = lambda: pauses.append(len(frames))
    for part_px in (WIDTH * HEIGHT, 16 * WIDTH, 1):
        source.part_px = part_px
        frames.append(np.zeros(size, np.uint8))
        source.render_into(frames[-1], settings)
    assert [pauses.count(n) for n in (1, 2, 3)] == [0, 3, HEIGHT - 1]
    assert frames[0].any()
    assert (frames[0] == frames[1]).all()
    assert (frames[0] == frames[2]).all()
