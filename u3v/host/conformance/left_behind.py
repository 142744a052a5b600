"""What a check leaves behind: a guard over the registers of features that hosts may set.

State: their bytes before the first check. After a check that wrote to features they are read again; what differs is
named and written back, so that the checks after it meet the camera as it was found. FEAT-026 judges the end of a run.
"""

from contextlib import suppress

from u3v.errors import U3VError
from u3v.host.conformance.camera import FIRST_FEATURE, Camera
from u3v.host.conformance.journal import Exchange
from u3v.host.conformance.packets import WRITEMEM
from u3v.host.conformance.xml_nodes import writable_register

ROUNDS = 3
"""Limits of one feature may depend on another that is put back after it."""
BLOCK_BYTES = 0x40
"""SIRM and EIRM are no longer; what is written there is no feature."""


class AsFound:
    """The camera's settings as they are now. Raises Failed, Skipped where they cannot be read by name."""

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self._names: dict[tuple[int, int], str] = {}
        for name in camera.description.registers():
            place = camera.place(name) if writable_register(camera, name) else None
            if place is not None:
                self._names.setdefault(place, min(camera.users_of(name), default=name, key=len))
        self._before = {place: camera.read(*place) for place in self._names}
        self._blocks: list[int] = []
        for block in ("sirm", "eirm"):
            with suppress(U3VError):
                self._blocks.append(int(getattr(camera.run, block)))

    def is_touched(self, exchanges: list[Exchange]) -> bool:
        """Whether a feature was written in these exchanges."""
        return any(self._is_feature(each.packet) for each in exchanges)

    def _is_feature(self, packet: bytes) -> bool:
        if len(packet) < 20 or packet[6:8] != WRITEMEM.to_bytes(2, "little"):
            return False
        address = int.from_bytes(packet[12:20], "little")
        apart = any(0 <= address - block < BLOCK_BYTES for block in self._blocks)
        return address >= FIRST_FEATURE and not apart

    def put_back(self) -> list[str]:
        """Restore what differs; what did, in words."""
        left: dict[str, str] = {}
        for _ in range(ROUNDS):
            different = self._different()
            for place, now in different.items():
                left.setdefault(
                    self._names[place], f"{self._names[place]} {self._before[place].hex()} -> {now.hex()}"
                )
                with suppress(U3VError):
                    self._camera.write(place[0], self._before[place])
            if not different:
                break
        return list(left.values())

    def _different(self) -> dict[tuple[int, int], bytes]:
        found = {}
        for place, before in self._before.items():
            ack = self._camera.run.read(*place)
            if ack.ok and ack.scd != before:
                found[place] = ack.scd
        return found
