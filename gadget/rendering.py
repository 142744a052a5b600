"""The pixels of a camera: exposures of the `Camera` core rendered by a frame source, for whatever wire.

The camera tells each exposure that has a place in its memory; it is rendered, in order, by `run_job` (a worker
thread, or inline on a fake clock), and delivered. State: exposures that wait for a frame buffer, because a
transport still holds views of all of them.
"""

import contextlib
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from frames.checksum import crc16
from frames.metering import mean_share
from frames.pool import FramePool
from frames.scene_cache import SceneCache
from frames.source import PART_PX, FrameSettings, FrameSource
from u3v.camera import Camera
from u3v.exposure import Exposure, ImageSettings

Job = Callable[[], None]
RunJob = Callable[[Job, Job, int], None]


def run_inline(render: Job, done: Job, due_ns: int) -> None:
    """Render in the caller's time."""
    render()
    done()


def raise_it(error: Exception) -> None:
    """What happens to a frame that cannot be rendered where nobody says otherwise."""
    raise error


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where and how frames are rendered.

    `run_job(render, done, due_ns)` calls `render` anywhere and then `done` in the thread that owns the camera; jobs
    must be done in the order they were given. `on_frame(now_ns)` is called after a frame has arrived, `on_failure
    (error)` where one could not be rendered: the host then gets it marked as discarded. `pause` is called in the
    middle of a frame, each `part_px` pixels. `on_buffer` is called from any thread when a frame buffer has come back
    after there was none: whoever holds buffers, such as a host that is slow to fetch what it has asked for, need not
    ask for anything new.
    """

    run_job: RunJob = run_inline
    on_frame: Callable[[int], None] = lambda now_ns: None
    on_failure: Callable[[Exception], None] = raise_it
    pause: Callable[[], None] = lambda: None
    part_px: int = PART_PX
    on_buffer: Callable[[], None] = lambda: None


INLINE = Workshop()
"""In the caller's time; who cannot render raises."""


class Renderer:
    """The camera's `PixelSource`. `pedestal_dn12`: what the sensor adds to the black level. `repeated`: how many
    frames are rendered and then repeated in turn; 0: each frame is rendered."""

    def __init__(
        self,
        camera: Camera,
        source: FrameSource,
        pool: FramePool,
        by: Workshop = INLINE,
        pedestal_dn12: float = 0.0,
        repeated: int = 0,
    ) -> None:
        self.source = source
        self._cache = SceneCache(source, repeated) if repeated else None
        self._camera = camera
        self._by = by
        self._pool = pool
        self._pedestal_dn12 = pedestal_dn12
        self._waiting: deque[Exposure] = deque()
        self._handing_out = False
        camera.render_with(self)

    def prepare(self) -> None:
        """Do what would make the first frame slow: load the engine, draw maps and scene. In any thread."""
        with contextlib.suppress(Exception):  # what is wrong with a scene is told with the first frame
            settings = frame_settings(self._camera.exposure(0, 0, 0, 0), self._pedestal_dn12)
            if self._cache is None:
                self.source.prepare(settings)
            else:
                self._cache.prepare(settings, self._camera.period_ns() / 1e9)

    def release(self) -> None:
        """Give back what `prepare` made, unless a host has configured the camera meanwhile."""
        if not self._camera.configured:
            self.source.release()
            if self._cache is not None:
                self._cache.release()

    def expose(self, exposure: Exposure) -> None:
        self._waiting.append(exposure)
        self._hand_out()

    def frame_wanted(self) -> None:
        self._hand_out()

    def _hand_out(self) -> None:
        if self._handing_out:  # a job that ran inline is done: the loop below goes on
            return
        self._handing_out = True
        try:
            while self._waiting:
                exposure = self._waiting[0]
                if not self._camera.frames.holds(exposure):
                    self._waiting.popleft()
                    continue
                view = self._pool.acquire(exposure.settings.wire_bytes)
                if view is None:
                    return
                self._waiting.popleft()
                self._render(exposure, view)
        finally:
            self._handing_out = False

    def _render(self, exposure: Exposure, view: memoryview) -> None:
        failures: list[Exception] = []
        brightness: list[float] = []
        checksums: list[int] = []

        def render() -> None:
            try:
                self._render_into(view, exposure)
                brightness.extend(measure(view, exposure.settings))
                if exposure.tail is not None and exposure.tail.has_checksum:
                    checksums.append(crc16(view[: exposure.settings.image_bytes]))
            except Exception as error:
                failures.append(error)

        def done() -> None:
            now_ns = self._camera.now_ns
            for error in failures:
                self._by.on_failure(error)
            self._camera.deliver(
                exposure,
                view,
                now_ns,
                lost=bool(failures),
                brightness=next(iter(brightness), None),
                pixels_crc=next(iter(checksums), None),
            )
            self._by.on_frame(now_ns)
            self._hand_out()

        self._by.run_job(render, done, exposure.readout_start_ns)

    def _render_into(self, view: memoryview, exposure: Exposure) -> None:
        image = view[: exposure.settings.image_bytes]
        (self._cache or self.source).render_into(image, frame_settings(exposure, self._pedestal_dn12))


def measure(view: memoryview, settings: ImageSettings) -> list[float]:
    """How bright a frame is where the camera wants to know it; empty where it does not."""
    if settings.meter is None:
        return []
    data = np.frombuffer(view, np.uint8)
    return [mean_share(data, settings.width, settings.height, settings.pixel_format, settings.meter)]


def frame_settings(exposure: Exposure, pedestal_dn12: float = 0.0) -> FrameSettings:
    """An exposure in the frame source's words. `pedestal_dn12`: what the sensor adds to the camera's offset."""
    settings = exposure.settings
    return FrameSettings(
        frame=exposure.index,
        time_s=exposure.start_ns / 1e9,
        exposure_us=settings.exposure_us,
        gain_db=settings.gain_db - 20 * math.log10(settings.averages),
        black_level_dn12=settings.black_level_dn12 + pedestal_dn12,
        offset_x=settings.offset_x,
        offset_y=settings.offset_y,
        width=settings.width,
        height=settings.height,
        binning_horizontal=settings.binning_horizontal,
        binning_vertical=settings.binning_vertical,
        reverse_x=settings.reverse_x,
        reverse_y=settings.reverse_y,
        pixel_format=settings.pixel_format,
        test_image=exposure.test_image,
        temperature_c=exposure.temperature_c,
        defect_correction=settings.defect_correction,
        corrected=settings.corrected,
        curve=settings.curve,
    )
