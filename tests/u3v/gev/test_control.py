"""GVCP and the bootstrap registers: what real hosts demand, item by item (gN: numbers of the host checklist)."""

import struct

import pytest

from tests.u3v.gev.host import CCP, HEARTBEAT, HOST, SCDA, SCP, SCPS, SCSP, STRANGER, Host
from tests.u3v.rig import MS
from u3v.gev.control import Datagram
from u3v.gev.stream import apart
from u3v.happenings import Happening

ACCESS_DENIED, INVALID_PARAMETER, INVALID_ADDRESS, BAD_ALIGNMENT = 0x8006, 0x8002, 0x8003, 0x8005


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def controlled(host: Host) -> Host:
    assert host.write(CCP, 2) == 0
    return host


def test_g1_g2_g3_discovery_is_the_first_248_bytes(host: Host) -> None:
    (answer,) = host.ask(0x0002, flags=0x11, request_id=0xFFFF)
    assert answer[:8] == bytes.fromhex("0000 0003 00f8 ffff") and len(answer) == 256
    payload = answer[8:]
    assert payload[:4] == bytes.fromhex("0001 0002") and payload[36:40] == bytes([10, 0, 0, 9])
    texts = [payload[at : at + size].rstrip(b"\0") for at, size in ((72, 32), (104, 32), (216, 16))]
    assert texts == [b"Basler", b"acA4096-11gm", b"40000001"]


def test_g6_cameras_have_macs_of_their_own() -> None:
    assert Host("acA4096-11gm").read(0x8, 0xC) != Host("acA4112-8gm").read(0x8, 0xC)
    assert Host().read(0x8)[0] == 0x0030


def test_g8_commands_may_share_an_id(host: Host) -> None:
    first = host.ask(0x80, struct.pack(">I", 0x934), request_id=0x13)
    second = host.ask(0x80, struct.pack(">I", 0x938), request_id=0x13)
    assert [a[8:] for a in (*first, *second)] == [
        struct.pack(">I", host.read(0x934)[0]),
        struct.pack(">I", 3000),
    ]


def test_g9_what_waited_twice_is_answered_once(controlled: Host) -> None:
    beat = bytes.fromhex("42 01 0082 0008 0013 00000938 00000bb8")
    other = bytes.fromhex("42 01 0080 0004 0014 00000938")
    waiting = [Datagram(data, HOST) for data in (beat, beat, beat, other, beat)]
    answers = controlled.function.datagrams(waiting, controlled.now_ns)
    assert [a.data[6:8] for a in answers] == [b"\0\x13", b"\0\x14", b"\0\x13"]


def test_g11_errors_have_no_payload(host: Host) -> None:
    assert host.ack(0x80, struct.pack(">I", 0xE0000000)) == (INVALID_ADDRESS, b"")
    assert host.ack(0x86, struct.pack(">II", SCDA, 1)) == (ACCESS_DENIED, b"")
    assert host.ack(0x1234) == (0x8001, b"")


def test_g12_what_pylon_looks_for_is_not_there(host: Host) -> None:
    assert host.ack(0x84, struct.pack(">IHH", 0xE0000000, 0, 40))[0] == INVALID_ADDRESS


def test_g13_registers_are_read_together(controlled: Host) -> None:
    assert controlled.write(SCDA, 0x0A000005) == 0
    assert controlled.read(SCP, SCDA, SCPS) == [0, 0x0A000005, 1500]


def test_g14_holes_read_as_zeros(host: Host) -> None:
    url = host.memory(0x200, 512)
    assert url.startswith(b"Local:Basler_acA4096-11gm_") and b".zip;" in url and len(url) == 512
    assert host.memory(0x10, 24)[8:20] == bytes(12)


