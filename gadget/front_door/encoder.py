"""A rotary encoder on a conveyor: a pulse for every so many pixels that the scene has moved.

It shares the scene's motion: a scene that drifts by `px_per_s` is at `px_per_s * t`, and so is the encoder. So pulse
number n comes when the belt is at n * every_px, and a camera that is triggered by it sees each part at the same place,
however fast the belt is. State: how far it has come. A part of the camera's instants.
"""

import math
from collections.abc import Callable


class Encoder:
    """`speed()`: pixels per second now. `apply(is_high, at_ns)`: the encoder's output."""

    def __init__(
        self, speed: Callable[[], float], every_px: float, apply: Callable[[bool, int], None], now_ns: int
    ) -> None:
        self._speed = speed
        self._half_px = every_px / 2
        self._apply = apply
        self._done_ns = now_ns

    def next_wakeup_ns(self) -> int | None:
        """The next half step. One half is high, the other low."""
        step = self._next()
        return None if step is None else self._at_ns(step)

    def tick(self, now_ns: int) -> None:
        while (step := self._next()) is not None and (at_ns := self._at_ns(step)) <= now_ns:
            self._done_ns = at_ns
            self._apply(step % 2 == 0, at_ns)
        self._done_ns = max(self._done_ns, now_ns)

    def _next(self) -> int | None:
        speed = abs(self._speed())
        if not speed:
            return None
        step = math.floor(self._done_ns * speed / 1e9 / self._half_px)
        while self._at_ns(step) <= self._done_ns:
            step += 1
        return step

    def _at_ns(self, step: int) -> int:
        return math.ceil(step * self._half_px * 1e9 / abs(self._speed()))
