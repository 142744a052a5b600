"""Faults of the control channel: acknowledges that are late, lost, doubled, garbled, or say something else."""

import struct
from collections.abc import Iterable

from gadget.faults.wrappers import MS, ControlFault, changed
from u3v.function import InTransfer
from u3v.wire import gencp
from u3v.wire.bootstrap import SBRM_ADDRESS, SIRM, SIRM_ADDRESS, SIRM_BYTES
from u3v.wire.usb import CONTROL_IN

Sent = Iterable[InTransfer]
SIZES = (
    *("SI_Maximum_Leader_Size", "SI_Payload_Transfer_Size", "SI_Payload_Final_Transfer1_Size"),
    *("SI_Payload_Final_Transfer2_Size", "SI_Maximum_Trailer_Size"),
)
_FIRST_LATER, SBRM_BYTES = 0x1E0, 0x44
"""Of the ABRM, from where on hosts read while they stream; of the SBRM, its bytes."""
_ID_AT, _LENGTH_AT, _COMMAND_AT, _STATUS_AT = 10, 8, 6, 4


class StaleAck(ControlFault):
    """An acknowledge of the command before (its id - 1) comes first."""

    def acks(self, transfer: InTransfer, now_ns: int) -> Sent:
        stale = bytearray(transfer.data)
        request_id = (struct.unpack_from("<H", stale, _ID_AT)[0] - 1) & 0xFFFF
        stale[_ID_AT : _ID_AT + 2] = request_id.to_bytes(2, "little")
        return (changed(transfer, stale, lease=None), transfer)


class SwappedAcks(ControlFault):
    """The acknowledge is kept back and comes behind the next one."""

    held: InTransfer | None = None

    def acks(self, transfer: InTransfer, now_ns: int) -> Sent:
        self.held = changed(transfer, bytes(transfer.data), lease=None)
        return ()

    def transfer_in(self, endpoint: int, now_ns: int) -> InTransfer | None:
        before = self.held
        transfer = super().transfer_in(endpoint, now_ns)
        if endpoint == CONTROL_IN and transfer is not None and before is not None and before is self.held:
            self.put(CONTROL_IN, [before])
            self.held = None
        return transfer


class LateAck(ControlFault):
    """The acknowledge comes `delay_ms` later, and no PENDING_ACK announces that."""

    def acks(self, transfer: InTransfer, now_ns: int) -> Sent:
        return (
            changed(
                transfer, bytes(transfer.data), lease=None, ready_ns=now_ns + self.values["delay_ms"] * MS
            ),
        )


class PendingAcks(ControlFault):
    """`count` PENDING_ACKs before the acknowledge, `wait_ms` apart; 0: without end, and never the acknowledge."""

    def acks(self, transfer: InTransfer, now_ns: int) -> Sent:
        assert self.command is not None
        wait_ms, count = self.values["wait_ms"], self.values["count"]
        pending = gencp.pack_pending_ack(self.command.request_id, min(2 * wait_ms + 20, 0xFFFF))
        made = [
            changed(transfer, pending, ready_ns=now_ns + n * wait_ms * MS, taken=None)
            for n in range(count or 1000)
        ]
        return (
            [*made, changed(transfer, transfer.data, ready_ns=now_ns + count * wait_ms * MS)]
            if count
            else made
        )


class LostAck(ControlFault):
    """The command is executed, its acknowledge is lost."""

    def acks(self, transfer: InTransfer, now_ns: int) -> Sent:
        return ()


class LostCommand(ControlFault):
    """The command never reaches the camera: nothing is executed, nothing is answered."""

    def refuse(self, command: gencp.Command, now_ns: int) -> bytes | None:
        return b""


class DoubleAck(ControlFault):
    """The acknowledge comes twice."""

    def acks(self, transfer: InTransfer, now_ns: int) -> Sent:
        return (transfer, changed(transfer, bytes(transfer.data), lease=None))


class LongAck(ControlFault):
    """The acknowledge has `bytes` bytes more than it says."""

    def acks(self, transfer: InTransfer, now_ns: int) -> Sent:
        return (changed(transfer, bytes(transfer.data) + bytes(self.values["bytes"])),)


class BadAck(ControlFault):
    """The acknowledge is garbled: cut short, or with another prefix, length, command or id."""

    def acks(self, transfer: InTransfer, now_ns: int) -> Sent:
        data = bytearray(transfer.data)
        what = self.values["what"]
        if what == "short":
            del data[8:]
        elif what == "prefix":
            data[0:4] = b"U3VX"
        else:
            at = {"length": _LENGTH_AT, "command": _COMMAND_AT, "id": _ID_AT}[what]
            wrong = struct.unpack_from("<H", data, at)[0] ^ 0x0004
            struct.pack_into("<H", data, at, wrong)
        return (changed(transfer, data),)


class AckStatus(ControlFault):
    """The command is executed and acknowledged with an error status."""

    def acks(self, transfer: InTransfer, now_ns: int) -> Sent:
        data = bytearray(transfer.data[:12])
        struct.pack_into("<H", data, _STATUS_AT, self.values["status"])
        struct.pack_into("<H", data, _LENGTH_AT, 0)
        return (changed(transfer, data),)


class UnalignedRefused(ControlFault):
    """Sizes in the SI registers must be multiples of `alignment`: another one gets A003, and enabling then A004."""

    refused = False

    def concerns(self, command: gencp.Command) -> bool:
        if command.command_id != gencp.WRITEMEM_CMD or len(command.scd) < 12:
            return False
        address, value = struct.unpack_from("<QI", command.scd)
        names = {SIRM_ADDRESS + SIRM[name].offset: name for name in (*SIZES, "SI_Control")}
        name = names.get(address)
        if name == "SI_Control":
            return bool(value & 1) and self.refused
        return name is not None and bool(value % self.values["alignment"])

    def refuse(self, command: gencp.Command, now_ns: int) -> bytes | None:
        enables = struct.unpack_from("<Q", command.scd)[0] == SIRM_ADDRESS + SIRM["SI_Control"].offset
        self.refused = not enables
        return gencp.pack_ack(0xA004 if enables else 0xA003, gencp.WRITEMEM_ACK, command.request_id)


class StuckRegisters(ControlFault):
    """After a host has gone in mid-stream, the SI registers answer 8FFF until the power has been off."""

    enabled = stuck = False

    def configure(self, value: int, now_ns: int) -> None:
        port = self.victim.port_or_none
        if port is None or port.on_bus:
            self.stuck |= self.enabled
        else:
            self.stuck = False
        self.enabled = False
        super().configure(value, now_ns)

    def clear_halt(self, endpoint: int, now_ns: int) -> None:
        self.stuck |= self.enabled and endpoint == CONTROL_IN
        super().clear_halt(endpoint, now_ns)

    def concerns(self, command: gencp.Command) -> bool:
        if len(command.scd) < 8:
            return False
        address = struct.unpack_from("<Q", command.scd)[0]
        if command.command_id == gencp.WRITEMEM_CMD and address == SIRM_ADDRESS + SIRM["SI_Control"].offset:
            self.enabled = bool(command.scd[8] & 1)
        elif self.enabled and (address < _FIRST_LATER or SBRM_ADDRESS <= address < SBRM_ADDRESS + SBRM_BYTES):
            self.stuck = True  # who asks for this opens the camera anew
        return self.stuck and SIRM_ADDRESS <= address < SIRM_ADDRESS + SIRM_BYTES

    def refuse(self, command: gencp.Command, now_ns: int) -> bytes | None:
        return gencp.pack_ack(0x8FFF, command.command_id | 1, command.request_id)
