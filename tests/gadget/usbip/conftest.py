import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from gadget.time.loop import Loop
from gadget.usb.device import UsbDevice
from gadget.usbip.server import UsbipServer
from gadget.usbip.session import ExportedDevice, export
from tests.gadget.toy import Toy


@dataclass
class Served:
    """Two toys, the first not paced, behind a server in a thread of its own."""

    loop: Loop
    exports: dict[str, ExportedDevice]
    port: int

    def toy(self, busid: str = "1-1") -> Toy:
        function = self.exports[busid].device.function
        assert isinstance(function, Toy)
        return function


@pytest.fixture
def served() -> Iterator[Served]:
    loop = Loop()
    exports = export(UsbDevice(Toy(), paced=False), UsbDevice(Toy()))
    with UsbipServer(loop, exports, port=0) as server:
        thread = threading.Thread(target=loop.run)
        thread.start()
        yield Served(loop, exports, server.port)
        loop.call_threadsafe(loop.stop)
        thread.join()
    loop.close()
