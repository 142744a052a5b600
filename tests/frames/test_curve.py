"""A look-up table behind the sensor: what a frame would have been, number by number through the table."""

from dataclasses import replace

import numpy as np
import pytest

from frames.packing import unpack
from frames.scene import parse_scene
from frames.sensor import load_sensor
from frames.source import FrameSettings, FrameSource

WIDTH, HEIGHT = 61, 16
PLAIN = FrameSettings(
    frame=3,
    time_s=0.0,
    exposure_us=4000.0,
    gain_db=6.0,
    black_level_dn12=16.0,
    offset_x=0,
    offset_y=0,
    width=WIDTH,
    height=HEIGHT,
    pixel_format="Mono12",
)


@pytest.mark.parametrize("pixel_format", ["Mono8", "Mono10", "Mono10p", "Mono12", "Mono12p"])
def test_values_go_through_the_table(pixel_format: str) -> None:
    source = FrameSource(load_sensor("IMX255"), parse_scene("target"), seed=1, width=WIDTH, height=HEIGHT)

    def values(settings: FrameSettings) -> "np.ndarray[tuple[int], np.dtype[np.uint16]]":
        size = source.payload_size(WIDTH, HEIGHT, settings.pixel_format)
        out = np.zeros(size, np.uint8)
        source.render_into(out, settings)
        return unpack(out, WIDTH * HEIGHT, settings.pixel_format)

    depth = {"8": 8, "10": 10, "12": 12}[pixel_format.removeprefix("Mono").removesuffix("p")]
    table = (np.arange(4096)[::-1] // 2).astype("<u2")
    expected = table[values(PLAIN)] >> (12 - depth)
    curved = values(replace(PLAIN, pixel_format=pixel_format, curve=table.tobytes()))
    assert np.array_equal(curved, expected)
    assert len(set(expected.tolist())) > 3
