"""What a camera does when it gets warm: its status, its events, and no images while it is too hot.

State: the status that hosts read, which events may be sent (each once, until the temperature has been below its
re-arm level), whether images are stopped. Always true: thresholds are compared with the reading that hosts get
(whole degrees C); images that were stopped resume at `resume_c`, not before; a status lasts until the reading
is `hysteresis_k` below where it began. A camera that cuts its own power at a threshold cools down at once, so
without that its status would be over before a host could read it. Instants of crossings come from the
surroundings, so nothing is polled.
"""

from collections.abc import Callable
from dataclasses import dataclass

from u3v.device import Surroundings
from u3v.happenings import Happening, Happenings


@dataclass(frozen=True, slots=True)
class ThermalLimits:
    """Readings in whole degrees C.

    `status`: (name, reading at which it begins), coolest first; it ends `hysteresis_k` below that. `stop_c`: no
    images from this reading on, until `resume_c`. `test_image`: sent instead by a camera that goes on with its
    sensor off; None: nothing is. `events`: (name, sent at, armed again at). `changed_event`: sent at each change
    of the status, or "".
    """

    status: tuple[tuple[str, int], ...]
    stop_c: int
    resume_c: int
    test_image: int | None = None
    events: tuple[tuple[str, int, int], ...] = ()
    changed_event: str = ""
    hysteresis_k: int = 1

    def status_at(self, reading: int, before: str = "") -> str:
        """The status of this reading after the status `before`; the coolest where that is ""."""
        names = [name for name, _ in self.status]
        now = names.index(before) if before else 0
        while now + 1 < len(names) and reading >= self.status[now + 1][1]:
            now += 1
        while now and reading <= self.status[now][1] - self.hysteresis_k:
            now -= 1
        return names[now]

    def crossings_c(self) -> list[float]:
        """Temperatures at which the reading changes to one that matters."""
        rising = [at for _, at in self.status[1:]] + [self.stop_c] + [at for _, at, _ in self.events]
        falling = [at - self.hysteresis_k for _, at in self.status[1:]] + [self.resume_c]
        falling += [low for _, _, low in self.events]
        return sorted({at - 0.5 for at in rising} | {at + 0.5 for at in falling})


class ThermalGuard:
    """Without `limits` (a camera whose maker says nothing of it) it does nothing.

    `switched()` is called when images are stopped, and when they go on.
    """

    def __init__(
        self,
        limits: ThermalLimits | None,
        surroundings: Surroundings,
        happenings: Happenings,
        switched: Callable[[], None],
    ) -> None:
        self.limits = limits
        self.status = limits.status[0][0] if limits is not None else ""
        self.is_stopped = False
        self._surroundings = surroundings
        self._happenings = happenings
        self._switched = switched
        self._sent: set[str] = set()
        self._next_ns: int | None = None

    @property
    def sends_nothing(self) -> bool:
        """Too hot, and the camera sends no images then."""
        return self.is_stopped and self.limits is not None and self.limits.test_image is None

    def test_image(self, asked: int | str) -> int | str:
        """The test image of the next frame: what the host asked for, unless the sensor is off."""
        if self.is_stopped and self.limits is not None and self.limits.test_image is not None:
            return self.limits.test_image
        return asked

    def next_wakeup_ns(self) -> int | None:
        return self._next_ns

    def tick(self, now_ns: int) -> None:
        if self._next_ns is not None and self._next_ns <= now_ns:
            self.look(now_ns)

    def look(self, now_ns: int) -> None:
        """The temperature, or what it will be, may have changed."""
        if self.limits is None:
            return
        surroundings = self._surroundings
        reading = round(surroundings.temperature_c(now_ns))
        was_stopped = self.is_stopped
        if reading >= self.limits.stop_c:
            self.is_stopped = True
        elif reading <= self.limits.resume_c:
            self.is_stopped = False
        self._tell(reading, now_ns)
        if self.is_stopped != was_stopped:
            self._switched()
        instants = [surroundings.reaches_ns(at, now_ns) for at in self.limits.crossings_c()]
        self._next_ns = min((at for at in instants if at is not None), default=None)

    def _tell(self, reading: int, now_ns: int) -> None:
        limits = self.limits
        assert limits is not None
        status = limits.status_at(reading, self.status)
        for name, at, low in limits.events:
            if reading <= low:
                self._sent.discard(name)
            elif reading >= at and name not in self._sent:
                self._sent.add(name)
                self._happenings.tell(Happening(name), now_ns)
        if status != self.status:
            self.status = status
            if limits.changed_event:
                self._happenings.tell(Happening(limits.changed_event), now_ns)
