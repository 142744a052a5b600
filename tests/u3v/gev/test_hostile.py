"""Hosts and strangers that send anything to a GigE camera: mutated and made-up datagrams, replays, floods.

What must hold after every single one: no exception; at most one answer, to whoever asked, no longer than the standard
allows; what was refused, or came from a stranger, changed nothing. And in the end the camera streams a correct frame.

`--fuzz-cases N` says how many; a failure names the case and its bytes. The same N gives the same cases.
"""

import gc
import random
import struct
from pathlib import Path

import pytest

from tests.u3v.gev.host import CCP, HOST, STRANGER, Host
from tests.u3v.gev.transcript import CODES, Registers, command, parse
from tests.u3v.rig import MS, picture
from tests.u3v.test_hostile import mutated
from u3v.errors import Status
from u3v.features import Command
from u3v.gev.control import Datagram, Peer
from u3v.gev.stream import apart
from u3v.wire import gvcp

MODELS = ("acA4096-11gm", "VCXG-124M")
STREAM = ("10.0.0.5", 50000)
"""The host's other socket: PACKETRESEND comes from there."""
LONGEST = 8 + 4 + 536
"""READMEM's answer; a discovery's is 256 bytes long."""
STATUSES = {int(status) for status in Status} | {gvcp.OVERFLOW, gvcp.ACTION_LATE}
WRITES = {0x82, 0x86}
SIZE = 64 * 30
EXCLUSIVE = 1


def corpus(host: Host) -> list[bytes]:
    """What real hosts said, a write to every feature, and a command of each kind."""
    registers = Registers(host.camera.features)
    files = sorted(Path(__file__).with_name("transcripts").glob("*.txt"))
    lines = [line for file in files for line in parse(file.read_text()) if line.name in CODES]
    made = [command(line, registers) for line in lines if all(known(registers, word) for word in line.words)]
    for feature in host.camera.features:
        at = host.camera.features.address[feature.name]
        size = min(feature.size, 64)
        value = b"\1\0\0\0" if isinstance(feature, Command) else bytes(size)
        made.append(datagram(0x86, struct.pack(">I", at) + value))
        made.append(datagram(0x84, struct.pack(">IHH", at, 0, size)))
    mac = host.function.bootstrap.mac.to_bytes(6, "big")
    made.append(datagram(0x04, b"\0\0" + mac + bytes(12) + bytes(range(36))))
    made.append(datagram(0x100, bytes(12)))
    made.append(datagram(0x100, bytes(19) + b"\1", flags=0x81))
    for flags, payload in (
        (0, struct.pack(">HHII", 0, 1, 0, 0xFFFFFF)),
        (0x10, struct.pack(">IIIQ", 0, 0, 9, 1)),
    ):
        made += 10 * [datagram(0x40, payload, flags)]
    made += [datagram(0xC1, b""), datagram(0x89, bytes(4)), datagram(0x02, b"", 0x19)]
    return made


def known(registers: Registers, word: str) -> bool:
    """Names of the one maker are not those of the other."""
    try:
        registers.address(word.partition("=")[0])
    except KeyError:
        return not word.startswith("@")
    except ValueError:
        return True
    return True


def datagram(code: int, payload: bytes, flags: int = 1) -> bytes:
    return struct.pack(">BBHHH", 0x42, flags, code, len(payload), 7) + payload


