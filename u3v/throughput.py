"""How many bytes per second the camera streams. Its current and its heat follow from that.

When an acquisition starts, nothing has been sent yet, so its settings say how much it will be; one that waits for
triggers is taken to send nothing. Then the bytes that were sent count, in windows of a second or 20 frames. So a
full bus, a slow host or rare triggers make the camera draw less: one that is triggered once in ten seconds draws
hardly more than an idle one.

State: the window's begin, and how many frames had been exposed and bytes sent by then. Always true: while nothing
is exposed or sent there is no window, and so no deadline; a window that lacks no more than two frames counts as the
settings' rate, because two may be on their way.
"""

from collections.abc import Callable
from typing import Protocol

from u3v.happenings import Happening, Happenings

WINDOW_NS = 1_000_000_000
WINDOW_FRAMES = 20
ON_THEIR_WAY = 2
"""Frames that may be missing in a window: exposed, but not sent yet."""


class Sender(Protocol):
    """The camera, as far as its throughput goes."""

    @property
    def now_ns(self) -> int: ...

    @property
    def wire_bytes(self) -> int: ...

    @property
    def bytes_sent(self) -> int: ...

    @property
    def frames_exposed(self) -> int: ...

    @property
    def is_paced(self) -> bool: ...

    @property
    def sends_images(self) -> bool:
        """Whether a host has started an acquisition, and the camera is not too hot for it."""

    @property
    def waits_for_triggers(self) -> bool: ...

    def period_ns(self) -> int: ...


class Throughput:
    """`changed(bytes_per_s)` is called with every new throughput.

    Only a paced camera is measured. One that is as fast as its host has no rate of its own: its settings' rate
    counts.
    """

    def __init__(self, sender: Sender, happenings: Happenings, changed: Callable[[float], None]) -> None:
        self._sender = sender
        self._changed = changed
        self._begin_ns = 0
        self._end_ns: int | None = None
        self._sent_bytes = 0
        self._exposed = 0
        self._rate = 0.0
        happenings.listen(self._exposes, Happening.FRAME_START)
        happenings.listen(lambda *_: self.report(), Happening.ACQUISITION_START, Happening.ACQUISITION_END)

    def next_wakeup_ns(self) -> int | None:
        return self._end_ns

    def tick(self, now_ns: int) -> None:
        """The window may be over."""
        if self._end_ns is None or now_ns < self._end_ns:
            return
        sender = self._sender
        sent = sender.bytes_sent - self._sent_bytes
        seconds = (now_ns - self._begin_ns) / 1e9
        full, frame = self._settings_rate(), sender.wire_bytes
        rate = full if sent + ON_THEIR_WAY * frame >= full * seconds else sent / seconds
        self._end_ns = None
        if sent or sender.frames_exposed != self._exposed:
            self._open(now_ns)
        if rate != self._rate:
            self._tell(rate)

    def report(self) -> None:
        """The acquisition has started or stopped, the camera is configured or not, images are stopped or not."""
        sender = self._sender
        self._end_ns = None
        if not sender.sends_images or (sender.is_paced and sender.waits_for_triggers):
            self._tell(0.0)
        else:
            self._tell(self._settings_rate())

    def _exposes(self, _what: Happening, at_ns: int, _block_id: int) -> None:
        if self._end_ns is None and self._sender.is_paced and self._sender.sends_images:
            self._open(at_ns)

    def _open(self, now_ns: int) -> None:
        self._begin_ns = now_ns
        self._end_ns = now_ns + max(WINDOW_NS, WINDOW_FRAMES * self._sender.period_ns())
        self._sent_bytes = self._sender.bytes_sent
        self._exposed = self._sender.frames_exposed

    def _settings_rate(self) -> float:
        return self._sender.wire_bytes * 1e9 / self._sender.period_ns()

    def _tell(self, rate: float) -> None:
        self._rate = rate
        self._changed(rate)
