"""Waiting for something that a camera on a loop does, without stopping the loop.

For example, somebody on the control socket waits for frame 10. The loop must go on meanwhile, or there would be no
frame 10. So the condition is kept here, and the loop, which takes this for one of its services, looks at it after
every round. State: the conditions that are waited for. Always true: each wait is told once that it is over, or is
cancelled.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gadget.front_door.live import LiveCamera

Found = Callable[[dict[str, Any]], None]


@dataclass(slots=True, eq=False)
class _Wait:
    holds: Callable[[], dict[str, Any] | None]
    end: Callable[[], None]
    found: Found


class Waits:
    """Only for the loop's thread."""

    paces_clock = False

    def __init__(self) -> None:
        self._waits: list[_Wait] = []

    def add(self, live: LiveCamera, what: str, found: Found) -> Callable[[], None]:
        """Call `found` when `what` is true of a camera; what cancels that. Raises CameraError for nonsense."""
        wait = _Wait(*live.condition(what), found)
        self._waits.append(wait)

        def cancel() -> None:
            if wait in self._waits:
                self._waits.remove(wait)
                wait.end()

        return cancel

    def next_wakeup_ns(self) -> int | None:
        return 0 if any(wait.holds() is not None for wait in self._waits) else None

    def service(self, now_ns: int) -> None:
        for wait in list(self._waits):
            answer = wait.holds()
            if answer is not None:
                self._waits.remove(wait)
                wait.end()
                wait.found(answer)
