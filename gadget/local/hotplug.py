"""A camera that drops off the bus and comes back, as the programs of `u3v run` see it: hotplug, a new device number."""

from collections.abc import Iterable

from gadget.local.server import LocalServer
from gadget.usb.port import Port


def connect(server: LocalServer, ports: Iterable[Port]) -> None:
    """Let `server` show what happens to cameras that it has plugged in already."""
    for port in ports:
        _connect(server, port)


def _connect(server: LocalServer, port: Port) -> None:
    number, device = next((node.port, node.device) for node in server.nodes if node.device is port.device)

    def drop(now_ns: int) -> None:
        for node in list(server.nodes):
            if node.device is device:
                server.unplug(node)

    def come_back(now_ns: int) -> None:
        device.replug(now_ns)
        server.plug(device, number)

    port.on_drop, port.on_return = drop, come_back
