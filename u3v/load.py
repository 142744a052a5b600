"""How much the camera streams, and so what it draws: told to the surroundings when it changes.

An acquisition that starts is taken to stream at the rate of its settings; one that waits for triggers, at none.
Then what has been sent counts, a window at a time: a full bus, a slow host or rare triggers make the camera
draw less. State: the window's begin, and how many frames had been exposed and what had been sent by then. Always
true: while nothing is exposed or sent there is no window, and so no deadline; within two frames of the settings' rate
the load does not move.
"""

from typing import TYPE_CHECKING

from u3v.sfnc.family import BURST, FRAME

if TYPE_CHECKING:
    from u3v.camera import Camera

WINDOW_NS = 1_000_000_000
WINDOW_FRAMES = 20
ON_THEIR_WAY = 2
"""Frames that may be missing in a window: exposed, but not sent yet."""


class LoadMeter:
    """Deadlines are those of a paced camera; one that is as fast as its host has the load of its settings."""

    def __init__(self, camera: "Camera") -> None:
        self._camera = camera
        self._begin_ns = 0
        self._end_ns: int | None = None
        self._sent_bytes = 0
        self._exposed = 0
        self._rate = 0.0

    def next_wakeup_ns(self) -> int | None:
        return self._end_ns

    def tick(self, now_ns: int) -> None:
        """The window may be over."""
        if self._end_ns is None or now_ns < self._end_ns:
            return
        camera = self._camera
        sent = camera.stream.bytes_delivered - self._sent_bytes
        seconds = (now_ns - self._begin_ns) / 1e9
        full, frame = self._settings_rate(), camera.payload_bytes
        rate = full if sent + ON_THEIR_WAY * frame >= full * seconds else sent / seconds
        self._end_ns = None
        if sent or camera.acquisition.exposed != self._exposed:
            self._open(now_ns)
        if rate != self._rate:
            self._tell(rate)

    def exposes(self, now_ns: int) -> None:
        """A frame is about to be exposed."""
        camera = self._camera
        if self._end_ns is None and camera.acquisition.paced and not camera.thermal.is_stopped:
            self._open(now_ns)

    def report(self) -> None:
        """The acquisition has started or stopped, the camera is configured or not."""
        camera = self._camera
        self._end_ns = None
        if not (camera.configured and camera.acquisition.active and not camera.thermal.is_stopped):
            self._tell(0.0)
            return
        acquisition = camera.acquisition
        waits = acquisition.paced and (acquisition.triggered(FRAME) or acquisition.triggered(BURST))
        self._tell(0.0 if waits else self._settings_rate())

    def _open(self, now_ns: int) -> None:
        self._begin_ns = now_ns
        self._end_ns = now_ns + max(WINDOW_NS, WINDOW_FRAMES * self._camera.acquisition.period_ns())
        self._sent_bytes = self._camera.stream.bytes_delivered
        self._exposed = self._camera.acquisition.exposed

    def _settings_rate(self) -> float:
        return self._camera.payload_bytes * 1e9 / self._camera.acquisition.period_ns()

    def _tell(self, rate: float) -> None:
        camera = self._camera
        self._rate = rate
        camera.surroundings.load(camera.now_ns, configured=camera.configured, bytes_per_s=rate)
        camera.thermal.look(camera.now_ns)
