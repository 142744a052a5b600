"""Mutants of request ids, of slow commands and of stacked commands."""

import struct
from collections.abc import Iterable

from gadget.faults.wrappers import FunctionWrapper
from gadget.runner import BuiltCamera
from tests.matrix.gencp import WRITE, Command, answered
from tests.matrix.rig import Acks, Mutant, about, ack_bytes, acks, overlay, refusing, several, wrap
from u3v.errors import GenCPError
from u3v.function import Function, InTransfer
from u3v.wire import gencp
from u3v.wire.usb import CONTROL_IN, CONTROL_OUT, STREAM_IN

STACKED_READ, STACKED_WRITE = 0x0806, 0x0808
BUSY = b"\x07\x80"
MAX_DATA = 1012
_ENTRY = struct.Struct("<QHH")


def doubled_pending(ack: bytes, command: Command, now_ns: int) -> Iterable[bytes | InTransfer]:
    data = bytearray(ack)
    if ack[4:10] == b"\0\0\x05\x08\x04\0":
        data[10:12] = struct.pack("<H", (struct.unpack_from("<H", ack, 10)[0] + 1) & 0xFFFF)
    return [bytes(data)]


def short_wait(ack: bytes, command: Command, now_ns: int) -> Iterable[bytes]:
    return [ack[:14] + b"\x01\x00"] if ack[6:8] == b"\x05\x08" else [ack]


def second_write_ignored(built: BuiltCamera) -> None:
    seen: list[int] = []

    def status(command: Command, packet: bytes) -> int | None:
        if command is None or command.command_id != WRITE:
            return None
        seen.append(command.request_id)
        return -1 if seen[-2:] == [command.request_id] * 2 else None

    answered(status)(built)


def ids_must_rise(built: BuiltCamera) -> None:
    last = [0]

    def status(command: Command, packet: bytes) -> int | None:
        if command is None:
            return None
        before, last[0] = last[0], command.request_id
        return None if command.request_id >= before else -1

    answered(status)(built)


class Hoarder(FunctionWrapper):
    """An acknowledge that nobody has read comes after the next command's."""

    def __init__(self, inner: Function) -> None:
        super().__init__(inner)
        self._kept: list[InTransfer] = []

    def transfer_out(self, endpoint: int, data: memoryview, now_ns: int) -> None:
        unread = self.inner.transfer_in(CONTROL_IN, now_ns) if endpoint == CONTROL_OUT else None
        self.inner.transfer_out(endpoint, data, now_ns)
        if unread is not None:
            self._kept.append(InTransfer(memoryview(bytes(unread.data))))

    def transfer_in(self, endpoint: int, now_ns: int) -> InTransfer | None:
        transfer = self.inner.transfer_in(endpoint, now_ns)
        if transfer is None and endpoint == CONTROL_IN and self._kept:
            return self._kept.pop(0)
        return transfer


def known_id_again(built: BuiltCamera) -> None:
    """A command with the id of the one before gets that one's acknowledge again."""
    last: list[bytes] = []

    def change(ack: bytes, command: Command, now_ns: int) -> Iterable[bytes]:
        last[:] = [ack]
        return [ack]

    def refuse(command: Command, packet: bytes) -> bytes | None:
        again = bool(last) and command is not None and last[0][10:12] == packet[10:12]
        return last[0] if again else None

    wrap(built, lambda inner: Acks(inner, change, refuse))


def replaced(built: BuiltCamera) -> None:
    """A command that comes while another is executed takes its place, and the first is never answered."""
    ids: list[bytes] = []
    dropped: set[bytes] = set()

    def change(ack: bytes, command: Command, now_ns: int) -> Iterable[bytes]:
        if ack[4:6] == BUSY and command is not None:
            dropped.add(ids[-2])
            return [gencp.pack_ack(0, gencp.READMEM_ACK, command.request_id, bytes(about(command)[2]))]
        return [] if ack[10:12] in dropped else [ack]

    def note(command: Command, packet: bytes) -> bytes | None:
        ids.append(packet[10:12])
        return None

    wrap(built, lambda inner: Acks(inner, change, note))


