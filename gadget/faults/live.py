"""The faults of one camera: added and taken away while it runs, listed with how often each has struck.

State: the faults, in the order they were added, each with its wrapper. Always true: `function` stays the same
object, so whoever holds it need not know what is done behind it; the first fault is next to the camera, the last
one next to the host; a fault whose count is full passes everything on.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from gadget.faults.catalogue import FAULTS
from gadget.faults.declaration import Fault
from gadget.faults.wrappers import FunctionFault, FunctionWrapper, RequestFault, Strikes, Victim
from gadget.usb.device import UsbDevice
from gadget.usb.port import Port
from u3v.camera import Camera
from u3v.errors import Mistake
from u3v.function import Function


@dataclass(slots=True, eq=False)
class Active:
    """One fault at work."""

    number: int
    fault: Fault
    strikes: Strikes
    wrapper: FunctionFault | RequestFault

    def told(self) -> dict[str, Any]:
        """For people and programs: `struck` of `chances`; `over`: it will not strike again."""
        return {
            "number": self.number,
            "fault": str(self.fault),
            "struck": self.strikes.struck,
            "chances": self.strikes.seen,
            "over": self.strikes.is_over,
        }


class LiveFaults:
    """`function` behind faults that can change. `attach` it to its device and port, where there are any."""

    def __init__(
        self, function: Function, camera: Camera | None = None, faults: Iterable[Fault] = ()
    ) -> None:
        self.function = FunctionWrapper(function)
        self._victim = Victim(function, camera)
        self._active: list[Active] = []
        self._next_number = 1
        for fault in faults:
            self._add(fault, None)

    def attach(self, device: UsbDevice, port: Port | None = None) -> None:
        """The device in front of `function`, and the port it is plugged into."""
        self._victim.device_or_none, self._victim.port_or_none = device, port
        device.wrappers += [a.wrapper for a in self._active if isinstance(a.wrapper, RequestFault)]

    def add(self, fault: Fault, now_ns: int) -> dict[str, Any]:
        """One more, from now on. Raises Mistake where it has to be there from the start."""
        if FAULTS[fault.name].from_start:
            raise Mistake(f"fault {fault.name}: a host reads this once; give it when the camera is started")
        active = self._add(fault, now_ns)
        if isinstance(active.wrapper, RequestFault):
            self._victim.device.wrappers.append(active.wrapper)
        return active.told()

    def clear(self, number: int | None, now_ns: int) -> int:
        """Take one away by its number, or all (None). How many that were. Raises Mistake."""
        gone = [a for a in self._active if number in (None, a.number)]
        if number is not None and not gone:
            numbers = ", ".join(str(a.number) for a in self._active) or "none"
            raise Mistake(f"no fault {number}: there is {numbers}")
        stays = [a for a in gone if FAULTS[a.fault.name].from_start]
        if number is not None and stays:
            raise Mistake(f"fault {stays[0].fault.name}: a host has read this already; it stays")
        for active in gone:
            if active in stays:
                continue
            self._active.remove(active)
            if isinstance(active.wrapper, RequestFault):
                self._victim.device.wrappers.remove(active.wrapper)
            else:
                active.wrapper.end(now_ns)
        self._chain()
        return len(gone) - len(stays)

    def list(self) -> list[dict[str, Any]]:
        """All of them, with how often each has struck."""
        return [active.told() for active in self._active]

    def unfinished(self) -> tuple[Fault, ...]:
        """What may still strike."""
        return tuple(active.fault for active in self._active if not active.strikes.is_over)

    def struck(self) -> int:
        """How often any of them has."""
        return sum(active.strikes.struck for active in self._active)

    def _add(self, fault: Fault, now_ns: int | None) -> Active:
        kind = FAULTS[fault.name]
        strikes = Strikes(fault, kind, now_ns)
        if issubclass(kind.make, RequestFault):
            wrapper = kind.make(strikes, fault.values(kind))
        else:
            wrapper = kind.make(self.function.inner, strikes, fault.values(kind), self._victim)
            self.function.inner = wrapper
        active = Active(self._next_number, fault, strikes, wrapper)
        self._next_number += 1
        self._active.append(active)
        return active

    def _chain(self) -> None:
        inner = self._victim.function
        for active in self._active:
            if isinstance(active.wrapper, FunctionFault):
                active.wrapper.inner = inner
                inner = active.wrapper
        self.function.inner = inner
