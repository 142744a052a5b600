"""The register writes that a host asks for, seen on the control endpoint: an observer of a `UsbDevice`."""

from collections.abc import Callable

from gadget.usb.in_pipe import Urb
from u3v.errors import GenCPError, Malformed
from u3v.wire import gencp
from u3v.wire.usb import CONTROL_OUT


class WriteWatch:
    """`listener(now_ns, address, data)` hears of each one, whatever the camera answers."""

    def __init__(self, listener: Callable[[int, int, bytes], None]) -> None:
        self._listener = listener

    def __call__(self, kind: str, urb: Urb, now_ns: int) -> None:
        if kind != "S" or urb.endpoint != CONTROL_OUT or urb.setup:
            return
        try:
            command = gencp.parse_command(memoryview(bytes(urb.data)))
            if command.command_id == gencp.WRITEMEM_CMD:
                write = gencp.parse_writemem(command.scd)
                self._listener(now_ns, write.address, bytes(write.data))
        except (Malformed, GenCPError):
            pass  # the camera answers it as it deserves