class Blocked(FunctionWrapper):
    """While a slow command is executed the stream stands still."""

    def __init__(self, inner: Function, slow: int) -> None:
        super().__init__(inner)
        self._slow, self._until_ns = struct.pack("<Q", slow), 0

    def transfer_out(self, endpoint: int, data: memoryview, now_ns: int) -> None:
        if endpoint == CONTROL_OUT and data[6:8] == b"\x02\x08" and data[12:20] == self._slow:
            self._until_ns = now_ns + int.from_bytes(data[20:], "little") * 1_000_000
        self.inner.transfer_out(endpoint, data, now_ns)

    def transfer_in(self, endpoint: int, now_ns: int) -> InTransfer | None:
        if endpoint == STREAM_IN and now_ns < self._until_ns:
            return None
        return self.inner.transfer_in(endpoint, now_ns)


def stream_blocked(built: BuiltCamera) -> None:
    wrap(built, lambda inner: Blocked(inner, built.camera.features.address["TestPendingAck"]))


# -- stacked commands, which our camera has not -------------------------------------------------------------------


def entries(scd: bytes, command_id: int) -> list[tuple[int, bytes | int]]:
    """(address, count) of a stacked read, (address, data) of a stacked write. Raises struct.error."""
    found: list[tuple[int, bytes | int]] = []
    while scd:
        address, _, count = _ENTRY.unpack_from(scd)
        scd = scd[_ENTRY.size :]
        if command_id == STACKED_READ:
            found.append((address, count))
        else:
            found.append((address, scd[:count]))
            scd = scd[count:]
    return found


def stacking(*, backwards: bool = False, goes_on: bool = False, unlimited: bool = False):  # type: ignore[no-untyped-def]
    """A camera with stacked commands (GenCP 1.3 clauses 4.4.6 to 4.4.9): right, or wrong in one way."""

    def spoil(built: BuiltCamera) -> None:
        memory = built.camera.memory

        def one(address: int, what: bytes | int) -> bytes:
            if isinstance(what, int):
                return memory.host_read(address, what)
            memory.host_write(address, what)
            return struct.pack("<HH", 0, len(what))

        def serve(command: Command, packet: bytes) -> bytes | None:
            if command is None or command.command_id not in (STACKED_READ, STACKED_WRITE):
                return None
            ack_id, request_id, status = command.command_id | 1, command.request_id, 0
            try:
                wanted = entries(bytes(command.scd), command.command_id)
            except struct.error:
                return gencp.pack_ack(0x800E, ack_id, request_id)
            if not unlimited and sum(what for _, what in wanted if isinstance(what, int)) > MAX_DATA:
                return gencp.pack_ack(0x8002, ack_id, request_id)
            data: list[bytes] = []
            for address, what in wanted:
                try:
                    data.append(one(address, what))
                except GenCPError as error:
                    status = int(error.status)
                    if not goes_on:
                        break
            return gencp.pack_ack(status, ack_id, request_id, b"".join(data[::-1] if backwards else data))

        several(overlay({0x1C4: struct.pack("<Q", 0x2B0D)}), refusing(serve))(built)

    return spoil


MUTANTS = [
    Mutant(
        "id 0 refused",
        "GENCP-ID-001",
        answered(lambda c, p: 0x8002 if c is not None and not c.request_id else None),
    ),
    Mutant(
        "ids treated as signed",
        "GENCP-ID-002",
        ack_bytes(lambda d, c: d.__setitem__(slice(10, 12), struct.pack("<H", c.request_id & 0x7FFF))),
    ),
    Mutant("second write of an id ignored", "GENCP-ID-004", second_write_ignored),
    Mutant("ids must rise", "GENCP-ID-005", ids_must_rise),
    Mutant("own id in PENDING", "GENCP-PND-002", acks(doubled_pending), also="GENCP-ID-009"),
    Mutant("announces 1 ms", "GENCP-PND-003", acks(short_wait)),
    Mutant(
        "half-made stacked read",
        "GENCP-STK-001",
        answered(lambda c, p: 0 if c is not None and c.command_id in (0x0806, 0x0808) else None),
    ),
    Mutant("an id that is known gets the old answer", "GENCP-ID-003", known_id_again),
    Mutant("unread acknowledges come later", "GENCP-ID-006 GENCP-ID-007", lambda built: wrap(built, Hoarder)),
    Mutant("second command replaces the first", "GENCP-ID-008", replaced),
    Mutant("stream blocked by a slow command", "GENCP-PND-008", stream_blocked),
    Mutant("stacked data backwards", "GENCP-STK-002", stacking(backwards=True)),
    Mutant("a stacked read goes on after an error", "GENCP-STK-003", stacking(goes_on=True)),
    Mutant("a stacked write goes on after an error", "GENCP-STK-004", stacking(goes_on=True)),
    Mutant("over-long stacked acknowledge", "GENCP-STK-005", stacking(unlimited=True)),
]
