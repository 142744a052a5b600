"""The control channel: one GenCP command in, its acknowledge out, strictly one at a time.

State: the acknowledges waiting to be read, each with the instant from which it may go (PENDING_ACKs before a late
one), and until when a slow command is busy. Always true:

- a well-formed command drops an acknowledge that nobody has read;
- a slow command is not interrupted: another one gets BUSY, the same one again a PENDING_ACK;
- two commands are the same if all their bytes are, not only their request ids;
- bytes without a whole header of the right prefix get no answer and change nothing.

USB3 Vision has no resends (flags 0xC000): they are answered A001, whatever their id. docs/decisions says which of
GenCP's rules were taken over, and why.
"""

from collections import deque

from u3v.errors import GenCPError, Malformed, Status
from u3v.function import InTransfer, Lease
from u3v.memory import Memory
from u3v.wire import gencp

MAX_TRANSFER_BYTES = 1024
"""Longest command and acknowledge, header included (1024 is what common cameras have)."""
PENDING_MARGIN_MS = 20


class ControlChannel:
    """`response_time_ms` is what the ABRM announces, `transfer_bytes` the longest command and acknowledge of the SBRM;
    `extra_delay_ms` makes every answer that much later."""

    def __init__(
        self, memory: Memory, response_time_ms: int, transfer_bytes: int = MAX_TRANSFER_BYTES
    ) -> None:
        self.extra_delay_ms = 0
        self._memory = memory
        self._transfer_bytes = transfer_bytes
        self._response_time_ms = response_time_ms
        self._outbox: deque[tuple[int, bytes]] = deque()
        self._busy_until_ns = 0
        self._busy_with = b""
        self._busy_answer = b""
        self._lease = Lease()

    def receive(self, packet: memoryview, now_ns: int) -> None:
        """Execute one command transfer. Malformed ones are dropped without an answer."""
        try:
            command = gencp.parse_command(packet)
        except Malformed:
            return
        if now_ns < self._busy_until_ns:
            self._answer_while_busy(command, bytes(packet), now_ns)
            return
        self.flush()
        if command.resend:
            ack = gencp.pack_ack(Status.RESEND_NOT_SUPPORTED, command.command_id | 1, command.request_id)
            busy_ms = 0
        else:
            ack, busy_ms = self._execute(command, packet)
        busy_ms += self.extra_delay_ms
        if busy_ms:
            self._busy_until_ns = now_ns + busy_ms * 1_000_000
            self._busy_with = bytes(packet)
        if command.wants_ack:
            self._schedule(ack, command.request_id, now_ns, busy_ms)

    def next_transfer(self, now_ns: int) -> InTransfer | None:
        """The acknowledge that may go now; None: there is none, or it is not due."""
        if self._busy_answer:
            answer, self._busy_answer = self._busy_answer, b""
            return InTransfer(memoryview(answer), lease=self._lease)
        if not self._outbox or self._outbox[0][0] > now_ns:
            return None
        return InTransfer(memoryview(self._outbox.popleft()[1]), lease=self._lease)

    def next_wakeup_ns(self, now_ns: int) -> int | None:
        """When the next acknowledge becomes due. One that is due already waits for the host, not for time."""
        return self._outbox[0][0] if self._outbox and self._outbox[0][0] > now_ns else None

    def flush(self) -> None:
        """No acknowledge of an earlier command is sent any more."""
        self._outbox.clear()
        self._busy_until_ns = 0
        self._busy_answer = b""
        self._lease.ended = True
        self._lease = Lease()

    def _answer_while_busy(self, command: gencp.Command, packet: bytes, now_ns: int) -> None:
        """The same command again is told to wait; another one is not executed (GenCP 1.3.1, clause 3.1)."""
        if not command.wants_ack:
            return
        left_ms = -(-(self._busy_until_ns - now_ns) // 1_000_000)
        if packet == self._busy_with:
            answer = gencp.pack_pending_ack(command.request_id, min(left_ms + PENDING_MARGIN_MS, 0xFFFF))
        else:
            answer = gencp.pack_ack(Status.BUSY, command.command_id | 1, command.request_id)
        self._busy_answer = answer

    def _execute(self, command: gencp.Command, packet: memoryview) -> tuple[bytes, int]:
        try:
            gencp.check_header(packet)
            if command.command_id == gencp.READMEM_CMD:
                read = gencp.parse_readmem(command.scd)
                longest = self._transfer_bytes - gencp.HEADER_BYTES
                if not 0 < read.count <= longest:
                    raise GenCPError(Status.INVALID_PARAMETER, f"count {read.count} is not 1..{longest}")
                data = self._memory.host_read(read.address, read.count)
                return gencp.pack_ack(Status.SUCCESS, gencp.READMEM_ACK, command.request_id, data), 0
            if command.command_id == gencp.WRITEMEM_CMD:
                write = gencp.parse_writemem(command.scd)
                if len(packet) > self._transfer_bytes:
                    raise GenCPError(Status.INVALID_PARAMETER, f"command of {len(packet)} bytes")
                if command.request_id == 0:
                    raise GenCPError(Status.INVALID_PARAMETER, "request id 0 is for reads only")
                busy_ms = self._memory.host_write(write.address, bytes(write.data))
                return gencp.pack_write_ack(command.request_id, len(write.data)), busy_ms
            raise GenCPError(Status.NOT_IMPLEMENTED, f"command {command.command_id:#06x}")
        except GenCPError as error:
            return gencp.pack_ack(error.status, command.command_id | 1, command.request_id), 0

    def _schedule(self, ack: bytes, request_id: int, now_ns: int, busy_ms: int) -> None:
        """Announce a late acknowledge by PENDING_ACKs, each before the host's patience ends."""
        at_ms, patience_ms = 0, max(self._response_time_ms - PENDING_MARGIN_MS, 1)
        while busy_ms - at_ms > patience_ms:
            at_ms += patience_ms
            wait_ms = min(busy_ms - at_ms + PENDING_MARGIN_MS, 0xFFFF)
            self._outbox.append((now_ns + at_ms * 1_000_000, gencp.pack_pending_ack(request_id, wait_ms)))
            patience_ms = max(wait_ms - PENDING_MARGIN_MS, 1)
        self._outbox.append((now_ns + busy_ms * 1_000_000, ack))
