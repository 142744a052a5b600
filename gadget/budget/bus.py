"""The wires as a budget of time: when has a piece of data crossed? Pure: instants in and out, all in ns.

A `Bus` is what several cameras share: a host controller, a hub's upstream port, a switch's one cable. Each IN
endpoint has a `Flow` on it, at most one piece in flight. A real host controller gives each endpoint that has data a
burst of 16 packets (34 us at SuperSpeed), then it is the next one's turn. Seen over a millisecond every endpoint has
the same share, and where one needs less the others divide what it leaves (max-min fairness). Those shares are what is
computed here, not the bursts. For example, of 479 MB/s a camera that makes 100 leaves 189.5 to each of two others.
Rates change only when a piece begins, ends, or has caught up with the camera that makes it; so each instant is
exact, and a piece costs a few operations.

State: the bytes of each piece in flight that have crossed at the instant `_at_ns`. Always true: pieces of a
flow cross one after another; no byte crosses before it exists; the rates add up to no more than the bus; what
has been landed stays as it was. `Flow.done_ns` is when its piece will have crossed if nothing else comes: it
moves when others begin or give up, so ask again.

Pieces of one packet (acknowledges, events, leaders) slip in between two bursts and cost nothing.

Payload rates. SuperSpeed: 5 Gbit/s, 8b/10b: 500 MB/s; a packet of 1024 bytes takes 1056 byte times (framing,
link commands), and with skip ordered sets 479 MB/s are left. SuperSpeedPlus Gen 2: 10 Gbit/s, 128b/132b: 1212
MB/s; 1024 bytes in 1060 and one 16-byte skip set for every 40 blocks leave 1142 MB/s. High-Speed: at most 13
packets of 512 bytes per 125 us microframe (USB 2.0 table 5-10): 53.2 MB/s. Ethernet: a packet of N bytes (IP) takes
N + 38 on the wire (MAC, FCS, preamble, gap) and holds N - 48 of pixels (IP, UDP, and GVSP with 64-bit ids).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from u3v.errors import Mistake
from u3v.wire.usb import Speed

SUPER_BYTES_PER_S = 479_000_000.0
PAYLOAD_BYTES_PER_S = {Speed.SUPER: SUPER_BYTES_PER_S, Speed.HIGH: 13 * 512 * 8000.0}
SUPER_PLUS_BYTES_PER_S = float(int(10e9 / 8 * 128 / 132 * 1024 / 1060 * 40 / 41 / 1e6) * 1_000_000)
PACKET_BYTES = 1024
TURNAROUND_NS = 500_000
"""How late a host may ask for the next piece without the wire standing idle: a real host controller asks
within microseconds, ours is a program that first has to be woken."""
ETHERNET_PACKET_BYTES = 8192
"""The jumbo packets that GigE cameras are run with; 1500 without jumbo frames."""


def ethernet_bytes_per_s(bits_per_s: float, packet_bytes: int = ETHERNET_PACKET_BYTES) -> float:
    """Pixels a GigE Vision stream gets through an Ethernet link of `bits_per_s`."""
    return bits_per_s / 8 * (packet_bytes - 48) / (packet_bytes + 38)


@dataclass(frozen=True, slots=True)
class BusSpec:
    """A bus as a person describes it: payload rates of the whole and of one port, bytes/s."""

    name: str
    bytes_per_s: float
    port_bytes_per_s: float
    ethernet: bool = False
    speed: Speed = Speed.SUPER
    other_bytes_per_s: float = 0.0

    @property
    def slow_link(self) -> bool:
        """Whether GigE cameras run at 100 Mbit/s."""
        return self.ethernet and self.name.lower().startswith("100mbe")

    def bus(self) -> "Bus":
        return Bus(self.bytes_per_s, self.other_bytes_per_s)


BUS_NAMES = ("5gbps", "10gbps", "480mbps", "1gbe", "100mbe")


def parse_bus(text: str) -> BusSpec:
    """ "5gbps[,other=100MB/s]" or "1gbe[,packet=1500][,other=10MB/s]". Raises Mistake, one line."""
    name, *rest = (part.strip().lower() for part in text.split(","))
    settings: dict[str, str] = {}
    for part in rest:
        key, equals, value = part.partition("=")
        if not equals or key not in ("other", "packet"):
            raise Mistake(f"--bus: {part!r} is neither other=RATE (other=100MB/s) nor packet=BYTES")
        if key in settings:
            raise Mistake(f"--bus: {key}= is given twice")
        settings[key] = value
    if name not in BUS_NAMES:
        raise Mistake(f"--bus {name!r}: must be one of {', '.join(BUS_NAMES)}")
    other = parse_rate(settings["other"]) if "other" in settings else 0.0
    if name in ("1gbe", "100mbe"):
        packet_text = settings.get("packet", str(ETHERNET_PACKET_BYTES))
        if not packet_text.isdecimal() or not 576 <= int(packet_text) <= 16110:
            raise Mistake(f"--bus: packet={packet_text}: bytes from 576 to 16110, usually 1500 or 8192")
        rate = ethernet_bytes_per_s(1e9 if name == "1gbe" else 1e8, int(packet_text))
        return BusSpec(text, rate, rate, True, Speed.SUPER, other)
    if "packet" in settings:
        raise Mistake("--bus: packet= is about Ethernet (1gbe, 100mbe)")
    rates = {
        "5gbps": (SUPER_BYTES_PER_S, SUPER_BYTES_PER_S, Speed.SUPER),
        "10gbps": (SUPER_PLUS_BYTES_PER_S, SUPER_BYTES_PER_S, Speed.SUPER),
        "480mbps": (PAYLOAD_BYTES_PER_S[Speed.HIGH], PAYLOAD_BYTES_PER_S[Speed.HIGH], Speed.HIGH),
    }
    whole, port, speed = rates[name]
    return BusSpec(text, whole, port, False, speed, other)


def parse_rate(text: str) -> float:
    """ "100MB/s", "250 kB/s", "1Gbit/s": bytes per second. Raises Mistake."""
    folded = text.strip().lower().removesuffix("/s")
    for suffix, factor in _UNITS.items():
        number = folded.removesuffix(suffix)
        if number != folded:
            try:
                rate = float(number) * factor
            except ValueError:
                break
            if 0 <= rate < math.inf:
                return rate
            break
    raise Mistake(f"{text!r} is no rate such as 100MB/s or 500Mbit/s")


_UNITS = {
    "gbit": 1e9 / 8,
    "mbit": 1e6 / 8,
    "kbit": 1e3 / 8,
    "gbps": 1e9 / 8,
    "mbps": 1e6 / 8,
    "gb": 1e9,
    "mb": 1e6,
    "kb": 1e3,
    "b": 1.0,
}


class Bus:
    """`bytes_per_s` of payload for all flows together (0: not paced). `other_bytes_per_s`: traffic of devices
    that are not ours, which takes its turn like everybody else's."""

    def __init__(self, bytes_per_s: float = 0.0, other_bytes_per_s: float = 0.0) -> None:
        self.bytes_per_s = bytes_per_s
        self.other_bytes_per_s = other_bytes_per_s
        self._in_flight: list[Flow] = []
        self._at_ns = 0

    @property
    def is_shared(self) -> bool:
        """Whether more than one piece is in flight."""
        return len(self._in_flight) > 1

    def join(self, port_bytes_per_s: float = 0.0) -> "Flow":
        """A new flow. `port_bytes_per_s`: what its own port carries at most (0: as much as the bus)."""
        return Flow(self, min(port_bytes_per_s or self.bytes_per_s, self.bytes_per_s))

    def serve_before(self, flow: "Flow") -> None:
        """Let the owners of pieces that have crossed before this flow's land them first, in order: the loop
        may have come late, and what they begin then shares the bus with this piece."""
        while len(self._in_flight) > 1:
            first = min(self._in_flight, key=_done_ns)
            if first.done_ns >= flow.done_ns or not first.on_turn(first.done_ns):
                return

    def add(self, flow: "Flow") -> None:
        others = self._in_flight
        flow.begin_ns = max(flow.begin_ns, self._at_ns)
        flow.crossed = 0.0
        flow.done_ns = self._alone_ns(flow)
        others.append(flow)
        if self.other_bytes_per_s or (len(others) > 1 and self._meets(flow)):
            self._predict()

    def remove(self, flow: "Flow", landed: bool) -> None:
        others = self._in_flight
        if landed:
            if len(others) > 1 or self.other_bytes_per_s:
                self._settle(flow.done_ns)
            self._at_ns = max(self._at_ns, flow.done_ns)
            others.remove(flow)
        else:
            others.remove(flow)
            if others:
                self._predict()

    def _alone_ns(self, flow: "Flow") -> int:
        """When the piece has crossed if the bus is its own."""
        start_ns = max(flow.begin_ns, flow.ready_ns)
        crossed_ns = start_ns + int(flow.piece_bytes * 1e9 / flow.port_bytes_per_s)
        return max(flow.asked_ns, flow.last_ready_ns, crossed_ns)

    def _meets(self, flow: "Flow") -> bool:
        """Whether another piece is on the bus at any time of this one's."""
        start_ns = max(flow.begin_ns, flow.ready_ns)
        return any(
            other is not flow
            and other.done_ns > start_ns
            and max(other.begin_ns, other.ready_ns) < flow.done_ns
            for other in self._in_flight
        )

    def _settle(self, until_ns: int) -> None:
        """Let the bytes cross up to an instant."""
        flows = self._in_flight
        crossed = [flow.crossed for flow in flows]
        self._run(flows, crossed, self._at_ns, until_ns)
        for flow, bytes_ in zip(flows, crossed, strict=True):
            flow.crossed = bytes_
        self._at_ns = max(self._at_ns, until_ns)

    def _predict(self) -> None:
        """Work out when each piece will have crossed."""
        flows = self._in_flight
        done = self._run(flows, [flow.crossed for flow in flows], self._at_ns, None)
        for flow, at_ns in zip(flows, done, strict=True):
            flow.done_ns = at_ns

    def _run(self, flows: "list[Flow]", crossed: list[float], at_ns: int, until_ns: int | None) -> list[int]:
        """Move `crossed` on from `at_ns`, to `until_ns` or until all is done; the instants each was done."""
        done = [flow.done_ns for flow in flows]
        todo = {index for index, flow in enumerate(flows) if crossed[index] < flow.piece_bytes}
        while todo and (until_ns is None or at_ns < until_ns):
            next_ns = until_ns
            wants: dict[int, float] = {}
            for index in todo:
                flow = flows[index]
                start_ns = max(flow.begin_ns, flow.ready_ns)
                if start_ns > at_ns:
                    next_ns = start_ns if next_ns is None else min(next_ns, start_ns)
                    continue
                backlog = flow.exists(at_ns) - crossed[index]
                wants[index] = flow.port_bytes_per_s
                if backlog < 1.0 and flow.bytes_per_s:
                    wants[index] = min(flow.bytes_per_s, flow.port_bytes_per_s)
            rates = _shares(self.bytes_per_s, wants, self.other_bytes_per_s)
            for index, rate in rates.items():
                flow = flows[index]
                event_ns = at_ns + max(1, math.ceil((flow.piece_bytes - crossed[index]) * 1e9 / rate - 1e-3))
                backlog = flow.exists(at_ns) - crossed[index]
                if (
                    backlog >= 1.0
                    and flow.bytes_per_s
                    and rate > flow.bytes_per_s
                    and at_ns < flow.last_ready_ns
                ):
                    caught_ns = at_ns + max(1, math.ceil(backlog * 1e9 / (rate - flow.bytes_per_s)))
                    event_ns = min(event_ns, caught_ns, flow.last_ready_ns)
                next_ns = event_ns if next_ns is None else min(next_ns, event_ns)
            assert next_ns is not None and next_ns > at_ns
            for index, rate in rates.items():
                flow = flows[index]
                reached = crossed[index] + rate * (next_ns - at_ns) / 1e9
                crossed[index] = min(reached, flow.exists(next_ns))
                if crossed[index] > flow.piece_bytes - 0.5:
                    crossed[index] = float(flow.piece_bytes)
                    done[index] = max(next_ns, flow.asked_ns)
                    todo.discard(index)
            at_ns = next_ns
        return done


