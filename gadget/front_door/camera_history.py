"""What a camera saw last: what happened in it, why it left the bus, and what hosts wrote into its registers.

For people who ask why: it is printed when a test fails, and by `u3v ctl history`. State: the last REMEMBERED of
each, as they came; names are looked up only when somebody asks.
"""

from collections import deque
from collections.abc import Callable

from gadget.runner import Plugged
from u3v.errors import GenCPError
from u3v.features import Command
from u3v.happenings import Happening

REMEMBERED = 30


class History:
    """Of one camera, from now on. `trouble`: why it was last off the bus, "" if it never was."""

    def __init__(self, built: Plugged, now_ns: Callable[[], int]) -> None:
        self.trouble = ""
        self._built = built
        self._now_ns = now_ns
        self._happened: deque[tuple[int, str]] = deque(maxlen=REMEMBERED)
        self._written: deque[tuple[int, int, bytes]] = deque(maxlen=REMEMBERED)
        built.camera.happenings.listen(self._hear)
        built.port.listeners.append(self._hear_port)
        built.watch_writes(lambda now_ns, address, data: self._written.append((now_ns, address, data)))

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
        name = self._built.camera.memory.name_at(address)
        if name:
            return f"{name} = {int.from_bytes(data, self._built.byte_order)}"
        return f"{address:#x} = {data.hex(' ')}"
