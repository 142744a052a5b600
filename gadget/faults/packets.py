"""Faults of a network: what happens to packets between a GigE Vision camera and its sockets, and to its address.

A `PacketWrapper` has the methods of `u3v.gev.function.Datagrams` and passes everything on. Whatever it spoils, the
camera has sent: what it has delivered and discarded still adds up to what it was offered.
"""

from collections import deque
from collections.abc import Iterable
from typing import Any

from gadget.faults.wrappers import ETHERNET, MS, Strikes, Victim
from u3v.gev.control import Datagram
from u3v.gev.function import Datagrams
from u3v.gev.stream import Packet, Sent, apart
from u3v.wire import gvsp

PARTS = {"leader": gvsp.LEADER, "payload": gvsp.PAYLOAD, "trailer": gvsp.TRAILER}


class PacketWrapper:
    """`Datagrams` in front of others that it passes everything on to."""

    def __init__(self, inner: Datagrams) -> None:
        self.inner = inner

    def datagrams(self, waiting: Iterable[Datagram], now_ns: int) -> list[Datagram]:
        return self.inner.datagrams(waiting, now_ns)

    def tick(self, now_ns: int) -> list[Datagram]:
        return self.inner.tick(now_ns)

    def events(self, now_ns: int) -> list[Datagram]:
        return self.inner.events(now_ns)

    def packets(self, now_ns: int, most: int) -> list[Sent]:
        return self.inner.packets(now_ns, most)

    def next_wakeup_ns(self) -> int | None:
        return self.inner.next_wakeup_ns()


class PacketFault(PacketWrapper):
    """A fault there. `values`: its own parameters."""

    wire = ETHERNET

    def __init__(self, inner: Datagrams, strikes: Strikes, values: dict[str, Any], victim: Victim) -> None:
        super().__init__(inner)
        self.strikes = strikes
        self.values = values
        self.victim = victim

    def end(self, now_ns: int) -> None:
        """The fault is taken away: whatever it changed elsewhere is put back."""

    def came(self, now_ns: int, most: int) -> list[Packet]:
        """The packets that would be sent now, one by one."""
        return apart(self.inner.packets(now_ns, most))

    def hits(self, packet: Packet, now_ns: int) -> bool:
        """Whether the fault strikes at this packet: one of the `part` that it is about. Test packets are none."""
        kind, block_id, is_again = about(packet)
        if kind not in PARTS.values() or (is_again and self.values["again"] == "spared"):
            return False
        if self.values["part"] not in ("any", *(name for name, code in PARTS.items() if code == kind)):
            return False
        return self.strikes(now_ns, block_id)


class LostPackets(PacketFault):
    """Packets of the stream are lost, `count` in a row."""

    left = 0

    def packets(self, now_ns: int, most: int) -> list[Sent]:
        return [packet for packet in self.came(now_ns, most) if not self._lost(packet, now_ns)]

    def _lost(self, packet: Packet, now_ns: int) -> bool:
        if not self.left and self.hits(packet, now_ns):
            self.left = self.values["count"]
        if self.left:
            self.left -= 1
            return True
        return False


class DoublePackets(PacketFault):
    """Packets of the stream come twice."""

    def packets(self, now_ns: int, most: int) -> list[Sent]:
        sent: list[Sent] = []
        for packet in self.came(now_ns, most):
            sent += [packet] * (2 if self.hits(packet, now_ns) else 1)
        return sent


class SwappedPackets(PacketFault):
    """A packet comes `by` packets later than it should, or after 10 ms where no more of them come."""

    PATIENCE_NS = 10 * MS

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.held: list[tuple[int, int, Packet]] = []
        """How many packets still go before it, when it goes at the latest, the packet."""

    def packets(self, now_ns: int, most: int) -> list[Sent]:
        sent: list[Sent] = []
        for packet in self.came(now_ns, most):
            if self.hits(packet, now_ns):
                self.held.append((self.values["by"], now_ns + self.PATIENCE_NS, packet))
                continue
            sent.append(packet)
            self.held = [(left - 1, at_ns, late) for left, at_ns, late in self.held]
            sent += self._due(now_ns)
        return sent + self._due(now_ns)

    def _due(self, now_ns: int) -> list[Packet]:
        due = [late for left, at_ns, late in self.held if left <= 0 or at_ns <= now_ns]
        self.held = [one for one in self.held if one[0] > 0 and one[1] > now_ns]
        return due

    def next_wakeup_ns(self) -> int | None:
        return first(self.inner.next_wakeup_ns(), *(at_ns for _, at_ns, _ in self.held))


class LatePackets(PacketFault):
    """Packets of the stream take `ms` longer, and others overtake them."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.held: deque[tuple[int, Packet]] = deque()

    def packets(self, now_ns: int, most: int) -> list[Sent]:
        late_ns = round(self.values["ms"] * MS)
        sent: list[Sent] = []
        for packet in self.came(now_ns, most):
            if self.hits(packet, now_ns):
                self.held.append((now_ns + late_ns, packet))
            else:
                sent.append(packet)
        while self.held and self.held[0][0] <= now_ns:
            sent.append(self.held.popleft()[1])
        return sent

    def next_wakeup_ns(self) -> int | None:
        return first(self.inner.next_wakeup_ns(), *(at_ns for at_ns, _ in list(self.held)[:1]))


class SmallMtu(PacketFault):
    """Somewhere on the way packets of more than `bytes` do not get through, test packets neither."""

    def packets(self, now_ns: int, most: int) -> list[Sent]:
        return [p for p in self.came(now_ns, most) if self._fits(p) or not self.strikes(now_ns)]

    def _fits(self, packet: Packet) -> bool:
        return bool(len(packet) + gvsp.IP_UDP_BYTES <= self.values["bytes"])


class LostHeartbeat(PacketFault):
    """Nothing that a host sends reaches the camera for `for_ms`, its heartbeat neither."""

    deaf_until_ns = 0

    def datagrams(self, waiting: Iterable[Datagram], now_ns: int) -> list[Datagram]:
        heard = []
        for one in waiting:
            if now_ns >= self.deaf_until_ns and self.strikes(now_ns):
                self.deaf_until_ns = now_ns + round(self.values["for_ms"] * MS)
            if now_ns >= self.deaf_until_ns:
                heard.append(one)
        return self.inner.datagrams(heard, now_ns)


def about(packet: Packet) -> tuple[int, int, bool]:
    """Kind and block id of a packet, and whether it was asked for again. Kind 0: a test packet."""
    header = packet.header
    again = header[:2] != b"\0\0"
    if header[4] & 0x80:
        return header[4] & 0x7F, int.from_bytes(header[8:16], "big"), again
    return header[4], int.from_bytes(header[2:4], "big"), again


def first(*instants: int | None) -> int | None:
    return min((at for at in instants if at is not None), default=None)
