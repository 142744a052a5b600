"""Small cameras for tests: a 1024x512 corner of the IMX255 in front of a scene."""

from typing import Any

import numpy as np
import numpy.typing as npt

from frames.individual import FixedPattern
from frames.packing import unpack
from frames.scene import Scene, Uniform
from frames.sensor import load_sensor
from frames.source import FrameSettings, FrameSource

SENSOR = load_sensor("imx255")
WIDTH, HEIGHT = 1024, 512
EXPOSURE_US = 10000.0


def uniform_of(electrons: float) -> Uniform:
    """Light that gives `electrons` per pixel in EXPOSURE_US."""
    return Uniform(photons=electrons / SENSOR.quantum_efficiency / (EXPOSURE_US * 1e-6))


def no_pattern(width: int, height: int) -> FixedPattern:
    return FixedPattern(np.zeros((height, width), np.int8), np.zeros((height, width), np.int8))


def source(
    scene: Scene, seed: int = 1, threads: int = 1, width: int = WIDTH, height: int = HEIGHT
) -> FrameSource:
    return FrameSource(SENSOR, scene, seed=seed, width=width, height=height, threads=threads)


def settings(frame: int = 0, **changes: Any) -> FrameSettings:
    values: dict[str, Any] = {
        "frame": frame,
        "time_s": 0.0,
        "exposure_us": EXPOSURE_US,
        "gain_db": 0.0,
        "black_level_dn12": 64.0,
        "offset_x": 0,
        "offset_y": 0,
        "width": WIDTH,
        "height": HEIGHT,
        "pixel_format": "Mono12",
    }
    return FrameSettings(**(values | changes))


def render(camera: FrameSource, s: FrameSettings) -> npt.NDArray[np.uint8]:
    out = np.full(camera.payload_size(s.width, s.height, s.pixel_format), 0xA5, np.uint8)
    camera.render_into(out, s)
    return out


def pixels(camera: FrameSource, s: FrameSettings) -> npt.NDArray[np.uint16]:
    return unpack(render(camera, s), s.width * s.height, s.pixel_format).reshape(s.height, s.width)