def test_the_xml_is_where_the_url_says(host: Host) -> None:
    name, address, length = host.memory(0x200, 512).rstrip(b"\0").decode().split(";")
    at, size = int(address, 16), int(length, 16)
    file = b"".join(host.memory(at + k, min(512, -(-(size - k) // 4) * 4)) for k in range(0, size, 512))[
        :size
    ]
    assert name.endswith(".zip") and file[:2] == b"PK"


def test_g15_g16_registers_that_hosts_ask_for(controlled: Host) -> None:
    for address in (0x904, 0x930, 0x92C, 0x934, 0x938, 0x93C, 0x940, 0x954, 0x958, 0xA00):
        controlled.read(address)
    assert controlled.write(0x954, 6) == 0 and controlled.read(0x954) == [6]


def test_g17_g18_an_owner_that_is_silent_loses_the_camera(controlled: Host) -> None:
    host = controlled
    assert host.write(SCP, 50000) == 0
    for _ in range(10):
        host.wait(2000 * MS)
        assert host.write(HEARTBEAT, 3000) == 0
    host.wait(2999 * MS)
    assert host.read(CCP, SCP, peer=STRANGER) == [2, 50000]
    host.wait(2 * MS)
    assert host.read(CCP, SCP, peer=STRANGER) == [0, 0]
    assert not host.camera.frames.enabled and not host.camera.configured
    assert host.write(CCP, 2, peer=STRANGER) == 0


def test_g19_strangers_change_nothing(controlled: Host) -> None:
    host = controlled
    assert host.write(SCDA, 1, peer=STRANGER) == ACCESS_DENIED
    assert host.write(CCP, 2, peer=STRANGER) == ACCESS_DENIED
    assert host.write(CCP, 0, peer=STRANGER) == ACCESS_DENIED
    assert host.read(CCP, SCDA, peer=STRANGER) == [2, 0]


def test_a_refused_command_is_told(controlled: Host) -> None:
    host, at = controlled, []
    host.camera.happenings.listen(lambda _what, at_ns, _block: at.append(at_ns), Happening.COMMAND_REFUSED)
    assert host.write(SCDA, 1) == 0 and at == []
    host.wait(MS)
    assert host.write(SCDA, 1, peer=STRANGER) == ACCESS_DENIED
    assert host.ack(0x84, struct.pack(">IHH", 0xE0000000, 0, 40))[0] == INVALID_ADDRESS
    assert at == [MS, MS]


def test_exclusive_access_hides_registers(host: Host) -> None:
    assert host.write(CCP, 1) == 0
    assert host.ack(0x80, struct.pack(">I", CCP), peer=STRANGER)[0] == ACCESS_DENIED
    assert len(host.ask(0x0002, peer=STRANGER)) == 1


def test_nobody_writes_without_control(host: Host) -> None:
    assert host.write(SCDA, 1) == ACCESS_DENIED
    assert host.write(CCP, 2) == 0 and host.write(CCP, 0) == 0
    assert host.read(CCP, 0xA04, 0xA14) == [0, 0, 0]
    assert host.write(SCDA, 1) == ACCESS_DENIED


def test_g20_the_streams_port_is_known(host: Host) -> None:
    assert host.read(SCSP, 0xB1C) == [41000, 41001]


def test_g22_g23_g24_test_packets(controlled: Host) -> None:
    host = controlled
    for asked, size in ((0xC0000240, 576), (0x80000000 | 9001, 9000), (0x80000000 | 100, 220)):
        assert host.write(SCPS, asked) == 0
        assert host.read(SCPS) == [asked & 0x40000000 | size]
        (packet,) = apart(host.function.packets(host.now_ns, 10))
        assert (len(packet), packet.whole) == (size - 28, bool(asked & 0x40000000))


@pytest.mark.parametrize(
    ("code", "payload", "status"),
    [
        (0x80, b"", INVALID_PARAMETER),
        (0x80, bytes(4 * 136), INVALID_PARAMETER),
        (0x80, b"\0\0\0\2", BAD_ALIGNMENT),
        (0x84, struct.pack(">IHH", 0, 0, 540), INVALID_PARAMETER),
        (0x84, struct.pack(">IHH", 0, 0, 6), INVALID_PARAMETER),
        (0x82, bytes(7), INVALID_PARAMETER),
        (0x86, bytes(6), INVALID_PARAMETER),
    ],
)
def test_bad_commands_are_refused(controlled: Host, code: int, payload: bytes, status: int) -> None:
    assert controlled.ack(code, payload) == (status, b"")


def test_several_writes_say_which_failed(controlled: Host) -> None:
    pairs = struct.pack(">IIII", SCDA, 7, 0x934, 0)
    assert controlled.ack(0x82, pairs) == (0x8004, struct.pack(">I", 1))
    assert controlled.read(SCDA) == [7]


def test_without_the_ack_bit_nothing_answers(controlled: Host) -> None:
    assert controlled.ask(0x82, struct.pack(">II", SCDA, 9), flags=0) == []
    assert controlled.read(SCDA) == [9]


def test_slow_commands_are_announced(controlled: Host) -> None:
    host = controlled
    at = host.camera.features.address["UserSetSave"]
    selector = host.camera.features.address["UserSetSelector"]
    assert host.write(selector, 0x01000000) == 0
    (first,) = host.ask(0x82, struct.pack(">II", at, 0x01000000))
    if first[2:4] == b"\0\x89":  # PENDING_ACK: and then the acknowledge, once
        waits_ms = int.from_bytes(first[10:12], "big")
        (later,) = host.wait(waits_ms * MS)
        assert later.data[2:4] == b"\0\x83" and later.data[6:8] == first[6:8]
    else:
        assert first[:4] == b"\0\0\0\x83"


def test_g9_a_write_whose_acknowledge_was_lost_is_acknowledged_again_and_not_done_again(
    controlled: Host,
) -> None:
    host, done = controlled, []
    host.function.bootstrap.when_written("SCDA", written=lambda: done.append(host.now_ns // MS))
    write = struct.pack(">II", SCDA, 7)

    def ask() -> list[bytes]:
        return host.ask(0x82, write, request_id=0x13)

    first = ask()
    for _ in range(2):
        host.wait(500 * MS)
        assert host.read(CCP, peer=STRANGER) == [2]
        assert ask() == first and done == [0]
    host.wait(2100 * MS)
    assert ask() == first and done == [0, 3100]
    assert host.read(CCP) == [2]  # another command, and then this one is meant anew
    assert ask() == first and done == [0, 3100, 3100]
    assert host.ask(0x82, write, request_id=0x14) != first and len(done) == 4


def test_a_host_that_reuses_its_ids_means_each_write(controlled: Host) -> None:
    """pylon: two software triggers with one id, half a second apart."""
    host, done = controlled, []
    host.function.bootstrap.when_written("SCDA", written=lambda: done.append(1))
    write = struct.pack(">II", SCDA, 7)
    for code, payload in ((0x80, struct.pack(">I", SCDA)), (0x82, write), (0x82, write), (0x82, write)):
        assert len(host.ask(code, payload, request_id=0x0E)) == 1
        host.wait(500 * MS)
    assert len(done) == 3
    assert host.write(CCP, 0) == 0 == host.write(CCP, 2)
    for _ in range(2):  # the next host
        host.ask(0x82, write, request_id=0x0F)
    assert len(done) == 4


def test_what_keeps_control_counts_each_time(controlled: Host) -> None:
    host, done = controlled, []
    host.function.bootstrap.when_written("Heartbeat_Timeout", written=lambda: done.append(1))
    for _ in range(4):
        assert len(host.ask(0x82, struct.pack(">II", HEARTBEAT, 3000), request_id=0x19)) == 1
        host.wait(750 * MS)
    assert len(done) == 4


def test_a_slow_write_that_is_repeated_is_neither_refused_nor_done_again(controlled: Host) -> None:
    host = controlled
    execute = host.function.control._write
    done = []

    def slow(address: int, data: bytes) -> int:
        done.append(address)
        execute(address, data)
        return 900

    host.function.control._write = slow  # type: ignore[method-assign]
    write = struct.pack(">II", SCDA, 7)
    (pending,) = host.ask(0x82, write, request_id=0x13)
    assert pending[2:4] == b"\0\x89"
    host.wait(500 * MS)
    assert host.ask(0x82, write, request_id=0x13) == []
    (later,) = host.wait(400 * MS)
    assert later.data[:4] == b"\0\0\0\x83" and done == [SCDA]
