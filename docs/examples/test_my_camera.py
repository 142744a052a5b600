"""An example: tests of a small program, `brightest`, against virtual cameras. Run it: pytest docs/examples"""

import numpy as np
import pytest


def brightest(frame):
    """The program under test: where is it brightest? (row, column)"""
    return np.unravel_index(int(frame.pixels.argmax()), frame.pixels.shape)


@pytest.fixture
def camera(virtual_camera):
    return virtual_camera("acA4096-40um", Width=256, Height=128)


def spot(row, column):
    """A scene of as many pixels as the sensor has: one bright spot."""
    picture = np.zeros((2168, 4096), np.float32)
    picture[row - 2 : row + 3, column - 2 : column + 3] = 1.0
    return picture


@pytest.mark.parametrize(("row", "column"), [(10, 20), (64, 128), (100, 250)])
def test_the_spot_is_found(camera, row, column):
    camera.features.ExposureTime = 30_000
    camera.features.OffsetX = camera.features.OffsetY = 0
    camera.scene(spot(row, column))
    found = brightest(camera.grab())
    assert abs(found[0] - row) <= 3
    assert abs(found[1] - column) <= 3


@pytest.mark.parametrize("pixel_format", ["Mono8", "Mono12", "Mono12p"])
def test_every_pixel_format_will_do(camera, pixel_format):
    camera.features.PixelFormat = pixel_format
    assert len(brightest(camera.grab())) == 2


def test_a_camera_that_comes_back_goes_on(camera):
    camera.grab()
    camera.unplug()
    camera.replug()
    assert camera.grab().complete


@pytest.mark.u3v(lost_frames=True)
def test_a_slow_program_sees_gaps_in_the_block_ids(virtual_camera):
    camera = virtual_camera("acA4096-40um", Width=2048, Height=1024)
    with camera.acquire() as frames:
        frames.next()
        camera.advance("1s")
        ids = [frames.next().block_id for _ in range(50)]
    assert max(np.diff(ids)) > 1
