"""Faults of GigE Vision's control channel: acknowledges that are late, lost, doubled, or say something else.

What `gadget.faults.control` does on USB, done to the datagrams of GVCP. A host repeats a command whose acknowledge it
misses; a discovery is none of these commands, and has a fault of its own.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from gadget.faults.packets import PacketFault, first
from gadget.faults.wrappers import MS
from u3v.errors import Malformed
from u3v.gev.control import Datagram
from u3v.wire import gvcp
from u3v.wire.gvcp import Ack, Code

_READS, _WRITES = (Code.READREG, Code.READMEM), (Code.WRITEREG, Code.WRITEMEM)
_ABOUT = {"any": (*_READS, *_WRITES, Code.FORCEIP, Code.ACTION), "read": _READS, "write": _WRITES}


class AckFault(PacketFault):
    """Sees acknowledges. `acks` says what is sent instead of one, now or later."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._held: list[tuple[int, Datagram]] = []

    def datagrams(self, waiting: Iterable[Datagram], now_ns: int) -> list[Datagram]:
        return self._spoiled(self.inner.datagrams(waiting, now_ns), now_ns)

    def tick(self, now_ns: int) -> list[Datagram]:
        return self._spoiled(self.inner.tick(now_ns), now_ns)

    def next_wakeup_ns(self) -> int | None:
        return first(self.inner.next_wakeup_ns(), *(at_ns for at_ns, _ in self._held))

    def acks(self, ack: Ack) -> Iterable[tuple[float, Ack]]:
        """What is sent instead, each with how many ms later."""
        raise NotImplementedError

    def concerns(self, code: int) -> bool:
        return code in _ABOUT[self.values["command"]]

    def _spoiled(self, answers: Iterable[Datagram], now_ns: int) -> list[Datagram]:
        sent = []
        for answer in answers:
            ack = gvcp.parse_ack(answer.data)
            if not self.concerns(ack.code) or not self.strikes(now_ns):
                sent.append(answer)
                continue
            for after_ms, other in self.acks(ack):
                datagram = Datagram(other.pack(), answer.peer)
                if after_ms:
                    self._held.append((now_ns + round(after_ms * MS), datagram))
                else:
                    sent.append(datagram)
        due = sorted((one for one in self._held if one[0] <= now_ns), key=lambda one: one[0])
        self._held = [one for one in self._held if one[0] > now_ns]
        return sent + [datagram for _, datagram in due]


class StaleAck(AckFault):
    """An acknowledge of the command before (its id - 1) comes first."""

    def acks(self, ack: Ack) -> Iterable[tuple[float, Ack]]:
        return (0, replace(ack, request_id=(ack.request_id - 2) % 0xFFFF + 1)), (0, ack)


class LateAck(AckFault):
    """The acknowledge comes `delay_ms` later, and no PENDING_ACK announces that."""

    def acks(self, ack: Ack) -> Iterable[tuple[float, Ack]]:
        return ((self.values["delay_ms"], ack),)


class PendingAcks(AckFault):
    """`count` PENDING_ACKs before the acknowledge, `wait_ms` apart; 0: without end, and never the acknowledge."""

    def acks(self, ack: Ack) -> Iterable[tuple[float, Ack]]:
        wait_ms, count = self.values["wait_ms"], self.values["count"]
        waits = b"\0\0" + min(2 * wait_ms + 20, 0xFFFF).to_bytes(2, "big")
        pending = Ack(0, Code.PENDING, ack.request_id, waits)
        for number in range(count or 1000):
            yield number * wait_ms, pending
        if count:
            yield count * wait_ms, ack


class LostAck(AckFault):
    """The command is executed, its acknowledge is lost."""

    def acks(self, ack: Ack) -> Iterable[tuple[float, Ack]]:
        return ()


class DoubleAck(AckFault):
    """The acknowledge comes twice."""

    def acks(self, ack: Ack) -> Iterable[tuple[float, Ack]]:
        return (0, ack), (0, ack)


class AckStatus(AckFault):
    """The command is executed and acknowledged with an error status."""

    def acks(self, ack: Ack) -> Iterable[tuple[float, Ack]]:
        return ((0, replace(ack, status=self.values["status"], payload=b"")),)


class LostDiscovery(AckFault):
    """The answer to a discovery comes `late_ms` later; 0: never."""

    def concerns(self, code: int) -> bool:
        return code == Code.DISCOVERY

    def acks(self, ack: Ack) -> Iterable[tuple[float, Ack]]:
        late_ms = self.values["late_ms"]
        return ((late_ms, ack),) if late_ms else ()


class LostCommand(PacketFault):
    """The command never reaches the camera: nothing is executed, nothing is answered."""

    def datagrams(self, waiting: Iterable[Datagram], now_ns: int) -> list[Datagram]:
        return self.inner.datagrams([one for one in waiting if not self._lost(one, now_ns)], now_ns)

    def _lost(self, datagram: Datagram, now_ns: int) -> bool:
        try:
            command = gvcp.parse_command(datagram.data)
        except Malformed:
            return False
        return command.code in _ABOUT[self.values["command"]] and self.strikes(now_ns)
