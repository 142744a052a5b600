"""Host requests (URBs) parked on IN endpoints, and how transfers become packets.

The one place that knows packets: a host's IN request is over when it is full or when a packet shorter than
wMaxPacketSize arrives (USB 2.0 clause 5.8.3). State of an `InPipe`: the parked requests, oldest first; the
transfer being sent and how much of it has gone; the piece now crossing the link. Always true: only the
oldest request receives data, a piece of data goes to exactly one request, and data that no request has
taken stays (NAK).
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from gadget.budget.bus import Flow
from u3v.errors import Stall
from u3v.function import Function, InTransfer

OK = 0
EPIPE = -32
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

    def finish(self, status: int) -> None:
        self.status = status

    def take_chunks(self) -> list[memoryview]:
        """The IN data, once. The request keeps no view of it, however long the transport keeps the request."""
        chunks, self.chunks = self.chunks, []
        return chunks


class InPipe:
    """One IN endpoint of a device."""

    def __init__(self, endpoint: int, function: Function, max_packet: int, flow: Flow) -> None:
        self.endpoint = endpoint
        self.halted = False
        self._function = function
        self._max_packet = max_packet
        self.flow = flow
        self._parked: deque[Urb] = deque()
        self._transfer: InTransfer | None = None
        self._sent = 0
        self._crossing = 0  # bytes of the transfer now on the link, for the oldest request
        self._crossing_status: int | None = None

    @property
    def has_request(self) -> bool:
        return bool(self._parked)

    def park(self, urb: Urb) -> None:
        self._parked.append(urb)

    def unlink(self, urb: Urb) -> bool:
        """Take a request back. What already reached it is lost with it, as on a bus."""
        if urb not in self._parked:
            return False
        if self._parked[0] is urb:
            self._crossing_status = None
            self.flow.give_up()
        self._parked.remove(urb)
        urb.finish(ECONNRESET)
        return True

    def flush(self) -> None:
        """Forget the transfer being sent (clear-halt, reset, taken back by the device)."""
        self._transfer = None
        self._sent = 0
        self._crossing_status = None
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
        return self.flow.done_ns if self._crossing_status is not None else None

    def pump(self, now_ns: int, complete: Callable[[Urb], None]) -> None:
        """Move data to the parked requests for as long as the device has some and the link lets it."""
        if self._transfer is not None and self._transfer.lease is not None and self._transfer.lease.ended:
            self.flush()
        while self._parked:
            urb = self._parked[0]
            if self.halted:
                self._parked.popleft()
                urb.finish(EPIPE)
                complete(urb)
                continue
            if self._crossing_status is None and not self._start(urb, now_ns, complete):
                return
            if self._crossing_status is None:
                continue
            if now_ns < self.flow.done_ns:
                return
            self.flow.serve_others()
            if now_ns < self.flow.done_ns:
                return
            self._land(urb, complete)

    def _start(self, urb: Urb, now_ns: int, complete: Callable[[Urb], None]) -> bool:
        """Put the next piece for `urb` on the link. False: the device has nothing (NAK)."""
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
        room = urb.length - urb.actual
        rest = len(transfer.data) - self._sent
        if rest <= room:
            self._crossing = rest
            over = transfer.ends or rest == room or rest % self._max_packet != 0
            self._crossing_status = OK if over else 1  # 1: landed, but the request goes on
        elif room % self._max_packet == 0:
            self._crossing, self._crossing_status = room, OK
        else:  # the packet that does not fit is babble: the host gets what fits, the rest of it is lost
            self._crossing, self._crossing_status = room, EOVERFLOW
        ready_ns, rate = transfer.ready_ns, transfer.bytes_per_s
        if rate:
            ready_ns += int(self._sent * 1e9 / rate)
        self.flow.begin(self._crossing, urb.submitted_ns, ready_ns, rate)
        return True

    def _land(self, urb: Urb, complete: Callable[[Urb], None]) -> None:
        transfer, status = self._transfer, self._crossing_status
        assert transfer is not None and status is not None
        self._crossing_status = None
        self.flow.land()
        if self._crossing:
            urb.chunks.append(transfer.data[self._sent : self._sent + self._crossing])
        urb.actual += self._crossing
        self._sent += self._crossing
        if status == EOVERFLOW:
            spill = self._max_packet - self._crossing % self._max_packet
            self._sent = min(self._sent + spill, len(transfer.data))
        if self._sent >= len(transfer.data):
            self._transfer = None
            if transfer.taken is not None:
                transfer.taken()
        if status != 1:
            self._parked.popleft()
            urb.finish(status)
            complete(urb)
