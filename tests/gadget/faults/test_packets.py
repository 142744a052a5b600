"""Faults of a network: what they do to packets and addresses, in bytes and on a fake clock."""

import itertools

import pytest

from gadget.budget.power import PowerModel
from gadget.faults.catalogue import on_wire, parse_fault
from gadget.faults.live import EthernetFaults
from gadget.faults.wrappers import ETHERNET
from gadget.usb.port import Port
from tests.u3v.gev.host import HEARTBEAT, HOST, SCPS, Host, Packet
from tests.u3v.rig import MS
from u3v.errors import Mistake
from u3v.gev.control import Datagram
from u3v.gev.stream import apart

PACKETS = 6
"""Of a block of 64 x 30 pixels: leader, four of data, trailer."""


class Cable:
    """What a port carries, as far as tests look."""

    def __init__(self) -> None:
        self.moves_ms: list[int] = []
        """Unplugged, plugged in again, and so on."""

    def unplug(self, now_ns: int) -> None:
        self.moves_ms.append(now_ns // MS)

    def replug(self, now_ns: int) -> None:
        self.moves_ms.append(now_ns // MS)


class Rig:
    """A host that hears its camera through faults."""

    def __init__(self, *faults: str) -> None:
        self.host = Host()
        self.faults = EthernetFaults(self.host.function, map(parse_fault, faults))
        self.through = self.faults.datagrams
        self.cable = Cable()
        power = PowerModel(self.host.camera.model)
        self.port = Port(self.cable, self.host.camera, power)
        self.faults.attach(lambda _ip: None, self.port)
        assert self.host.write(0xA00, 2) == 0 and self.host.write(SCPS, 576) == 0
        self.host.start()

    def wait(self, duration_ns: int) -> None:
        self.host.now_ns += duration_ns
        self.through.tick(self.host.now_ns)
        self.port.service(self.host.now_ns)

    def packets(self) -> list[Packet]:
        taken = apart(self.through.packets(self.host.now_ns, 1000))
        return [self.host.split(packet.header + bytes(packet.data)) for packet in taken]

    def blocks(self, count: int) -> dict[int, list[int]]:
        """The packet ids that came of so many blocks, in order."""
        got: dict[int, list[int]] = {block: [] for block in range(1, count + 1)}
        while self.host.camera.frames.delivered < count + 1:
            for packet in self.packets():
                got.setdefault(packet.block, []).append(packet.number)
            self.wait(MS)
        return {block: got[block] for block in range(1, count + 1)}


WHOLE = list(range(PACKETS))


def test_nothing_is_wrong_without_a_fault() -> None:
    assert set(map(tuple, Rig().blocks(5).values())) == {tuple(WHOLE)}


@pytest.mark.parametrize(
    ("fault", "struck", "rest"),
    [
        ("lost-packets:frame=2", 2, [1, 2, 3, 4, 5]),
        ("lost-packets:frame=2,part=payload,count=2", 2, [0, 3, 4, 5]),
        ("lost-packets:part=trailer,nth=3", 3, [0, 1, 2, 3, 4]),
        ("double-packets:frame=3,part=payload", 3, [0, 1, 1, 2, 3, 4, 5]),
        ("swapped-packets:frame=2,part=payload", 2, [0, 2, 1, 3, 4, 5]),
        ("swapped-packets:frame=2,by=3", 2, [1, 2, 3, 0, 4, 5]),
    ],
)
def test_what_becomes_of_a_block(fault: str, struck: int, rest: list[int]) -> None:
    rig = Rig(fault)
    assert rig.blocks(5) == {block: rest if block == struck else WHOLE for block in range(1, 6)}
    assert rig.faults.struck() == 1
    frames = rig.host.camera.frames
    assert frames.offered == frames.delivered + frames.discarded + frames.in_flight


def test_the_same_seed_loses_the_same_packets() -> None:
    def lost(seed: int) -> list[int]:
        got = Rig(f"lost-packets:p=0.1,times=0,seed={seed}").blocks(50)
        return [len(ids) for ids in got.values()]

    assert lost(1) == lost(1) != lost(2)
    assert 50 * PACKETS * 0.8 < sum(lost(1)) < 50 * PACKETS * 0.97


def test_resent_packets_are_struck_too_unless_spared() -> None:
    for again, expected in (("struck", []), ("spared", [2])):
        rig = Rig(f"lost-packets:times=0,part=payload,again={again}")
        rig.blocks(1)
        rig.host.ask(0x40, bytes.fromhex("00000002 00000002 00000002".replace(" ", "")), flags=0)
        came = [p.number for p in rig.packets() if p.status == 0x0100]
        assert came == expected


def test_late_packets_come_late_and_wake_the_loop() -> None:
    rig = Rig("late-packets:ms=30.25,part=trailer")
    seen: dict[int, int] = {}
    while 5 not in seen:
        for packet in rig.packets():
            if packet.block == 1:
                seen[packet.number] = rig.host.now_ns
        wakeup_ns = rig.through.next_wakeup_ns()
        rig.wait(MS)
        if 4 in seen and 5 not in seen:
            assert wakeup_ns is not None and wakeup_ns <= seen[4] + 30 * MS + MS // 4
    assert sorted(seen) == WHOLE and seen[5] == seen[4] + 31 * MS


def test_nothing_larger_gets_through_a_small_mtu() -> None:
    rig = Rig("small-mtu:bytes=400")
    assert rig.blocks(3) == {block: [0, 4, 5] for block in (1, 2, 3)}
    rig.host.press("AcquisitionStop")
    rig.host.write(SCPS, 0x80000000 | 576)
    rig.host.write(SCPS, 0x80000000 | 400)
    tests = [p for p in apart(rig.through.packets(rig.host.now_ns, 10)) if p.header[:8] == bytes(8)]
    assert [len(p) for p in tests] == [400 - 28]


def test_without_a_heartbeat_the_camera_is_free_again() -> None:
    rig = Rig("lost-heartbeat:for_ms=4000")
    assert rig.host.read(HEARTBEAT) == [3000] and rig.host.function.control.owner is not None
    command = Datagram(bytes.fromhex("4201008000040001 00000a00".replace(" ", "")), ("10.0.0.5", 40000))
    for _ in range(39):
        assert rig.through.datagrams([command], rig.host.now_ns) == []
        rig.wait(100 * MS)
    assert rig.host.function.control.owner is None
    rig.wait(200 * MS)
    assert len(rig.through.datagrams([command], rig.host.now_ns)) == 1


@pytest.mark.parametrize("fault", ["new-address:frame=3", "new-address:at_ms=5"])
def test_the_address_changes_once(fault: str) -> None:
    rig = Rig(fault)
    moved: list[str] = []
    rig.faults.attach(moved.append)
    rig.blocks(20)
    rig.wait(100 * MS)
    assert moved == ["127.0.0.9"]


@pytest.mark.parametrize(
    ("fault", "away_ms", "controlled"),
    [
        ("yank:frame=2,back_ms=300", [300], False),
        ("yank:frame=2,part=trailer,back_ms=0", [], False),
        ("yank:at_ms=50,back_ms=100,power=kept", [100], True),
        ("brown-out:frame=3,volts=5,for_ms=50", [500], False),
        ("brown-out:frame=3,volts=11,for_ms=50", None, True),
    ],
)
def test_cable_and_supply(fault: str, away_ms: list[int] | None, controlled: bool) -> None:
    """Without power the host has lost its camera; a cable that is in again soon enough is not even noticed."""
    rig = Rig(fault)
    for _ in range(1000):
        rig.packets()
        rig.wait(MS)
    moves = rig.cable.moves_ms
    assert rig.faults.struck() == 1 and len(moves) == (0 if away_ms is None else 1 + len(away_ms))
    assert [back - gone for gone, back in itertools.pairwise(moves)] == (away_ms or [])
    assert (rig.host.function.control.owner == HOST) == controlled
    assert rig.faults.list()[0]["over"]


def ask(rig: Rig, address: int, request_id: int = 9) -> list[bytes]:
    """What answers a READREG, now."""
    command = bytes.fromhex("42010080 0004") + request_id.to_bytes(2, "big") + address.to_bytes(4, "big")
    answers = rig.through.datagrams([Datagram(command, HOST)], rig.host.now_ns)
    return [answer.data for answer in answers]


def later(rig: Rig, duration_ms: int) -> list[tuple[int, bytes]]:
    """What comes in so many ms, with when; the loop is woken for it."""
    came, began_ns = [], rig.host.now_ns
    while rig.host.now_ns < began_ns + duration_ms * MS:
        due_ns = rig.through.next_wakeup_ns()
        rig.host.now_ns += MS
        for answer in rig.through.tick(rig.host.now_ns):
            assert due_ns is not None and due_ns <= rig.host.now_ns
            came.append(((rig.host.now_ns - began_ns) // MS, answer.data))
    return came


GOOD = bytes.fromhex("0000 0081 0004 0009 00000bb8")
STALE, PENDING = bytes.fromhex("0000 0081 0004 0008 00000bb8"), bytes.fromhex("0000 0089 0004 0009 0000 0028")


@pytest.mark.parametrize(
    ("fault", "at_once", "then"),
    [
        ("late-ack:delay_ms=700", [], [(700, GOOD)]),
        ("lost-ack", [], []),
        ("lost-command:command=read", [], []),
        ("double-ack", [GOOD, GOOD], []),
        ("double-ack:command=write", [GOOD], []),
        ("stale-ack", [STALE, GOOD], []),
        ("pending-acks:count=2,wait_ms=10", [PENDING], [(10, PENDING), (20, GOOD)]),
        ("pending-acks:count=0,wait_ms=10", [PENDING], [(n * 10, PENDING) for n in range(1, 100)]),
        ("ack-status:status=0x8007", [bytes.fromhex("8007 0081 0000 0009")], []),
    ],
)
def test_what_becomes_of_an_acknowledge(
    fault: str, at_once: list[bytes], then: list[tuple[int, bytes]]
) -> None:
    rig = Rig()
    rig.faults.add(parse_fault(fault), rig.host.now_ns)
    assert ask(rig, HEARTBEAT) == at_once
    assert later(rig, 999) == then
    assert ask(rig, HEARTBEAT) == [GOOD]
    assert rig.faults.struck() == ("write" not in fault)


@pytest.mark.parametrize(
    ("fault", "comes_ms"), [("lost-discovery", []), ("lost-discovery:late_ms=300", [300])]
)
def test_answers_to_a_search_are_lost_or_late_and_other_answers_are_not(
    fault: str, comes_ms: list[int]
) -> None:
    rig = Rig()
    rig.faults.add(parse_fault(fault), rig.host.now_ns)
    search = Datagram(bytes.fromhex("4211 0002 0000 ffff"), HOST)
    assert rig.through.datagrams([search], rig.host.now_ns) == []
    assert ask(rig, HEARTBEAT) == [GOOD]
    came = later(rig, 999)
    assert [at_ms for at_ms, _ in came] == comes_ms and {len(data) for _, data in came} <= {256}


def test_acknowledges_of_actions_can_be_lost() -> None:
    rig, action = Rig(), Datagram(bytes.fromhex("42010100 000c 0009") + bytes(11) + b"\1", HOST)
    assert rig.host.write(0x9804, 1) == 0  # the group's mask
    assert len(rig.through.datagrams([action], rig.host.now_ns)) == 1
    rig.faults.add(parse_fault("lost-ack"), rig.host.now_ns)
    assert rig.through.datagrams([action], rig.host.now_ns) == []


def test_a_lost_acknowledge_of_a_write_comes_when_the_host_repeats_itself() -> None:
    rig, done = Rig("lost-ack:command=write"), []
    rig.host.function.bootstrap.when_written("SCDA", written=lambda: done.append(1))
    write = Datagram(bytes.fromhex("42010082 0008 0009 00000d18 0a000005"), HOST)
    assert rig.through.datagrams([write], rig.host.now_ns) == []
    rig.wait(500 * MS)
    (ack,) = rig.through.datagrams([write], rig.host.now_ns)
    assert ack.data == bytes.fromhex("0000 0083 0004 0009 00000001") and done == [1]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("new-address:to=somewhere", "to=somewhere is no IPv4 address, such as 127.0.0.9"),
        ("new-address:to=192.0.2.7", "192.0.2.7 is no address of this machine; all of 127.0.0.0/8 work"),
        ("eproto", "fault eproto: it is about USB, and this camera is on Ethernet"),
        ("lost-trailer", "fault lost-trailer: it is about USB, and this camera is on Ethernet"),
    ],
)
def test_what_cannot_be(fault: str, message: str) -> None:
    with pytest.raises(Mistake, match=message):
        Rig(fault)


def test_faults_come_and_go() -> None:
    rig = Rig()
    told = rig.faults.add(parse_fault("lost-packets:times=0"), rig.host.now_ns)
    assert told["struck"] == 0
    rig.wait(MS)
    for _ in range(20):
        assert rig.packets() == []
        rig.wait(MS)
    assert rig.faults.list()[0]["struck"] > 0
    assert rig.faults.clear(1, rig.host.now_ns) == 1
    while not rig.packets():
        rig.wait(MS)


@pytest.mark.parametrize("name", [name for name in on_wire(ETHERNET) if name != "lost-triggers"])
def test_a_stream_that_is_closed_leaves_nothing_behind(name: str) -> None:
    """What is delivered and discarded adds up, whatever the fault did, and the next stream is whole."""
    rig = Rig(f"{name}:times=3" if name != "small-mtu" else "small-mtu:bytes=300,times=3")
    for _ in range(30):
        rig.packets()
        rig.wait(MS)
    rig.faults.clear(None, rig.host.now_ns)
    assert rig.host.write(0xA00, 2) == 0 and rig.host.write(0xD00, 0) == 0
    frames = rig.host.camera.frames
    assert frames.offered == frames.delivered + frames.discarded
    rig.host.start()
    before = frames.delivered
    while frames.delivered < before + 3:
        rig.packets()
        rig.wait(MS)
