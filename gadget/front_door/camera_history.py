"""What a camera saw last: what happened in it, why it left the bus, and what hosts wrote into its registers.

For people who ask why: it is printed when a test fails, and by `u3v ctl history`. State: the last REMEMBERED of
each, as they came; names are looked up only when somebody asks.
"""

from collections import deque
from collections.abc import Callable

from gadget.runner import BuiltCamera
from gadget.usb.in_pipe import Urb
from u3v.errors import GenCPError, Malformed
from u3v.features import Command
from u3v.happenings import Happening
from u3v.wire import bootstrap, gencp
from u3v.wire.usb import CONTROL_OUT

REMEMBERED = 30


class History:
    """Of one camera, from now on. `trouble`: why it was last off the bus, "" if it never was."""

    def __init__(self, built: BuiltCamera, now_ns: Callable[[], int]) -> None:
        self.trouble = ""
        self._built = built
        self._now_ns = now_ns
        self._happened: deque[tuple[int, str]] = deque(maxlen=REMEMBERED)
        self._written: deque[tuple[int, int, bytes]] = deque(maxlen=REMEMBERED)
        built.camera.happenings.listen(self._hear)
        built.port.listeners.append(self._hear_port)
        built.device.observers.append(self._see)

    def happenings(self) -> list[str]:
        """One line each, oldest first."""
        return [f"{at_ns / 1e9:.6f} s {what}" for at_ns, what in self._happened]

    def writes(self) -> list[str]:
        """One line for each register write of a host, oldest first."""
        return [f"{at_ns / 1e9:.6f} s {self._say(address, data)}" for at_ns, address, data in self._written]

    def _hear(self, what: Happening, at_ns: int, block_id: int) -> None:
        self._happened.append((at_ns, f"{what.value} (block {block_id})"))

    def _hear_port(self, line: str) -> None:
        """Its host only sees that the camera is gone."""
        self.trouble = line
        self._happened.append((self._now_ns(), line))

    def _see(self, kind: str, urb: Urb, now_ns: int) -> None:
        if kind != "S" or urb.endpoint != CONTROL_OUT or urb.setup:
            return
        try:
            command = gencp.parse_command(memoryview(bytes(urb.data)))
            if command.command_id == gencp.WRITEMEM_CMD:
                write = gencp.parse_writemem(command.scd)
                self._written.append((now_ns, write.address, bytes(write.data)))
        except (Malformed, GenCPError):
            pass  # the camera answers it as it deserves

    def _say(self, address: int, data: bytes) -> str:
        features = self._built.camera.features
        for feature in features:
            if address == features.address[feature.name] and len(data) == feature.size:
                if isinstance(feature, Command):
                    return feature.name
                try:
                    return f"{feature.name} = {feature.decode(data)}"
                except GenCPError:
                    break
        for base, layout in ((0, bootstrap.ABRM), (bootstrap.SIRM_ADDRESS, bootstrap.SIRM)):
            for name, register in layout.items():
                if address == base + register.offset:
                    return f"{name} = {int.from_bytes(data, 'little')}"
        return f"{address:#x} = {data.hex(' ')}"
