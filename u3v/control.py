"""The control channel: one GenCP command in, its acknowledge out, strictly one at a time.

State: the acknowledge waiting to be read and when it may go, the PENDING_ACKs before it, and the last
acknowledge (for CommandResend). Always true: a new command flushes an unread acknowledge, no command is
recognised by its request id (hosts start at 0 and reuse ids), and nothing but a whole header of the right
prefix is answered at all.
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
    """`response_time_ms` is what the ABRM announces; `extra_delay_ms` makes every answer that much later."""

    def __init__(self, memory: Memory, response_time_ms: int) -> None:
        self.extra_delay_ms = 0
        self._memory = memory
        self._response_time_ms = response_time_ms
        self._outbox: deque[tuple[int, bytes]] = deque()
        self._last: tuple[int, bytes] | None = None
        self._lease = Lease()

    def receive(self, packet: memoryview, now_ns: int) -> None:
        """Execute one command transfer. Malformed ones are dropped without an answer."""
        self.flush()
        try:
            command = gencp.parse_command(packet)
        except Malformed:
            return
        if command.resend:
            ack, busy_ms = self._resend(command), 0
        else:
            ack, busy_ms = self._execute(command, packet)
            self._last = (command.request_id, ack)
        if command.wants_ack:
            self._schedule(ack, command.request_id, now_ns, busy_ms + self.extra_delay_ms)

    def next_transfer(self, now_ns: int) -> InTransfer | None:
        if not self._outbox or self._outbox[0][0] > now_ns:
            return None
        return InTransfer(memoryview(self._outbox.popleft()[1]), lease=self._lease)

    def next_wakeup_ns(self, now_ns: int) -> int | None:
        """When the next acknowledge becomes due. One that is due already waits for the host, not for time."""
        return self._outbox[0][0] if self._outbox and self._outbox[0][0] > now_ns else None

    def flush(self) -> None:
        """No acknowledge of an earlier command is sent any more."""
        self._outbox.clear()
        self._lease.ended = True
        self._lease = Lease()

    def _resend(self, command: gencp.Command) -> bytes:
        if self._last is not None and self._last[0] == command.request_id:
            return self._last[1]
        return gencp.pack_ack(Status.RESEND_NOT_SUPPORTED, command.command_id | 1, command.request_id)

    def _execute(self, command: gencp.Command, packet: memoryview) -> tuple[bytes, int]:
        try:
            gencp.check_length(packet)
            if command.command_id == gencp.READMEM_CMD:
                read = gencp.parse_readmem(command.scd)
                longest = MAX_TRANSFER_BYTES - gencp.HEADER_BYTES
                if not 0 < read.count <= longest:
                    raise GenCPError(Status.INVALID_PARAMETER, f"count {read.count} is not 1..{longest}")
                data = self._memory.host_read(read.address, read.count)
                return gencp.pack_ack(Status.SUCCESS, gencp.READMEM_ACK, command.request_id, data), 0
            if command.command_id == gencp.WRITEMEM_CMD:
                write = gencp.parse_writemem(command.scd)
                if len(packet) > MAX_TRANSFER_BYTES:
                    raise GenCPError(Status.INVALID_PARAMETER, f"command of {len(packet)} bytes")
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
