"""A few frames rendered with real noise and then repeated in turn, for machines too slow to render each frame.

Rendering costs some nanoseconds a pixel, a copy a tenth of that: a small board that carries 40 MB/s over its cable
may render 20. What is repeated are pixels and nothing else: block ids, timestamps, chunk data and counters stay each
frame's own. What is lost, and must be known to whoever evaluates such frames: their noise repeats after `count`
frames, a moving scene jumps back to where it began, and a sensor that warms up does not show it.

State: the frames rendered since the scene and the settings were last other ones. Always true: they all have the same
settings but for frame number, instant and temperature, and at most `count` are kept.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from frames.light import Scene
from frames.settings import FrameSettings
from frames.source import FrameSource

U8Array = npt.NDArray[np.uint8]


class SceneCache:
    """In front of a frame source: `count` frames are its own, all others copies of these. One call at a time."""

    def __init__(self, source: FrameSource, count: int) -> None:
        if count < 1:
            raise ValueError(f"a scene cache holds at least 1 frame, not {count}")
        self.count = count
        self._source = source
        self._of: tuple[Scene, FrameSettings] | None = None
        self._kept: list[U8Array] = []
        self._next = 0

    def prepare(self, settings: FrameSettings, period_s: float) -> None:
        """Render all frames now, as a camera would with such settings, one after each `period_s`."""
        self._source.prepare(settings)
        size = self._source.payload_size(settings.width, settings.height, settings.pixel_format)
        self.release()
        for number in range(self.count):
            frame = replace(settings, frame=number, time_s=settings.time_s + number * period_s)
            self.render_into(np.empty(size, np.uint8), frame)
        self._next = 0

    def release(self) -> None:
        """Forget the frames."""
        self._of = None
        self._kept.clear()

    def render_into(self, out: memoryview | U8Array, settings: FrameSettings) -> None:
        """Write a frame to `out`. Raises as `FrameSource.render_into`."""
        of = self._source.scene, replace(settings, frame=0, time_s=0.0, temperature_c=0.0)
        if self._of is None or self._of[0] is not of[0] or self._of[1] != of[1]:
            self._of, self._next = of, 0
            self._kept.clear()
        if len(self._kept) < self.count:
            self._source.render_into(out, settings)
            self._kept.append(np.frombuffer(out, np.uint8).copy())
            return
        np.copyto(np.frombuffer(out, np.uint8), self._kept[self._next])
        self._next = (self._next + 1) % self.count
