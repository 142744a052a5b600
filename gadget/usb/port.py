"""A camera's place on a port: it drops off the bus when its supply fails or when it resets, and comes back.

State: whether the camera is on the bus, when it is about to drop off and why, when it comes back. Always true:
the transport hears of it (`on_drop`, `on_return`) exactly once each time, in turn; a camera that comes back
has lost its settings, as after power-on; a camera whose supply would fail again before the host has done
anything stays off. A service of the loop.
"""

from collections.abc import Callable
from typing import Protocol

from gadget.budget.power import PowerModel

MS = 1_000_000
RESET_AFTER_NS = 50 * MS
"""From the acknowledge of DeviceReset to the end of the connection (assumed)."""
BROWN_OUT_NS = 1 * MS
OVER_CURRENT_NS = 10 * MS
"""How long a port stands too much current: its switch ignores inrush (assumed, typical of power switches)."""
BACK_NS = 500 * MS
"""From the end of the connection to the next one (assumed)."""


class Pluggable(Protocol):
    """What a port carries: a `UsbDevice`, or a gadget whose kernel answers endpoint 0."""

    def unplug(self, now_ns: int) -> None: ...

    def replug(self, now_ns: int) -> None: ...


class Resettable(Protocol):
    """The camera behind it: `reset_requested` (DeviceReset) is set by its host and cleared by its port."""

    reset_requested: bool

    def reset(self) -> None: ...


class Port:
    """`device` on a port with `power`. `listeners` get what happens, one line each, for people."""

    def __init__(
        self,
        device: Pluggable,
        camera: Resettable,
        power: PowerModel,
    ) -> None:
        self.device = device
        self.power = power
        self.drops = 0
        self.listeners: list[Callable[[str], None]] = []
        self.on_drop: Callable[[int], None] = device.unplug
        self.on_return: Callable[[int], None] = device.replug
        self._camera = camera
        self._changed = True
        self._drop_ns: int | None = None
        self._reason = ""
        self._return_ns: int | None = None
        self._is_off = False
        self._kept_power = False
        self._plans: list[tuple[int, Callable[[int], None]]] = []
        power.on_change = self._power_changed

    @property
    def on_bus(self) -> bool:
        return not self._is_off

    @property
    def comes_back(self) -> bool:
        """Off the bus, but only for a moment."""
        return self._is_off and self._return_ns is not None

    @property
    def will_drop(self) -> bool:
        """Still on the bus, but only for a moment."""
        return not self._is_off and (
            self._drop_ns is not None or self._camera.reset_requested or self._changed
        )

    def at(self, at_ns: int, action: Callable[[int], None]) -> None:
        """Have something done to the camera's surroundings at an instant, outside of whatever goes on now."""
        self._plans.append((at_ns, action))

    def next_wakeup_ns(self) -> int | None:
        instants = [self._own_wakeup_ns(), *(at_ns for at_ns, _ in self._plans)]
        return min((at for at in instants if at is not None), default=None)

    def _own_wakeup_ns(self) -> int | None:
        if self._is_off:
            return self._return_ns
        if self._changed or (self._camera.reset_requested and self._drop_ns is None):
            return 0
        return self._drop_ns

    def service(self, now_ns: int) -> None:
        due = sorted((plan for plan in self._plans if plan[0] <= now_ns), key=lambda plan: plan[0])
        self._plans = [plan for plan in self._plans if plan[0] > now_ns]
        for at_ns, action in due:
            self._serve(at_ns, now_ns)  # however late the loop comes, what was due before happens before
            action(now_ns)
            self._serve(at_ns, now_ns)
        self._serve(now_ns, now_ns)

    def _serve(self, due_ns: int, now_ns: int) -> None:
        """Drop off, or come back, if that was due by `due_ns`."""
        if self._is_off:
            if self._return_ns is not None and self._return_ns <= due_ns:
                self._come_back(now_ns)
            return
        self._changed = False
        self._look(due_ns)
        if self._drop_ns is not None and self._drop_ns <= due_ns:
            self._drop(now_ns)

    def unplug(self, now_ns: int, *, keeps_power: bool = False) -> None:
        """Somebody pulls the cable: the camera has no power, and stays away until `replug`.

        `keeps_power`: the data lines alone are interrupted, so that it comes back with its settings.
        """
        if not self._is_off:
            self._reason = "unplugged"
            self._drop(now_ns, keeps_power=keeps_power)
        self._return_ns = None

    def replug(self, now_ns: int) -> None:
        """Somebody plugs the cable in: the camera comes back, if its supply carries it."""
        if self._is_off:
            self._come_back(now_ns)

    def _power_changed(self, now_ns: int) -> None:
        self._changed = True

    def _look(self, now_ns: int) -> None:
        """Is there a reason to drop off, and until when does it go well?"""
        if self._camera.reset_requested:
            if self._drop_ns is None or self._reason != "DeviceReset":
                self._drop_ns, self._reason = now_ns + RESET_AFTER_NS, "DeviceReset"
            return
        fault = self.power.fault()
        if not fault:
            self._drop_ns = None
        elif self._drop_ns is None:
            self._drop_ns = now_ns + (BROWN_OUT_NS if fault.startswith("brown") else OVER_CURRENT_NS)
        self._reason = fault

    def _drop(self, now_ns: int, *, keeps_power: bool = False) -> None:
        self._drop_ns = None
        self._is_off = True
        self.drops += 1
        self._tell(f"drops off the bus: {self._reason}")
        self.on_drop(now_ns)
        self._kept_power = keeps_power
        if not keeps_power:
            self._camera.reset()
            self._camera.reset_requested = False
            self.power.switch_off(now_ns)
        self._return_ns = now_ns + BACK_NS

    def _come_back(self, now_ns: int) -> None:
        self._return_ns = None
        if not self._kept_power:
            self.power.switch_on(now_ns)
        fault = self.power.fault()
        if fault:
            self.power.switch_off(now_ns)
            self._tell(f"stays off: {fault}")
            return
        self._is_off = False
        self._changed = True
        self.on_return(now_ns)

    def _tell(self, line: str) -> None:
        for listener in self.listeners:
            listener(line)
