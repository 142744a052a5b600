"""A camera on a network: its core, its sockets, its port; what the front door has to know of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

from gadget.faults.live import EthernetFaults
from gadget.gige.server import GigeServer
from gadget.runner import Core, LoopBench, Plugged
from gadget.usb.port import Port
from u3v.errors import Mistake
from u3v.gev.bootstrap import Address
from u3v.gev.function import GevFunction
from u3v.model import USB


@dataclass(slots=True)
class GigeCamera(Plugged):
    """A camera that is served over GigE Vision."""

    byte_order: ClassVar[Literal["little", "big"]] = "big"
    server: GigeServer

    def tick(self, now_ns: int) -> None:
        self.server.service(now_ns)

    def is_taken(self) -> bool:
        return self.server.function.control.owner is not None

    def watch_writes(self, listener: Callable[[int, int, bytes], None]) -> None:
        self.server.write_listeners.append(listener)


def plug_gige(bench: LoopBench, core: Core, address: Address) -> GigeCamera:
    """Put a camera on the network, at an address of this machine. Raises Mistake."""
    if core.model.wire == USB:
        raise Mistake(
            f"{core.model.name} has {core.model.wire}, no Ethernet: it is served without --wire gige"
        )
    loop = bench.loop
    neighbours = (one.function.clock.domain for one in loop.services if isinstance(one, GigeServer))
    function = GevFunction(core.camera, address, domain=next(neighbours, None))
    faults = EthernetFaults(function, core.spec.faults)
    server = GigeServer(loop, function, faults.datagrams)
    port = Port(server, core.camera, core.power)
    faults.attach(server.move_soon, port)
    core.wake = server.service
    known = core.spec, core.model, core.camera, core.pixels, core.power
    plugged = GigeCamera(*known, port, faults, server, wake=server.service)
    bench.attend(plugged)
    return plugged
