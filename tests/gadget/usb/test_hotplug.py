"""A camera that drops off the bus and comes back, as the transports show it. On a simulated clock."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gadget.budget.power import Supply
from gadget.local.hotplug import connect
from gadget.local.launch import private_directory
from gadget.local.server import LocalServer
from gadget.runner import CameraSpec, LoopBench
from gadget.usb.port import BACK_NS, RESET_AFTER_NS
from gadget.usbip.client import UsbipClient
from gadget.usbip.server import UsbipServer
from gadget.usbip.session import export
from u3v.errors import U3VError
from u3v.host.bus import UsbGone
from u3v.host.client import U3VClient
from u3v.host.nodes import DeviceNodes

ACE = "acA4096-40um"


@pytest.fixture
def directory() -> Iterator[Path]:
    with private_directory() as made:
        yield made


def bench(clock: str = "simulated", **supply: float) -> LoopBench:
    return LoopBench([CameraSpec(ACE, clock=clock, supply=Supply(**supply), settings={"Width": "64"})])


def read_on(client: U3VClient) -> None:
    while True:
        client.read(0, 4)


def test_a_reset_is_a_new_device_for_local_programs(directory: Path) -> None:
    with bench() as made:
        camera = made.cameras[0]
        server = LocalServer(made.loop, directory, [camera.device])
        connect(server, [camera.port])
        before = server.nodes[0]
        while made.loop.now_ns() < 10**6 and camera.port.next_wakeup_ns() is not None:
            made.loop.step(0.0)
        camera.camera.reset()
        began_ns = made.loop.now_ns()
        while server.nodes:
            made.loop.step(0.0)
        assert made.loop.now_ns() == began_ns + RESET_AFTER_NS
        assert not (directory / "dev/bus/usb/001/002").exists()
        while not server.nodes:
            made.loop.step(0.0)
        assert made.loop.now_ns() == began_ns + RESET_AFTER_NS + BACK_NS
        after = server.nodes[0]
        assert (after.port, after.device) == (before.port, before.device)
        assert after.number != before.number
        assert camera.device.configuration == 1
        server.close()


def test_a_supply_that_carries_no_configured_camera_makes_it_come_and_go(directory: Path) -> None:
    """Each time it is configured it draws more than the port gives: a boot loop, as on a weak hub."""
    with bench(supply_v=4.9, cable_ohm=1.2) as made:
        camera = made.cameras[0]
        lines: list[str] = []
        server = LocalServer(made.loop, directory, [camera.device])
        connect(server, [camera.port])
        camera.port.listeners.append(lines.append)
        while camera.port.drops < 3:
            made.loop.step(0.0)
        assert all(line.startswith("drops off the bus: brown-out: 4.3") for line in lines)
        server.close()


def test_a_reset_ends_the_usbip_connection_and_the_camera_can_be_had_again() -> None:
    with bench("real") as made:
        exported = export(made.cameras[0].device)
        with UsbipServer(made.loop, exported, port=0) as server:
            loop = threading.Thread(target=made.loop.run)
            loop.start()
            try:
                bus = UsbipClient.connect("127.0.0.1", server.port, "1-1")
                client = U3VClient(bus)
                client.open()
                nodes = DeviceNodes(client)
                nodes.set("Gain", 6.0)
                nodes.execute("DeviceReset")
                with pytest.raises(UsbGone):
                    read_on(client)
                bus.close()
                again = None
                while again is None:
                    try:
                        again = UsbipClient.connect("127.0.0.1", server.port, "1-1")
                    except U3VError:
                        continue
                client = U3VClient(again)
                client.open()
                assert DeviceNodes(client).get("Gain") == 0.0
                assert made.cameras[0].port.drops == 1
                again.close()
            finally:
                made.loop.call_threadsafe(made.loop.stop)
                loop.join()
