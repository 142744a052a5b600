"""The control channel of a check: any packet out, whatever comes back, and the ordinary reads and writes on top.

Every command is entered in the run's journal with its answer, so that checks over the whole run can judge them. A
retry is never made. Times are those of the route's clock. `read` and `write` give the acknowledge, whatever it says;
`rd`, `wr` and `number` are for registers that have to work, and fail the check where they do not.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from u3v.host.bus import HostBus
from u3v.host.conformance import packets
from u3v.host.conformance.declare import Failed, Skipped
from u3v.host.conformance.endpoint0 import NO_ANSWER, TOO_MUCH, Evidence, Requests
from u3v.host.conformance.journal import Exchange, Journal
from u3v.host.conformance.packets import HEAD_BYTES, Ack
from u3v.host.conformance.route import Route
from u3v.host.conformance.watched import WatchedBus

FIRST_RESPONSE_MS = 1000
"""Maximum_Device_Response_Time as long as the camera has not told it."""
SILENCE_MS, EXTRA_MS = 200, 100
"""How long nothing has to come at least, and what is added to the camera's own time, before it counts as silence."""
MAX_PENDING, MAX_STRAYS = 64, 16
"""PENDING_ACKs of one command, and acknowledges nobody asked for, that are waited through."""
CAUGHT_UP_ID, CAUGHT_UP_AT, CAUGHT_UP_BYTES = 0xFFF0, 0x004, 64
"""The read (of Manufacturer_Name) behind which nothing old comes any more."""


