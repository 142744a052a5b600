"""Parts of one camera, or of several wired ones, whose instants interleave: each instant happens to all, in order.

A line's edge at 5 ms triggers an exposure at 5.1 ms, which switches a strobe, which is another camera's trigger.
Parts that tick one after the other up to "now" would get that wrong whenever the loop is late. State: the parts, and
the instant up to which all is done. Always true: a part is ticked at each instant at which any part has a deadline.
"""

from u3v.device import Timed

MAX_ROUNDS = 10_000


class Instants:
    """`rounds`: how often any instant was gone through; who serves the cameras sees by it that something has moved."""

    def __init__(self, *parts: Timed) -> None:
        self.parts: list[Timed] = list(parts)
        self.rounds = 0
        self._done_ns = 0
        self._is_busy = False

    def next_wakeup_ns(self) -> int | None:
        instants = (part.next_wakeup_ns() for part in self.parts)
        return min((at for at in instants if at is not None), default=None)

    def tick(self, now_ns: int) -> None:
        """Go through all instants up to now. In the middle of that, nothing."""
        if self._is_busy:
            return
        self._is_busy = True
        try:
            idle = 0
            while (at_ns := self.next_wakeup_ns()) is not None and at_ns <= now_ns:
                idle = idle + 1 if at_ns <= self._done_ns else 0
                if idle > MAX_ROUNDS:
                    raise RuntimeError(f"the instant {at_ns} ns never ends")
                self._go_through(max(at_ns, self._done_ns))
            if now_ns > self._done_ns:
                self._go_through(now_ns)
        finally:
            self._is_busy = False

    def join(self, other: "Instants") -> None:
        """Have the other's parts in this order, too."""
        self.parts += [part for part in other.parts if part not in self.parts]
        self._done_ns = max(self._done_ns, other._done_ns)

    def _go_through(self, at_ns: int) -> None:
        self._done_ns = at_ns
        self.rounds += 1
        for part in list(self.parts):
            part.tick(at_ns)
