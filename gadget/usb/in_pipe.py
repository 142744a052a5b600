"""Host requests (URBs) parked on IN endpoints, and how transfers become packets.

The one place that knows packets: a host's IN request is over when it is full or when a packet shorter than
wMaxPacketSize arrives (USB 2.0 clause 5.8.3). State of an `InPipe`: the parked requests, oldest first; the
transfer being sent and how much of it has gone; the piece now crossing the link. Always true: only the
oldest request receives data, a piece of data goes to exactly one request, and data that no request has
taken stays (NAK). A request is found, parked and taken back in constant time, wherever it stands in line.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from gadget.budget.bus import Flow
from u3v.errors import Stall
from u3v.function import Function, InTransfer, Lease

OK = 0
EPIPE = -32
EPROTO = -71
ECONNRESET = -104
ESHUTDOWN = -108
EOVERFLOW = -75
EINVAL = -22

_NOTHING = memoryview(b"")


@dataclass(slots=True, eq=False)
class Urb:
    """One request of the host, and its answer.

    `endpoint` has the direction bit (0x80: IN). `length`: bytes the host takes (IN). `data`: bytes it sends
    (OUT). `setup`: the 8 setup bytes, endpoint 0 only. `tag`: whatever the transport needs to answer it.
    Answer: `status` (0 or a negative Linux errno) and `chunks`, the views whose bytes are the IN data.

    `holds`: set by a transport that puts the answer into a kernel's queue; `taken` then has what is to be called once
    the host has read it from there. `lease`: until when the device stands by it.
    """

    endpoint: int
    length: int
    data: memoryview = _NOTHING
    setup: bytes = b""
    tag: object = None
    status: int = OK
    chunks: list[memoryview] = field(default_factory=list)
    actual: int = 0
    submitted_ns: int = 0
    holds: bool = False
    taken: list[Callable[[], None]] = field(default_factory=list)
    lease: Lease | None = None

    def finish(self, status: int) -> None:
        self.status = status

    def take_chunks(self) -> list[memoryview]:
        """The IN data, once. The request keeps no view of it, however long the transport keeps the request."""
        chunks, self.chunks = self.chunks, []
        return chunks

    def take_back(self) -> None:
        """Forget what has come so far: no host has seen it."""
        self.chunks, self.taken = [], []
        self.actual, self.lease = 0, None


def ended_by_zero_packet(urb: Urb, max_packet: int) -> bool:
    """Whether only an empty packet tells the host that this answer is over: it fills its packets, but not the
    request."""
    return urb.actual < urb.length and urb.actual % max_packet == 0


class _Piece(NamedTuple):
    """What crosses the link for the oldest request: the next `length` bytes of the transfer.

    `ends_with`: the status that the request ends with once they are there; None: it waits for more.
    """

    length: int
    ends_with: int | None


class InPipe:
    """One IN endpoint of a device."""

    def __init__(self, endpoint: int, function: Function, max_packet: int, flow: Flow) -> None:
        self.endpoint = endpoint
        self.halted = False
        self._function = function
        self.max_packet = max_packet
        self.flow = flow
        self._parked: OrderedDict[Urb, None] = OrderedDict()
        self._transfer: InTransfer | None = None
        self._sent = 0
        self._piece: _Piece | None = None

    @property
    def has_request(self) -> bool:
        return bool(self._parked)

    def park(self, urb: Urb) -> bool:
        """Take a request. True: it waits behind others, so there is nothing to be done for it yet."""
        is_behind = bool(self._parked)
        self._parked[urb] = None
        return is_behind

    def unlink(self, urb: Urb) -> bool:
        """Take a request back. What already reached it is lost with it, as on a bus."""
        if urb not in self._parked:
            return False
        if self._oldest() is urb:
            self._piece = None
            self.flow.give_up()
        del self._parked[urb]
        urb.finish(ECONNRESET)
        return True

    def flush(self) -> None:
        """Forget the transfer being sent (clear-halt, reset, taken back by the device)."""
        self._transfer = None
        self._sent = 0
        self._piece = None
        self.flow.give_up()

    def take_all(self, status: int) -> list[Urb]:
        """End every parked request with `status` and hand them back."""
        ended = list(self._parked)
        self._parked.clear()
        self.flush()
        for urb in ended:
            urb.finish(status)
        return ended

    def next_wakeup_ns(self) -> int | None:
        return None if self._piece is None else self.flow.done_ns

    def pump(self, now_ns: int, complete: Callable[[Urb], None]) -> None:
        """Move data to the parked requests for as long as the device has some and the link lets it."""
        while self._has_crossed(now_ns, complete):
            self.flow.serve_others()
            if now_ns < self.flow.done_ns:
                return
            self._land(complete)

    def take_turn(self, at_ns: int, complete: Callable[[Urb], None]) -> bool:
        """Land the piece that was over at `at_ns` and put the next on the link: the bus serves its flows in
        order and says when. False where the piece stays (the bus would ask again for ever)."""
        before = self._piece
        while self._has_crossed(at_ns, complete):  # more than once only for pieces that take no time
            self._land(complete)
        return self._piece is not before

    def _oldest(self) -> Urb:
        return next(iter(self._parked))

    def _has_crossed(self, now_ns: int, complete: Callable[[Urb], None]) -> bool:
        """Keep a piece on the link while there are data and requests; whether it has crossed by `now_ns`."""
        if self._transfer is not None and self._transfer.lease is not None and self._transfer.lease.ended:
            self.flush()
        while self._parked and self._piece is None:
            if self.halted:
                urb, _ = self._parked.popitem(last=False)
                urb.finish(EPIPE)
                complete(urb)
            elif not self._start(self._oldest(), now_ns):
                return False
        return self._piece is not None and now_ns >= self.flow.done_ns

    def _start(self, urb: Urb, now_ns: int) -> bool:
        """Put the next piece for `urb` on the link, or halt. False: the device has nothing (NAK)."""
        if urb.holds and urb.lease is not None and urb.lease.ended:
            urb.take_back()
        if self._transfer is None:
            try:
                self._transfer = self._function.transfer_in(self.endpoint, now_ns)
            except Stall:
                self.halted = True
                return True
            if self._transfer is None:
                return False
            self._sent = 0
        transfer = self._transfer
        self._piece = piece = self._cut(transfer, urb.length - urb.actual)
        ready_ns, rate = transfer.ready_ns, transfer.bytes_per_s
        if rate:
            ready_ns += int(self._sent * 1e9 / rate)
        self.flow.begin(piece.length, urb.submitted_ns, ready_ns, rate)
        return True

    def _cut(self, transfer: InTransfer, room: int) -> _Piece:
        """What of the transfer goes to a request with `room` bytes left."""
        rest = len(transfer.data) - self._sent
        if rest <= room:
            over = transfer.ends or rest == room or rest % self.max_packet != 0
            return _Piece(rest, OK if over else None)
        if room % self.max_packet == 0:
            return _Piece(room, OK)
        return _Piece(room, EOVERFLOW)  # babble: of the packet that does not fit, the rest is lost

    def _land(self, complete: Callable[[Urb], None]) -> None:
        """The piece has arrived at the oldest request."""
        transfer, piece, urb = self._transfer, self._piece, self._oldest()
        assert transfer is not None and piece is not None
        self._piece = None
        self.flow.land()
        if piece.length:
            urb.chunks.append(transfer.data[self._sent : self._sent + piece.length])
        urb.lease = transfer.lease
        urb.actual += piece.length
        self._sent += piece.length
        if piece.ends_with == EOVERFLOW:
            spill = self.max_packet - piece.length % self.max_packet
            self._sent = min(self._sent + spill, len(transfer.data))
        if self._sent >= len(transfer.data):
            self._transfer = None
            if transfer.taken is not None:
                if urb.holds:
                    urb.taken.append(transfer.taken)
                else:
                    transfer.taken()
        if piece.ends_with is not None:
            del self._parked[urb]
            urb.finish(piece.ends_with)
            complete(urb)