class Flow:
    """One endpoint's pieces on a bus. `begin`, then `land` (once `done_ns` has come) or `give_up`.

    `on_turn(at_ns)` is called when the owner should land the piece, which was over at `at_ns`; it says whether
    it did. It is called in order, the earliest piece of the bus first, so it need not call `serve_others`.
    """

    __slots__ = (
        "asked_ns",
        "begin_ns",
        "bus",
        "bytes_per_s",
        "crossed",
        "done_ns",
        "last_ready_ns",
        "on_turn",
        "piece_bytes",
        "port_bytes_per_s",
        "ready_ns",
    )

    def __init__(self, bus: Bus, port_bytes_per_s: float) -> None:
        self.bus = bus
        self.port_bytes_per_s = port_bytes_per_s
        self.on_turn: Callable[[int], bool] = lambda at_ns: False
        self.piece_bytes = 0
        self.asked_ns = self.begin_ns = self.ready_ns = self.last_ready_ns = self.done_ns = 0
        self.bytes_per_s = 0.0
        self.crossed = 0.0

    def begin(self, length_bytes: int, asked_ns: int, ready_ns: int, bytes_per_s: float) -> None:
        """Put a piece on the bus that was asked for at `asked_ns` and whose byte k exists from
        `ready_ns + k / bytes_per_s` on (0: all of it at `ready_ns`)."""
        last_ready_ns = ready_ns + int(length_bytes * 1e9 / bytes_per_s) if bytes_per_s else ready_ns
        bus = self.bus
        if not bus.bytes_per_s:
            self.done_ns = last_ready_ns
            return
        if length_bytes <= PACKET_BYTES:
            self.done_ns = max(last_ready_ns, asked_ns)
            return
        self.piece_bytes = length_bytes
        self.begin_ns = asked_ns - TURNAROUND_NS
        self.asked_ns = asked_ns
        self.ready_ns = ready_ns
        self.last_ready_ns = last_ready_ns
        self.bytes_per_s = bytes_per_s
        bus.add(self)

    def serve_others(self) -> None:
        """Have all pieces landed that were over before this one. It may be done later after that."""
        if self.piece_bytes and self.bus.is_shared:
            self.bus.serve_before(self)

    def land(self) -> None:
        """The piece has crossed and was taken at the other end."""
        if self.piece_bytes:
            self.bus.remove(self, True)
            self.piece_bytes = 0

    def give_up(self) -> None:
        """The piece is not wanted any more."""
        if self.piece_bytes:
            self.bus.remove(self, False)
            self.piece_bytes = 0

    def exists(self, at_ns: int) -> float:
        """Bytes of the piece that the camera has made by `at_ns`."""
        if at_ns >= self.last_ready_ns:
            return float(self.piece_bytes)
        return max(0.0, (at_ns - self.ready_ns) * self.bytes_per_s / 1e9)


def _done_ns(flow: Flow) -> int:
    return flow.done_ns


def _shares(total: float, wants: dict[int, float], other: float) -> dict[int, float]:
    """Max-min fair shares of `total` for flows that can use `wants`, beside other traffic that wants `other`."""
    shares: dict[int, float] = {}
    waiting = sorted([*wants.items(), *([(-1, other)] if other else [])], key=lambda item: item[1])
    for position, (index, want) in enumerate(waiting):
        share = min(want, total / (len(waiting) - position))
        total -= share
        if index >= 0:
            shares[index] = share
    return shares


def fair_shares(spec: BusSpec, wants: list[float]) -> list[float]:
    """What each of several cameras gets that want so many bytes/s, all the time."""
    capped = {index: min(want, spec.port_bytes_per_s) for index, want in enumerate(wants)}
    shares = _shares(spec.bytes_per_s, {i: w for i, w in capped.items() if w > 0}, spec.other_bytes_per_s)
    return [shares.get(index, 0.0) for index in range(len(wants))]
