"""A camera without pixels to compute, over USB/IP: `python -m tests.system.fast_server WIDTH HEIGHT`.

It sends the same image again and again as fast as it is taken, and prints its port. Ends with its stdin.
"""

import struct
import sys
import threading

from gadget.time.loop import Loop
from gadget.usb.device import UsbDevice
from gadget.usbip.server import UsbipServer
from gadget.usbip.session import export
from tests.u3v.host import fake


class FastCamera(fake.FakeCamera):
    def __init__(self, width: int, height: int) -> None:
        self.height = height
        self.image = memoryview(fake.pattern(0, width * height))
        super().__init__()
        self.poke(fake.WIDTH, struct.pack("<I", width))
        self._update()

    @property
    def payload_size(self) -> int:
        return len(self.image)

    def _frame(self) -> fake.Transfers:
        registers = self.peek(fake.SIRM + 0x18, 24)
        assert registers is not None
        leader_room, size, count, final1, final2, trailer_room = struct.unpack("<6I", registers)
        head = fake.leader(self.block_id, fake.MONO8, self.number(fake.WIDTH), self.height)
        out: fake.Transfers = [(head, leader_room)]
        rest = self.image
        for room in [size] * count + [final for final in (final1, final2) if final]:
            out.append((rest[:room], room))  # type: ignore[arg-type]
            rest = rest[room:]
        return [*out, (fake.trailer(self.block_id, len(self.image), self.height), trailer_room)]


def main() -> None:
    loop = Loop()
    device = UsbDevice(FastCamera(int(sys.argv[1]), int(sys.argv[2])), paced=False)
    loop.services.append(device)
    with UsbipServer(loop, export(device), "127.0.0.1", 0) as server:
        print(server.port, flush=True)

        def end() -> None:
            sys.stdin.read()
            loop.call_threadsafe(loop.stop)

        threading.Thread(target=end, daemon=True).start()
        loop.run()
    loop.close()


if __name__ == "__main__":
    main()