class Attacker:
    def __init__(self, model: str, seed: int, *, paced: bool) -> None:
        self.rng = random.Random(seed)
        self.host = Host(model, paced=paced)
        self.camera, self.function = self.host.camera, self.host.function
        self.corpus = corpus(self.host)
        self.last = b""
        self.seen: set[int] = set()
        self.control()

    def control(self) -> None:
        """The real host has the camera (again), and streams."""
        function = self.function
        if function.control._late is not None:  # a command keeps it busy
            self.host.wait(60_000 * MS)
        if function.control.owner == HOST and self.host.read(CCP) == [2] and self.camera.acquisition.active:
            return
        if function.control.owner != HOST:  # a camera that was reset is anybody's
            function.control.release()
        self.host.write(CCP, 0)
        self.host.start()

    def made(self) -> bytes:
        """A datagram that is nearly right: its length field most often is."""
        raw = (
            mutated(self.rng, self.rng.choice(self.corpus))
            if self.rng.random() < 0.9
            else self.rng.choice(self.corpus)
        )
        if len(raw) >= 8 and self.rng.random() < 0.8:
            raw = b"\x42" + raw[1:4] + (len(raw) - 8).to_bytes(2, "big") + raw[6:]
        return raw

    def state(self) -> tuple[object, ...]:
        control = self.function.control
        regions = [bytes(region.data) for region in self.camera.memory._regions if region.name != "XML file"]
        return regions, control.owner, self.camera.frames.enabled, self.camera.acquisition.active

    def case(self) -> None:
        peer: Peer = self.rng.choice((HOST, HOST, STRANGER, STREAM))
        self.last = raw = self.made()
        writes = raw[2:4] in (b"\0\x82", b"\0\x86")
        before = self.state() if writes else ()
        version, owner = self.camera.memory.version, self.function.control.owner
        waiting = [Datagram(raw, peer)] * self.rng.choice((1, 1, 1, 3))
        answers = self.function.datagrams(waiting, self.host.now_ns)
        assert len(answers) <= 1, answers
        status = self.judged(raw, answers[0], peer) if answers else -1
        if peer == STRANGER and owner not in (None, STRANGER):
            assert (version, owner) == (self.camera.memory.version, self.function.control.owner)
            assert not writes or before == self.state()
        elif writes and status not in (-1, 0) and len(answers[0].data) == 8:
            assert before == self.state()

    def judged(self, raw: bytes, answer: Datagram, peer: Peer) -> int:
        """The status of an answer."""
        status, code, length, request_id = struct.unpack_from(">HHHH", answer.data)
        assert answer.peer == peer and len(answer.data) == 8 + length <= LONGEST
        assert raw[0] == 0x42 and raw[1] & 1 and request_id == int.from_bytes(raw[6:8], "big") != 0
        assert code in (int.from_bytes(raw[2:4], "big") + 1, 0x89) and status in STATUSES
        self.seen.add(status)
        return int(status)

    def go_on(self) -> None:
        """Time passes, packets and events leave; late acknowledges come once."""
        host = self.host
        late = host.wait(self.rng.choice((0, MS // 10, MS, 7 * MS)))
        assert len(late) <= 1
        packets = apart(self.function.packets(host.now_ns, 64))
        assert len(packets) <= 512 and all(len(packet) <= 9014 for packet in packets)
        assert len(self.function.events(host.now_ns)) <= 512
        self.function.event.acknowledged(self.last)
        assert len(self.function.stream._wanted) <= 4096


def assert_streams(attacker: Attacker) -> None:
    """The next host gets what it asks for: the right pixels, whole blocks, counting ids."""
    host, camera = attacker.host, attacker.camera
    attacker.function.control.release()
    assert host.write(CCP, 2) == 0
    host.press("DeviceReset")
    host.wait(1000 * MS)
    for name, value in (("Width", 64), ("Height", 30), ("ExposureTime", 100.0)):
        camera.features.host_set(name, value)
    camera.acquisition.paced = False
    host.painted.exposures.clear()
    host.start()
    blocks = host.blocks(3)
    first = host.painted.exposures[0].index
    for index, block in enumerate(blocks):
        assert {packet.block for packet in block} == {index + 1}
        assert b"".join(p.data for p in block if p.kind == 3) == picture(first + index, SIZE)


@pytest.fixture
def cases(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--fuzz-cases"))


@pytest.mark.parametrize("paced", [True, False])
@pytest.mark.parametrize("model", MODELS)
def test_fuzzed_datagrams(cases: int, model: str, paced: bool) -> None:
    attacker = Attacker(model, 7 + paced, paced=paced)
    count = cases // 4
    objects = 0
    for number in range(count):
        try:
            attacker.case()
            attacker.go_on()
            if number % 50 == 0:
                attacker.control()
        except Exception as error:
            pytest.fail(f"case {number}, {attacker.last.hex(' ')}: {error!r}")
        if number % max(count // 10, 1) == 0:
            attacker.host.painted.exposures.clear()
            now = len(gc.get_objects())
            objects = objects or now
            assert now < objects + 20_000, f"after case {number} there are {now} objects, {objects} before"
    if count > 5_000:
        assert {0x0000, 0x8001, 0x8002, 0x8003, 0x8004, 0x8005, 0x8006} <= attacker.seen
    assert_streams(attacker)


@pytest.mark.parametrize("model", MODELS)
def test_a_strangers_replay_of_all_that_a_host_said_changes_nothing(model: str) -> None:
    attacker = Attacker(model, 1, paced=True)
    before = attacker.camera.memory.version, attacker.function.control.owner
    for raw in attacker.corpus:
        (*answers,) = attacker.function.datagrams([Datagram(raw, STRANGER)], attacker.host.now_ns)
        assert len(answers) <= 1 and all(answer.peer == STRANGER for answer in answers)
        if answers and int.from_bytes(raw[2:4], "big") in WRITES:
            assert answers[0].data[:2] == bytes.fromhex("8006")
    assert before == (attacker.camera.memory.version, attacker.function.control.owner)


def test_an_oversize_or_foreign_datagram_is_not_answered() -> None:
    host = Host()
    beat = datagram(0x82, struct.pack(">II", CCP, 2))
    for raw in (b"", beat[:7], b"\x43" + beat[1:], beat + b"\0", beat[:-1], beat + bytes(2000), bytes(65507)):
        assert host.function.datagrams([Datagram(raw, HOST)], 0) == []
    longest = datagram(0x86, struct.pack(">I", 0xE8) + bytes(540))
    assert [a.data[:2] for a in host.function.datagrams([Datagram(longest, HOST)], 0)] == [
        bytes.fromhex("8002")
    ]


def test_a_flood_is_answered_in_turn_and_the_owner_keeps_the_camera() -> None:
    attacker = Attacker(MODELS[0], 3, paced=True)
    host = attacker.host
    for number in range(300):
        spoofed = [
            Datagram(datagram(0x80, struct.pack(">I", CCP)), (f"10.9.{number % 256}.{n}", 1 + n))
            for n in range(1, 64)
        ]
        answers = host.function.datagrams(spoofed, host.now_ns)
        assert [a.peer for a in answers] == [one.peer for one in spoofed]
        host.wait(MS)
        host.packets()
        if number % 100 == 0:
            assert host.read(CCP) == [2]
    assert attacker.function.control.owner == HOST
