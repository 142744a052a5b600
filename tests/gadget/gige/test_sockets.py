"""A camera's sockets, stepped by hand on loopback, on a clock of the test's (gN: numbers of the host checklist)."""

import os
import socket
import struct
import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from gadget.gige import server as module
from gadget.gige.server import GigeServer
from gadget.time.loop import Loop
from tests.u3v.gev.host import CCP, SCDA, SCP, SCPS, SCSP
from tests.u3v.gev.host import Host as Wire
from tests.u3v.rig import MS
from u3v.errors import Mistake
from u3v.gev.bootstrap import Address

PID = os.getpid()
HERE = f"127.90.{PID >> 8 & 0xFF}.{PID & 0xFF}"
"""Processes that run tests at the same time do not get in each other's way."""
HOST, ELSEWHERE = HERE.replace(".90.", ".91."), HERE.replace(".90.", ".92.")
GROUP = "239.192.1.9"


class Rig:
    def __init__(self, model: str = "acA4096-11gm") -> None:
        self.now_ns = 0
        self.loop = Loop(lambda: self.now_ns)
        wire = Wire(model, address=Address(HERE))
        self.camera, self.painted = wire.camera, wire.painted
        self.server = GigeServer(self.loop, wire.function)
        self.sockets: list[socket.socket] = []
        self.control, self.stream = self.open(), self.open()
        self._id = 0

    def open(self) -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((HOST, 0))
        made.setblocking(False)
        self.sockets.append(made)
        return made

    def receive(self, one: socket.socket, rounds: int = 200) -> tuple[bytes, tuple[str, int]]:
        """The next datagram and where it came from; the camera's clock goes on meanwhile."""
        for _ in range(rounds):
            try:
                return one.recvfrom(65536)
            except BlockingIOError:
                self.now_ns += MS // 10
                self.loop.step(0.02)
        raise AssertionError("nothing came")

    def ask(
        self, code: int, payload: bytes = b"", to: str = HERE, flags: int = 1, rounds: int = 200
    ) -> tuple[bytes, tuple[str, int]]:
        self._id += 1
        command = struct.pack(">BBHHH", 0x42, flags, code, len(payload), self._id) + payload
        self.control.sendto(command, (to, 3956))
        answer, source = self.receive(self.control, rounds)
        assert answer[6:8] == self._id.to_bytes(2, "big")
        return answer, source

    def read(self, address: int) -> int:
        return int.from_bytes(self.ask(0x80, struct.pack(">I", address))[0][8:], "big")

    def write(self, address: int, value: int) -> int:
        return int.from_bytes(self.ask(0x82, struct.pack(">II", address, value))[0][:2], "big")

    def start(self, to: str = HOST, port: int = 0) -> None:
        for address, value in (
            (CCP, 2),
            (SCPS, 576),
            (SCDA, int.from_bytes(socket.inet_aton(to), "big")),
            (SCP, port or self.stream.getsockname()[1]),
        ):
            assert self.write(address, value) == 0
        assert self.write(self.camera.features.address["AcquisitionStart"], 0x01000000) == 0

    def close(self) -> None:
        for one in self.sockets:
            one.close()
        self.server.close()
        self.loop.close()


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.close()


@pytest.mark.parametrize(
    "to", [HERE, "127.255.255.255", "255.255.255.255"], ids=["to it", "to its network", "to all"]
)
def test_g5_g7_discovery_is_answered_from_the_cameras_own_address(rig: Rig, to: str) -> None:
    """Whichever way it was asked. (Limited broadcasts of a socket that is bound to loopback stay there.)"""
    rig.control.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    rig._id += 1
    rig.control.sendto(struct.pack(">BBHHH", 0x42, 0x11, 2, 0, 0xFFFF), (to, 3956))
    while True:  # other processes' cameras may hear it, too
        answer, source = rig.receive(rig.control)
        if source[0] == HERE:
            break
    assert source == (HERE, 3956) and len(answer) == 256
    assert answer[8 + 36 : 8 + 40] == socket.inet_aton(HERE)


def test_g21_what_opens_a_firewall_is_ignored(rig: Rig) -> None:
    rig.start()
    block = rig.receive(rig.stream)[0][2:4]
    before = rig.read(CCP), rig.camera.memory.version
    rig.stream.sendto(bytes(16), (HERE, rig.read(SCSP)))
    while rig.receive(rig.stream)[0][2:4] == block:
        pass
    assert (rig.read(CCP), rig.camera.memory.version) == before


