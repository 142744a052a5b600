"""The faults of one camera: added and taken away while it runs, listed with how often each has struck.

State: the faults, in the order they were added, each with its wrapper. Always true: `front` stays the same
object, so whoever holds it need not know what is done behind it; the first fault is next to the camera, the last
one next to the host; a fault whose count is full passes everything on.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from gadget.faults.catalogue import FAULTS, on_wire
from gadget.faults.declaration import Fault
from gadget.faults.packets import PacketFault, PacketWrapper
from gadget.faults.requests import StuckEndpoint, UnaskedStall
from gadget.faults.surroundings import BusReset, FallBack
from gadget.faults.wrappers import (
    ETHERNET,
    USB,
    CameraFault,
    FunctionFault,
    FunctionWrapper,
    RequestFault,
    Strikes,
    Victim,
)
from gadget.usb.device import UsbDevice
from gadget.usb.port import Port
from u3v.camera import Camera
from u3v.did_you_mean import hint
from u3v.errors import Mistake
from u3v.function import Function
from u3v.gev.function import GevFunction

OF_THE_BUS = (RequestFault, UnaskedStall, StuckEndpoint, BusReset, FallBack)


def check_possible(fault: Fault) -> None:
    """Raises Mistake for what only a modelled bus can do, or who answers a host's requests himself."""
    if issubclass(FAULTS[fault.name].make, OF_THE_BUS):
        raise Mistake(
            f"fault {fault}: here the bus is a real one and a kernel answers the host's requests, so it cannot be had; "
            "faults of what the camera sends, of its cable and its supply can"
        )


@dataclass(slots=True, eq=False)
class Active:
    """One fault at work."""

    number: int
    fault: Fault
    strikes: Strikes
    wrapper: FunctionFault | RequestFault | PacketFault | CameraFault

    def told(self) -> dict[str, Any]:
        """For people and programs: `struck` of `chances`; `over`: it will not strike again."""
        return {
            "number": self.number,
            "fault": str(self.fault),
            "struck": self.strikes.struck,
            "chances": self.strikes.seen,
            "over": self.strikes.is_over,
        }


class FaultList:
    """The faults of one camera, whatever its wire. `front`: the wrapper that stays, behind which they come and go."""

    wire: str

    def __init__(
        self, front: FunctionWrapper | PacketWrapper, victim: Victim, faults: Iterable[Fault]
    ) -> None:
        self._front = front
        self._victim = victim
        self._active: list[Active] = []
        self._next_number = 1
        for fault in faults:
            self._add(fault, None)

    def add(self, fault: Fault, now_ns: int) -> dict[str, Any]:
        """One more, from now on. Raises Mistake where it has to be there from the start, or cannot be had."""
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
        for active in reversed(gone):  # what one has changed, a later one took for what was there
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
        make = kind.maker(self.wire)
        if make is None:
            right = on_wire(self.wire)
            raise Mistake(
                f"fault {fault.name}: it is about {kind.make.wire}, and this camera is on {self.wire}"
                f"; u3v faults says which ones are{hint(fault.name, right)}"
            )
        strikes, values = Strikes(fault, kind, now_ns), fault.values(kind)
        wrapper: Any
        if issubclass(make, RequestFault):
            wrapper = make(strikes, values)
        elif issubclass(make, CameraFault):
            wrapper = make(strikes, values, self._victim)
        else:
            wrapper = make(self._front.inner, strikes, values, self._victim)
            self._front.inner = wrapper
        active = Active(self._next_number, fault, strikes, wrapper)
        self._next_number += 1
        self._active.append(active)
        return active

    def _chain(self) -> None:
        inner: Any = self._victim.function
        for active in self._active:
            if isinstance(active.wrapper, FunctionFault | PacketFault):
                active.wrapper.inner = inner
                inner = active.wrapper
        self._front.inner = inner


class LiveFaults(FaultList):
    """`function` behind faults that can change. `attach` it to its device and port, where there are any. `real_bus`:
    the bus is none of ours."""

    wire = USB

    def __init__(
        self,
        function: Function,
        camera: Camera | None = None,
        faults: Iterable[Fault] = (),
        *,
        real_bus: bool = False,
    ) -> None:
        self._real_bus = real_bus
        self.function = FunctionWrapper(function)
        super().__init__(self.function, Victim(function, camera), faults)

    def attach(self, device: UsbDevice, port: Port | None = None) -> None:
        """The device in front of `function`, and the port it is plugged into."""
        self._victim.device_or_none, self._victim.port_or_none = device, port
        device.wrappers += [a.wrapper for a in self._active if isinstance(a.wrapper, RequestFault)]

    def _add(self, fault: Fault, now_ns: int | None) -> Active:
        if self._real_bus:
            check_possible(fault)
        return super()._add(fault, now_ns)


class EthernetFaults(FaultList):
    """The datagrams of `function` behind faults that can change."""

    wire = ETHERNET

    def __init__(self, function: GevFunction, faults: Iterable[Fault] = ()) -> None:
        self.datagrams = PacketWrapper(function)
        super().__init__(self.datagrams, Victim(function, function.camera), faults)

    def attach(self, move: Callable[[str], None], port: Port | None = None) -> None:
        """How the camera gets another address, and the port it is plugged into."""
        self._victim.move, self._victim.port_or_none = move, port
