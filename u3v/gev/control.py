"""GVCP's device side: commands in, acknowledges out, and who is in control.

State: the owner of the control privilege, when it was last heard, the command that keeps the camera busy, the last
write and its acknowledge. Always true: one acknowledge for each command that wants one (a second one makes pylon give
the camera up); who is not in control changes nothing; an owner that is silent for longer than its heartbeat timeout
has lost the camera.

A host that repeats itself because the camera was late has sent the same bytes twice: `datagrams` takes all that waited
in the socket and answers equal neighbours once. One that repeats a write because the acknowledge was lost gets that
acknowledge again, and nothing is done twice (a software trigger, a user set). That can be told from its id, unless the
host gives several commands the same one, as pylon does, two software triggers among them: what such a host sends is
always meant anew.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from u3v.camera import Camera
from u3v.errors import GenCPError, Malformed, Status
from u3v.gev.bootstrap import Address, Bootstrap
from u3v.happenings import Happening
from u3v.wire import gev, gvcp
from u3v.wire.gvcp import Ack, Code, Command

Peer = tuple[str, int]
"""IPv4 address and port."""
_LATE_MS = 200
"""A command that takes longer gets a PENDING_ACK: hosts wait 500 ms (Aravis) or 1 s (pylon)."""
_REPEATED_MS = 2000
"""Hosts repeat themselves after 500 ms (Aravis, viva-genicam) or 1 s (pylon)."""
_CONTROLS = gev.CCP_EXCLUSIVE | gev.CCP_CONTROL
_REGISTERS_AT_ONCE = gvcp.MAX_PAYLOAD // 4


@dataclass(frozen=True, slots=True)
class Datagram:
    """Bytes from or to a peer."""

    data: bytes
    peer: Peer


class ControlChannel:
    """`resend`: what to do with a PACKETRESEND; `act`: with an ACTION. `taken`, `released`: a host has come, or is
    gone.

    `move(address)`: FORCEIP; None: as at power-up. False where the camera cannot be there.
    """

    def __init__(
        self,
        camera: Camera,
        bootstrap: Bootstrap,
        *,
        resend: Callable[[gvcp.Resend], None],
        act: Callable[[Command, bool, int], int | None],
        move: Callable[[Address | None], bool],
        taken: Callable[[], None],
        released: Callable[[], None],
    ) -> None:
        self._camera = camera
        self._bootstrap = bootstrap
        self._resend = resend
        self._act = act
        self._move = move
        self._taken = taken
        self._released = released
        self.owner: Peer | None = None
        self._is_exclusive = self._is_open = False
        """Open: another host may take over with the key."""
        self._heard_ns = 0
        self._peer: Peer = ("", 0)
        self._late: tuple[int, Datagram] | None = None
        self._last: tuple[int, Datagram, Datagram] | None = None
        """The last write: when it came, itself, its acknowledge."""
        self._asked: tuple[int, bytes] = (0, b"")
        self._reuses_ids = False
        """The owner's last command and its id, and whether it has given one id to different commands."""
        bootstrap.when_written("CCP", check=self._check_ccp, written=self._ccp_written)
        self._commands: dict[int, Callable[[bytes], tuple[bytes, int]]] = {
            Code.DISCOVERY: lambda _payload: (self._bootstrap.discovery, 0),
            Code.READREG: self._read_registers,
            Code.READMEM: self._read_memory,
            Code.WRITEMEM: self._write_memory,
        }

    def datagrams(self, waiting: Iterable[Datagram], now_ns: int) -> Iterator[Datagram]:
        """Answers to all that came, in order."""
        last: Datagram | None = None
        for one in waiting:
            if one != last:
                yield from self._answer(one, now_ns)
            last = one

    def tick(self, now_ns: int) -> Iterator[Datagram]:
        """Acknowledges that are due now; and the owner's heartbeat is looked at."""
        if self._late is not None and now_ns >= self._late[0]:
            late, self._late = self._late[1], None
            yield late
        expires_ns = self._expires_ns()
        if expires_ns is not None and now_ns >= expires_ns:
            self._camera.happened(Happening.HEARTBEAT_TIMEOUT, expires_ns)
            self.release()

    def next_wakeup_ns(self) -> int | None:
        late_ns = None if self._late is None else self._late[0]
        return min((at for at in (late_ns, self._expires_ns()) if at is not None), default=None)

    def release(self) -> None:
        """Nobody is in control any more."""
        if self.owner is None:
            return
        self.owner = None
        self._is_exclusive = self._is_open = False
        for name in ("CCP", "Primary_Application_Port", "Primary_Application_IP"):
            self._bootstrap.set(name, 0)
        self._released()

    def _expires_ns(self) -> int | None:
        if self.owner is None or self._bootstrap.get("GVCP_Configuration") & gev.HEARTBEAT_OFF:
            return None
        return self._heard_ns + self._bootstrap.get("Heartbeat_Timeout") * 1_000_000

    # -- one command --------------------------------------------------------------------------------------

    def _answer(self, asked: Datagram, now_ns: int) -> Iterator[Datagram]:
        try:
            command = gvcp.parse_command(asked.data)
        except Malformed:
            return
        self._peer = asked.peer
        if asked.peer == self.owner:
            self._heard_ns = now_ns
            before, self._asked = self._asked, (command.request_id, asked.data)
            self._reuses_ids |= before[0] == command.request_id and before[1] != asked.data
        if command.code == Code.PACKETRESEND:  # comes from the stream's port, and nobody waits for an answer
            self._ask_again(command)
            return
        if command.code == Code.FORCEIP:
            yield from self._force_ip(command, asked.peer)
            return
        if command.code == Code.ACTION:
            status = self._act(command, self.owner is not None, now_ns)
            if status is not None and command.wants_ack:
                yield Datagram(Ack(status, command.code, command.request_id).pack(), asked.peer)
            return
        again = self._again(asked, now_ns)
        if again is not None:
            yield from again
            return
        if self._late is not None:
            ack, busy_ms = Ack(Status.BUSY, command.code, command.request_id), 0
        else:
            ack, busy_ms = self._execute(command, now_ns)
        if ack.status != Status.SUCCESS:
            self._camera.happened(Happening.COMMAND_REFUSED, now_ns)
        if not command.wants_ack:
            return
        done = Datagram(ack.pack(), asked.peer)
        if command.code in (Code.WRITEREG, Code.WRITEMEM) and not _is_keeper(command):
            self._last = now_ns, asked, done
        if busy_ms <= _LATE_MS:
            yield done
            return
        self._late = (now_ns + busy_ms * 1_000_000, done)
        waits = b"\0\0" + min(2 * busy_ms, 0xFFFF).to_bytes(2, "big")
        yield Datagram(Ack(Status.SUCCESS, Code.PENDING, command.request_id, waits).pack(), asked.peer)

    def _again(self, asked: Datagram, now_ns: int) -> tuple[Datagram, ...] | None:
        """What answers a write that its host repeats; None: it is another command, or meant anew."""
        last = self._last
        if last is None or asked.peer != last[1].peer:
            return None
        self._last = None
        if asked != last[1]:
            return None
        if self._late is not None and self._late[1] is last[2]:  # it has been told to wait
            self._last = last
            return ()
        if self._reuses_ids or now_ns - last[0] > _REPEATED_MS * 1_000_000:
            return None
        self._last = now_ns, asked, last[2]
        return (last[2],)

    def _execute(self, command: Command, now_ns: int) -> tuple[Ack, int]:
        """The acknowledge, and how long the camera is busy with it, ms."""
        self._camera.tick(now_ns)
        try:
            if self._is_exclusive and self._peer != self.owner and command.code != Code.DISCOVERY:
                raise GenCPError(Status.ACCESS_DENIED, "another host has exclusive access")
            if command.code == Code.WRITEREG:
                return self._write_registers(command)
            execute = self._commands.get(command.code)
            if execute is None:
                raise GenCPError(Status.NOT_IMPLEMENTED, f"command {command.code:#06x}")
            payload, busy_ms = execute(command.payload)
        except Malformed:
            return Ack(Status.INVALID_PARAMETER, command.code, command.request_id), 0
        except GenCPError as error:
            return Ack(error.status, command.code, command.request_id), 0
        return Ack(Status.SUCCESS, command.code, command.request_id, payload), busy_ms

    def _read_registers(self, payload: bytes) -> tuple[bytes, int]:
        wanted = gvcp.addresses(payload)
        if len(wanted) > _REGISTERS_AT_ONCE:
            raise GenCPError(Status.INVALID_PARAMETER, f"{len(wanted)} registers at once")
        return b"".join(self._read(address, 4) for address in wanted), 0

    def _read_memory(self, payload: bytes) -> tuple[bytes, int]:
        address, count = gvcp.memory_read(payload)
        if not 0 < count <= gvcp.MAX_MEMORY or count % 4:
            raise GenCPError(Status.INVALID_PARAMETER, f"{count} bytes at once")
        return payload[:4] + self._read(address, count), 0

    def _read(self, address: int, count: int) -> bytes:
        if address % 4:
            raise GenCPError(Status.BAD_ALIGNMENT, f"{address:#x} is no multiple of 4")
        return self._camera.memory.host_read(address, count)

    def _write_registers(self, command: Command) -> tuple[Ack, int]:
        busy_ms = 0
        pairs = gvcp.writes(command.payload)
        for index, (address, value) in enumerate(pairs):
            try:
                busy_ms = max(busy_ms, self._write(address, value))
            except GenCPError as error:
                done = index.to_bytes(4, "big") if len(pairs) > 1 else b""
                return Ack(error.status, command.code, command.request_id, done), 0
        return Ack(Status.SUCCESS, command.code, command.request_id, len(pairs).to_bytes(4, "big")), busy_ms

    def _write_memory(self, payload: bytes) -> tuple[bytes, int]:
        address, data = gvcp.memory_write(payload)
        if len(data) > gvcp.MAX_MEMORY or len(data) % 4:
            raise GenCPError(Status.INVALID_PARAMETER, f"{len(data)} bytes at once")
        busy_ms = self._write(address, data)
        return len(data).to_bytes(4, "big"), busy_ms

    def _write(self, address: int, data: bytes) -> int:
        if address % 4:
            raise GenCPError(Status.BAD_ALIGNMENT, f"{address:#x} is no multiple of 4")
        if self._peer != self.owner and address != gev.REGISTERS["CCP"].address:
            raise GenCPError(Status.ACCESS_DENIED, "the control privilege comes first")
        return self._camera.memory.host_write(address, data)

    # -- control ------------------------------------------------------------------------------------------

    def _check_ccp(self, raw: bytes) -> None:
        if self.owner is not None and self.owner != self._peer and not self._may_switch(raw):
            raise GenCPError(Status.ACCESS_DENIED, f"{self.owner[0]} is in control")

    def _may_switch(self, raw: bytes) -> bool:
        """Whether the host in control lets another one take over, and this one has the key."""
        wanted = int.from_bytes(raw, "big")
        key = self._bootstrap.get("Switchover_Key") & 0xFFFF
        return self._is_open and bool(wanted & _CONTROLS) and wanted >> 16 == key

    def _ccp_written(self) -> None:
        wanted = self._bootstrap.get("CCP")
        if not wanted & _CONTROLS:
            self.release()
            return
        before, self.owner = self.owner, self._peer
        self._heard_ns = self._camera.now_ns
        if before != self.owner:
            self._reuses_ids = False
        self._is_exclusive = bool(wanted & gev.CCP_EXCLUSIVE)
        self._is_open = bool(wanted & gev.CCP_SWITCHOVER) and not self._is_exclusive
        self._bootstrap.set("CCP", wanted & (_CONTROLS | gev.CCP_SWITCHOVER))
        ip, port = self._peer
        self._bootstrap.set("Primary_Application_Port", port)
        self._bootstrap.set("Primary_Application_IP", int.from_bytes(bytes(map(int, ip.split("."))), "big"))
        if before is None:
            self._taken()
        elif before != self._peer:
            self._camera.happened(Happening.PRIMARY_APPLICATION_SWITCH, self._camera.now_ns)

    # -- commands that anybody may send -------------------------------------------------------------------

    def _ask_again(self, command: Command) -> None:
        """Only for who is in control, and in the block ids that the stream has."""
        if self.owner is None or self._peer[0] != self.owner[0]:
            return
        if bool(command.flags & gvcp.EXTENDED_IDS) != self._bootstrap.layout.extended:
            return
        try:
            self._resend(gvcp.parse_resend(command))
        except Malformed:
            return

    def _force_ip(self, command: Command, peer: Peer) -> Iterator[Datagram]:
        payload = command.payload
        if (
            len(payload) != 56
            or payload[2:8] != self._bootstrap.mac.to_bytes(6, "big")
            or self.owner is not None
        ):
            return
        wanted = [str(IPv4Address(payload[at : at + 4])) for at in (20, 36, 52)]
        moved = self._move(None if wanted[0] == "0.0.0.0" else Address(*wanted))
        if command.wants_ack:
            status = Status.SUCCESS if moved else Status.ERROR
            yield Datagram(Ack(status, command.code, command.request_id).pack(), peer)


def _is_keeper(command: Command) -> bool:
    """A write that keeps control: hosts repeat those for ever, and each one counts."""
    keepers = (gev.REGISTERS["CCP"].address, gev.REGISTERS["Heartbeat_Timeout"].address)
    return int.from_bytes(command.payload[:4], "big") in keepers