def test_a_camera_that_is_closed_does_not_move(rig: Rig) -> None:
    rig.server.move_soon(ELSEWHERE)
    rig.server.close()
    rig.loop.step(0)
    assert rig.server._sockets == []


def test_g50_commands_are_answered_while_frames_flow(rig: Rig) -> None:
    rig.start()
    for _ in range(20):
        rig.receive(rig.stream)
        began_ns = rig.now_ns
        assert rig.read(CCP) == 2
        assert rig.now_ns - began_ns < 10 * MS


@pytest.mark.parametrize("watched", [True, False])
def test_g44_the_kernel_cuts_nothing_where_somebody_reads_packet_sockets(
    monkeypatch: pytest.MonkeyPatch, watched: bool
) -> None:
    monkeypatch.setattr(module, "_is_watched", lambda: watched)
    runs: list[int] = []
    send: Callable[..., None] = GigeServer._send_packets
    monkeypatch.setattr(
        GigeServer, "_send_packets", lambda self, one, to: (runs.append(one.count), send(self, one, to))[1]
    )
    rig = Rig()
    rig.now_ns = 10_000 * MS
    try:
        rig.start()
        for _ in range(20):
            rig.receive(rig.stream)
        assert (max(runs) == 1) == watched
    finally:
        rig.close()


def test_a_host_that_never_reads_costs_frames_and_no_memory(rig: Rig) -> None:
    """What its socket has no room for is lost, as on any network; the camera goes on, counts, and answers commands."""
    rig.start()
    frames = rig.camera.frames

    def run(count: int) -> None:
        until = frames.delivered + count
        while frames.delivered < until:
            rig.now_ns += MS
            rig.loop.step(0.001)

    run(50)
    rig.painted.exposures.clear()
    tracemalloc.start()
    try:
        run(500)
        rig.painted.exposures.clear()  # which this test's pixel source keeps
        grown = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert frames.offered == frames.delivered + frames.discarded + frames.in_flight
    assert grown < 400_000 and len(rig.server._waiting) <= 128
    assert rig.read(CCP) == 2


def test_a_stream_may_go_to_a_group(rig: Rig) -> None:
    """Multicast: two programs hear the same packets."""
    port = 0
    members = []
    for _ in range(2):
        member = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        member.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        member.bind((GROUP, port))
        port = member.getsockname()[1]
        member.setsockopt(
            socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(GROUP) + socket.inet_aton(HERE)
        )
        member.setblocking(False)
        rig.sockets.append(member)
        members.append(member)
    rig.start(GROUP, port)
    seen = [[rig.receive(member)[0] for _ in range(6)] for member in members]
    assert seen[0] == seen[1] and seen[0][0][4] == 1


def force(ip: str, rig: Rig) -> bytes:
    payload = bytearray(56)
    payload[2:8] = rig.server.function.bootstrap.mac.to_bytes(6, "big")
    payload[20:24], payload[36:40] = socket.inet_aton(ip), socket.inet_aton("255.0.0.0")
    return rig.ask(0x04, bytes(payload))[0]


def test_forceip_brings_the_camera_to_another_address(rig: Rig) -> None:
    assert force(ELSEWHERE, rig)[:2] == b"\0\0"
    answer, source = rig.ask(0x02, to=ELSEWHERE)
    assert source == (ELSEWHERE, 3956) and answer[44:48] == socket.inet_aton(ELSEWHERE)
    with pytest.raises((ConnectionRefusedError, AssertionError)):
        rig.ask(0x02, to=HERE, rounds=20)


def test_forceip_to_an_address_that_this_machine_has_not(rig: Rig) -> None:
    assert force("192.0.2.1", rig)[:2] == bytes.fromhex("8fff")
    assert rig.ask(0x02)[1] == (HERE, 3956)
    payload = bytearray(56)
    payload[2:8] = rig.server.function.bootstrap.mac.to_bytes(6, "big")
    payload[20:24], payload[36:40] = socket.inet_aton(ELSEWHERE), bytes.fromhex("ff00ff01")  # no mask at all
    assert rig.ask(0x04, bytes(payload))[0][:2] == bytes.fromhex("8fff")
    assert rig.ask(0x02)[1] == (HERE, 3956)


def test_two_cameras_want_one_address(rig: Rig) -> None:
    with pytest.raises(Mistake, match="is taken"):
        GigeServer(rig.loop, Wire(address=Address(HERE)).function)


def test_a_camera_that_is_gone_is_no_clock_any_more(rig: Rig) -> None:
    domain = rig.server.function.clock.domain
    assert len(domain.clocks) == 1
    rig.server.close()
    assert domain.clocks == []
