"""A camera with pixels: the `Camera` core joined to a frame source.

Every call goes to the camera; the exposures that it starts are rendered, in order, by `run_job` (a worker
thread, or inline on a fake clock), and delivered. State: exposures that wait for a frame buffer, because a
transport still holds views of all of them.
"""

import logging
from collections import deque
from collections.abc import Callable

from frames.pool import FramePool
from frames.source import FrameSettings, FrameSource
from u3v.acquisition import Exposure
from u3v.camera import Camera
from u3v.function import InTransfer
from u3v.wire.usb import Descriptors, Speed

log = logging.getLogger(__name__)

Job = Callable[[], None]


def run_inline(render: Job, done: Job) -> None:
    """Render in the caller's time."""
    render()
    done()


class RenderedCamera:
    """Implements `u3v.function.Function`.

    `run_job(render, done)` calls `render` anywhere and then `done` in the thread that owns the camera;
    jobs must be done in the order they were given. `pedestal_dn12`: what the sensor adds
    to the black level. `on_frame(now_ns)` is called after a frame has arrived.
    """

    def __init__(
        self,
        camera: Camera,
        source: FrameSource,
        pool: FramePool,
        run_job: Callable[[Job, Job], None] = run_inline,
        pedestal_dn12: float = 0.0,
    ) -> None:
        self.camera = camera
        self.source = source
        self.on_frame: Callable[[int], None] = lambda now_ns: None
        self._pool = pool
        self._pedestal_dn12 = pedestal_dn12
        self._run_job = run_job
        self._waiting: deque[Exposure] = deque()
        self._handing_out = False

    def warm_up(self) -> None:
        """Do once what would make the first frame slow: compile, tabulate, touch its memory."""
        exposure = self.camera.exposure(0, 0)
        view = self._pool.acquire(exposure.payload_bytes)
        if view is not None:
            self.source.render_into(view, frame_settings(exposure, self._pedestal_dn12))

    def descriptors(self, speed: Speed) -> Descriptors:
        return self.camera.descriptors(speed)

    def configure(self, value: int, now_ns: int) -> None:
        self.camera.configure(value, now_ns)
        self._waiting.clear()

    def transfer_out(self, endpoint: int, data: memoryview, now_ns: int) -> None:
        self.camera.transfer_out(endpoint, data, now_ns)
        self._render_due()

    def transfer_in(self, endpoint: int, now_ns: int) -> InTransfer | None:
        transfer = self.camera.transfer_in(endpoint, now_ns)
        self._render_due()
        return transfer

    def set_halt(self, endpoint: int, now_ns: int) -> None:
        self.camera.set_halt(endpoint, now_ns)

    def clear_halt(self, endpoint: int, now_ns: int) -> None:
        self.camera.clear_halt(endpoint, now_ns)

    def tick(self, now_ns: int) -> None:
        self.camera.tick(now_ns)
        self._render_due()

    def next_wakeup_ns(self) -> int | None:
        return self.camera.next_wakeup_ns()

    def _render_due(self) -> None:
        if self.camera.acquisition.exposures:
            self._waiting.extend(self.camera.take_exposures())
        if self._handing_out:  # a job that ran inline is done: the loop below goes on
            return
        self._handing_out = True
        try:
            while self._waiting:
                exposure = self._waiting[0]
                if not self.camera.stream.holds(exposure):
                    self._waiting.popleft()
                    continue
                view = self._pool.acquire(exposure.payload_bytes)
                if view is None:
                    return
                self._waiting.popleft()
                self._render(exposure, view)
        finally:
            self._handing_out = False

    def _render(self, exposure: Exposure, view: memoryview) -> None:
        settings = frame_settings(exposure, self._pedestal_dn12)

        def done() -> None:
            now_ns = self.camera.now_ns
            self.camera.deliver(exposure, view.toreadonly(), now_ns)
            self.on_frame(now_ns)
            self._render_due()

        self._run_job(lambda: self.source.render_into(view, settings), done)


def frame_settings(exposure: Exposure, pedestal_dn12: float = 0.0) -> FrameSettings:
    """An exposure in the frame source's words. `pedestal_dn12`: what the sensor adds to the camera's offset."""
    return FrameSettings(
        frame=exposure.index,
        time_s=exposure.start_ns / 1e9,
        exposure_us=exposure.exposure_us,
        gain_db=exposure.gain_db,
        black_level_dn12=exposure.black_level_dn12 + pedestal_dn12,
        offset_x=exposure.offset_x,
        offset_y=exposure.offset_y,
        width=exposure.width,
        height=exposure.height,
        binning_horizontal=exposure.binning_horizontal,
        binning_vertical=exposure.binning_vertical,
        reverse_x=exposure.reverse_x,
        reverse_y=exposure.reverse_y,
        pixel_format=exposure.pixel_format,
        test_image=exposure.test_image,
        temperature_c=exposure.temperature_c,
        defect_correction=exposure.defect_correction,
    )
