"""What the kernel cuts out of one call, and when it must not; what a capture keeps of both."""

import errno
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from gadget.gige import server as module
from gadget.gige.pcap import GigePcap
from gadget.gige.server import _calls
from tests.gadget.gige.test_sockets import HERE, HOST, Rig
from u3v.gev.stream import Packet, Run, Sent

PACKETS = 6
"""Of a block of 64 x 30 pixels: leader, four of data, trailer."""


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.close()


def packet(size: int, *, whole: bool = False) -> Packet:
    return Packet(bytes(8), memoryview(bytes(size)), whole)


@pytest.mark.parametrize(
    ("sizes", "runs"),
    [
        ([36, 540, 540, 540, 300, 8], [1, 4, 1]),
        ([36, 540, 540, 8], [1, 3]),
        ([540] * 70, [64, 6]),
        ([8964] * 10, [7, 3]),
        ([0, 0, 36], [1, 1, 1]),
        ([36, 8, 36, 8], [2, 2]),
    ],
)
def test_a_run_is_of_one_size_and_its_last_one_may_be_shorter(sizes: list[int], runs: list[int]) -> None:
    assert [one.count for one in _calls(map(packet, sizes), True)] == runs
    assert {one.count for one in _calls(map(packet, sizes), False)} == {1}


def test_a_run_of_the_stream_is_cut_to_what_one_call_takes() -> None:
    run = Run(
        [part for n in range(70) for part in (bytes([n] * 8), memoryview(bytes(540 if n < 69 else 30)))]
    )
    calls = _calls([run, packet(8)], True)
    assert [one.count for one in calls] == [64, 6, 1]
    assert [part for one in calls[:2] if isinstance(one, Run) for part in one.parts] == run.parts


def test_what_must_not_be_fragmented_goes_alone() -> None:
    assert [one.count for one in _calls([packet(540, whole=True), packet(540), packet(540)], True)] == [1, 2]


def block(rig: Rig) -> list[bytes]:
    """The packets of one whole block, as a host gets them."""
    got: list[bytes] = []
    while len(got) < PACKETS:
        data, _ = rig.receive(rig.stream)
        if data[4] == 1:
            got.clear()
        got.append(data)
    return got


def calls(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many packets each call took, from now on."""
    sent: list[int] = []
    really = rig.server._send_packets

    def spy(one: Sent, destination: tuple[str, int]) -> None:
        sent.append(one.count)
        really(one, destination)

    monkeypatch.setattr(rig.server, "_send_packets", spy)
    return sent


@pytest.mark.parametrize("watched", [False, True])
def test_a_host_gets_the_same_packets_either_way(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, watched: bool
) -> None:
    table = tmp_path / "packet"
    row = "ffff 3 3 0003 0 1 0 0 4711\n" if watched else "ffff 3 3 0003 7 1 0 0 4711\n"
    table.write_text("sk RefCnt Type Proto Iface R Rmem User Inode\n" + row)
    monkeypatch.setattr(module, "_PACKET_SOCKETS", table)
    rig.server._looked_ns = -module._LOOK_EACH_NS
    sent = calls(rig, monkeypatch)
    rig.start()
    for _ in range(3):
        packets = block(rig)
        assert [data[5:8] for data in packets] == [number.to_bytes(3, "big") for number in range(PACKETS)]
        assert [len(data) - 8 for data in packets] == [36, 540, 540, 540, 300, 8]
    assert max(sent) == (1 if watched else 4)


def test_an_interface_that_cannot_gets_them_one_by_one(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    really = rig.server._send_packets

    def refuse(one: Sent, destination: tuple[str, int]) -> None:
        if one.count > 1:
            raise OSError(errno.EIO, "no checksums")
        really(one, destination)

    monkeypatch.setattr(rig.server, "_send_packets", refuse)
    rig.start()
    assert len(block(rig)) == PACKETS


def test_a_capture_has_each_packet_with_its_headers(rig: Rig, tmp_path: Path) -> None:
    file = tmp_path / "gige.pcap"
    with GigePcap(file, snaplen=16, epoch_ns=1_700_000_000_000_000_000) as capture:
        capture.attach(rig.server)
        rig.start()
        block(rig)
    assert rig.server.observers == []
    raw = file.read_bytes()
    assert raw[:4] == bytes.fromhex("d4c3b2a1") and raw[20:24] == (1).to_bytes(4, "little")
    at, stream, commands = 24, [], 0
    while at < len(raw):
        seconds, _, kept, size = struct.unpack_from("<IIII", raw, at)
        frame = raw[at + 16 : at + 16 + kept]
        at += 16 + kept
        assert seconds >= 1_700_000_000 and frame[12:14] == b"\x08\x00" and len(frame) == kept <= size
        words = struct.unpack(">10H", frame[14:34])
        total = sum(words)
        assert (total & 0xFFFF) + (total >> 16) == 0xFFFF and words[1] == size - 14
        source, to, length = struct.unpack(">HHH", frame[34:40])
        assert length == size - 34
        if 3956 in (source, to):
            commands += 1
            assert kept == size
        else:
            assert frame[6:9] == bytes.fromhex("003053") and frame[:2] == b"\x02\x00"
            assert (socket.inet_ntoa(frame[26:30]), socket.inet_ntoa(frame[30:34])) == (HERE, HOST)
            stream.append(kept - 42)
    assert commands >= 10 and stream[:PACKETS] == [24, 24, 24, 24, 24, 16]


def test_a_full_disk_ends_the_capture_not_the_camera(rig: Rig) -> None:
    assert os.path.exists("/dev/full")
    capture = GigePcap("/dev/full")
    capture.attach(rig.server)
    rig.start()
    assert len(block(rig)) == PACKETS
    with pytest.raises(OSError, match="No space left on device: the capture is cut short"):
        capture.close()