class Control(Requests):
    """Set by the context: the two pipes, MDRT and the longest acknowledge. `check` is the id that runs."""

    def __init__(self, route: Route) -> None:
        super().__init__(route)
        self.journal = Journal()
        self.check = ""
        self.control_out = self.control_in = 0
        self.response_ms = FIRST_RESPONSE_MS
        self.max_ack_bytes = 128
        self.first_word = self.first_device = b""
        self._id = 0
        self._expects_trouble = False

    @property
    def bus(self) -> HostBus:
        """The route's bus; requests that end as a bad cable ends them are entered in the journal."""
        return WatchedBus(self.route.bus, self._trouble)

    def _trouble(self, what: str) -> None:
        if not self._expects_trouble:
            self.journal.troubles.append((self.check, what))

    @contextmanager
    def expecting_trouble(self) -> Iterator[None]:
        """Inside, such ends are wanted."""
        self._expects_trouble = True
        try:
            yield
        finally:
            self._expects_trouble = False

    @property
    def silence_ms(self) -> int:
        """How long nothing has to come for "silence"."""
        return max(self.response_ms, SILENCE_MS) + EXTRA_MS

    def next_id(self) -> int:
        """A fresh request id, 1..0xFFFE."""
        self._id = self._id % 0xFFFE + 1
        return self._id

    # bare packets

    def send(self, packet: bytes) -> None:
        """A bulk OUT with these bytes. Raises Failed where the camera does not take them."""
        self._need_channel()
        reply = self.bulk_out(self.control_out, packet)
        if reply.ok:
            self.page.evidence[-1] = Evidence("command", bytes(packet), packets.describe_command(packet))
        else:
            if reply.stalled:
                self.journal.stalls.append((self.check, self.control_out))
            raise Failed(f"{packets.describe_command(packet)}: {reply.error}")

    def receive(self, room: int = 0, timeout_ms: int = 0) -> Ack | None:
        """What comes next, None: nothing in time (0: MDRT and a little). Raises Failed for STALL and overflow."""
        self._need_channel()
        sent_ns = self.now_ns()
        reply = self.bulk_in(self.control_in, room or self.max_ack_bytes, timeout_ms or self._patience_ms)
        if reply.ok:
            ack = Ack(reply.data, sent_ns, self.now_ns())
            self.page.evidence[-1] = Evidence("answer", ack.raw, str(ack))
            return ack
        if reply.error == NO_ANSWER:
            return None
        if reply.stalled:
            self.journal.stalls.append((self.check, self.control_in))
        raise Failed(f"acknowledge: {reply.error}")

    def exchange(self, packet: bytes, *, room: int = 0, due: bool = True, timeout_ms: int = 0) -> Ack | None:
        """Send a packet and wait for its final acknowledge; None: there is none in time.

        `room`: bytes that the host asks for (0: the longest acknowledge). `due`: whether an answer is to be
        expected; a command that never got a due one is seen by the journal's checks.
        """
        made = Exchange(packet, self.check, self.now_ns(), due)
        self.journal.exchanges.append(made)
        self.send(packet)
        request_id = int.from_bytes(packet[10:12], "little") if len(packet) >= HEAD_BYTES else -1
        pending: tuple[Ack, ...] = ()
        while len(pending) < MAX_PENDING and len(made.strays) < MAX_STRAYS:
            try:
                came = self.receive(room, timeout_ms)
            except Failed as failed:
                made.overflow = TOO_MUCH in str(failed)
                raise
            if came is None:
                return None
            if came.whole and request_id >= 0 and came.request_id != request_id:
                made.strays += (came,)
            elif came.whole and came.command == packets.PENDING_ACK and came.status == 0:
                pending += (came,)
                timeout_ms = max(self._patience_ms, int.from_bytes(came.raw[14:16], "little") + EXTRA_MS)
            else:
                made.answer = Ack(came.raw, made.sent_ns, came.came_ns, pending)
                if due:
                    self.journal.record("response time (us)", (came.came_ns - made.sent_ns) / 1000)
                return made.answer
        return None

    def answered(self, packet: bytes, *, room: int = 0, timeout_ms: int = 0) -> Ack:
        """`exchange` for a command that has to be answered. Raises Failed."""
        ack = self.exchange(packet, room=room, timeout_ms=timeout_ms)
        if ack is None:
            raise Failed(f"{packets.describe_command(packet)}: no answer")
        if not ack.whole:
            raise Failed(f"{packets.describe_command(packet)}: {ack}")
        return ack

    # reads and writes

    def read(self, address: int, count: int, request_id: int | None = None) -> Ack:
        """READMEM; the acknowledge whatever it says. Raises Failed where none comes."""
        return self.answered(packets.readmem(self._given(request_id), address, count))

    def write(self, address: int, data: bytes, request_id: int | None = None) -> Ack:
        """WRITEMEM; the acknowledge whatever it says. Raises Failed where none comes."""
        return self.answered(packets.writemem(self._given(request_id), address, data))

    def rd(self, address: int, count: int) -> bytes:
        """Bytes that have to be readable, in as many READMEM as needed. Raises Failed."""
        step, data = max(self.max_ack_bytes - HEAD_BYTES, 4) & ~3, b""
        while len(data) < count:
            size = min(step, count - len(data))
            data += self.read_whole(address + len(data), size)
        return data

    def read_whole(self, address: int, count: int) -> bytes:
        """The data of one READMEM that has to succeed. Raises Failed."""
        ack = self.read(address, count)
        if not ack.ok or ack.command != packets.READMEM + 1 or len(ack.scd) != count:
            raise Failed(f"read of {count} bytes at {address:#x}: {ack}")
        return ack.scd

    def number(self, address: int, size: int = 4) -> int:
        """A little-endian register of `size` bytes. Raises Failed."""
        return int.from_bytes(self.rd(address, size), "little")

    def wr(self, address: int, data: bytes) -> None:
        """A write that has to succeed. Raises Failed."""
        ack = self.write(address, data)
        if not ack.ok:
            raise Failed(f"write of {data.hex(' ')} at {address:#x}: {ack}")

    def wr_number(self, address: int, value: int, size: int = 4) -> None:
        self.wr(address, value.to_bytes(size, "little"))

    @contextmanager
    def restoring(self, address: int, count: int) -> Iterator[bytes]:
        """The bytes there now; they are written back at the end, whatever happens in between."""
        before = self.rd(address, count)
        try:
            yield before
        finally:
            if self.rd(address, count) != before:
                self.wr(address, before)

    # answers that refuse

    def refused(self, ack: Ack | None, *statuses: int) -> None:
        """Raises Failed unless it is an error acknowledge in its proper form, of one of these (0: any) statuses."""
        wanted = " or ".join(f"{status:04X}" for status in statuses)
        if ack is None:
            raise Failed(f"no answer, where {wanted} is due")
        self.proper_error(ack)
        if statuses and ack.status not in statuses:
            raise Failed(f"{ack}, where {wanted} is due")

    def proper_error(self, ack: Ack) -> None:
        """Raises Failed unless it has the form of GenCP 1.3 clause 3.1.4.3: 12 bytes, prefix, length 0, odd command."""
        proper = len(ack.raw) == HEAD_BYTES and ack.prefix == packets.PREFIX and ack.length == 0
        if not proper or not ack.status & 0x8000 or not ack.command & 1:
            raise Failed(f"{ack}: no error acknowledge of 12 bytes (bytes {ack.raw.hex(' ')})")

    def alive(self) -> None:
        """Raises Failed unless the camera still answers a plain read and a plain GET_DESCRIPTOR."""
        ack = self.exchange(packets.readmem(self.next_id(), 0, 4))
        if ack is None or not ack.ok or ack.scd != (self.first_word or ack.scd):
            raise Failed(f"the camera is not alive afterwards: {ack or 'no answer to a read of register 0'}")
        reply = self.descriptor(1, 0, 18)
        if not reply.ok or reply.data != (self.first_device or reply.data):
            raise Failed(f"the camera is not alive afterwards: {reply}")

    def drain(self, timeout_ms: int = 0) -> list[Ack]:
        """Read acknowledges until none comes for so long (0: silence)."""
        came: list[Ack] = []
        while len(came) < MAX_STRAYS:
            ack = self.receive(timeout_ms=timeout_ms or self.silence_ms)
            if ack is None:
                break
            came.append(ack)
        return came

    def catch_up(self) -> None:
        """Read acknowledges until that of a read made now comes, or none comes any more: no waiting for silence."""
        self.send(packets.readmem(CAUGHT_UP_ID, CAUGHT_UP_AT, CAUGHT_UP_BYTES))
        for _ in range(MAX_STRAYS):
            ack = self.receive(timeout_ms=self.silence_ms)
            if ack is None or (ack.request_id == CAUGHT_UP_ID and len(ack.scd) == CAUGHT_UP_BYTES):
                return

    @property
    def _patience_ms(self) -> int:
        """How long an answer may take that is due: MDRT, with room for a slow host."""
        return max(2 * self.response_ms, FIRST_RESPONSE_MS)

    def _given(self, request_id: int | None) -> int:
        return self.next_id() if request_id is None else request_id

    def _need_channel(self) -> None:
        if not self.control_out or not self.control_in:
            raise Skipped("there is no control interface to talk to")
