"""GVSP: frames as packets, paced, and again where a host asks."""

import struct

import pytest

from tests.u3v.gev.host import HOST, SCPD, SCPS, STRANGER, STREAM_PORT, Host, Packet
from tests.u3v.rig import MS, picture
from u3v.wire.gvsp import Layout

SIZE = 64 * 30
DATA = 576 - 36
ACCESS_DENIED = 0x8006
SCBWR = 0xA024


def started(model: str = "acA4096-11gm", *, paced: bool = False, size: int = 576) -> Host:
    host = Host(model, paced=paced)
    assert host.write(0xA00, 2) == 0 and host.write(SCPS, size) == 0
    host.start()
    return host


def pixels(block: list[Packet]) -> bytes:
    return b"".join(packet.data for packet in block if packet.kind == 3)


def test_g27_g28_g29_a_frame_is_leader_data_trailer() -> None:
    host = started()
    assert host.function.destination == ("10.0.0.5", STREAM_PORT)
    for index, block in enumerate(host.blocks(3)):
        assert [p.number for p in block] == list(range(len(block)))
        assert [p.kind for p in block] == [1, *[3] * (len(block) - 2), 2]
        assert {p.block for p in block} == {index + 1} and {p.status for p in block} == {0}
        assert [len(p.data) for p in block[1:-2]] == [DATA] * (len(block) - 3)
        assert pixels(block) == picture(index, SIZE)
        kind, stamp, code, width, height = struct.unpack_from(">xxHQIII", block[0].data)
        assert (kind, code, width, height, len(block[0].data)) == (1, 0x01080001, 64, 30, 36)
        assert stamp == pytest.approx(host.now_ns, abs=20 * MS)
        assert block[-1].data == struct.pack(">HHI", 0, 1, 30)
    frames = host.camera.frames
    assert frames.delivered == 3 and frames.offered == 3 + frames.discarded + frames.in_flight


def test_g30_the_baumer_has_64_bit_ids() -> None:
    host = started("VCXG-124M")
    (block,) = host.blocks(1)
    assert len(block[1].data) == 576 - 48 and block[0].block == 1
    assert host.read(0x92C) == [0x80000000] and host.read(0x0) == [0x00020000]


def test_g31_block_ids_have_no_gaps_and_skip_zero() -> None:
    host = started(paced=True)
    host.camera.frames.memory_bytes = 2 * SIZE
    host.blocks(1)
    for _ in range(100):  # nobody fetches: the memory runs over, and the camera discards
        host.wait(5 * MS)
    assert host.camera.frames.discarded > 0
    assert [block[0].block for block in host.blocks(5)] == [2, 3, 4, 5, 6]
    assert [Layout(extended=False).block_id(n) for n in (0, 65534, 65535)] == [1, 65535, 1]
    assert Layout(extended=True).block_id(65535) == 65536


def resend(host: Host, block: int, first: int, last: int, peer: tuple[str, int] = HOST) -> list[Packet]:
    """What comes of a PACKETRESEND."""
    assert host.ask(0x40, struct.pack(">HHII", 0, block, first, last), peer=peer, flags=0) == []
    before = len(host.function.stream._wanted)
    return host.packets(before)


def test_g32_g34_g35_packets_come_again() -> None:
    host = started()
    block = host.blocks(2)[0]
    again = resend(host, 1, 1, 3, ("10.0.0.5", 55555))
    assert [(p.number, p.data, p.status) for p in again] == [(p.number, p.data, 0x0100) for p in block[1:4]]
    assert [p.number for p in resend(host, 1, 0, 0xFFFFFF)] == [p.number for p in block]


def test_g33_what_is_gone_is_said_to_be() -> None:
    host = started()
    host.blocks(6)
    (gone,) = resend(host, 1, 2, 2)
    assert (gone.status, gone.block, gone.number, gone.data) == (0x800C, 1, 2, b"")


def test_what_has_not_been_sent_is_not_refused() -> None:
    """It comes by itself, and pylon gives up frames of which it is refused something."""
    host = started()
    while not (first := host.packets(2)):
        host.wait(MS)
    assert [p.number for p in first] == [0, 1]
    assert host.ask(0x40, struct.pack(">HHII", 0, 1, 0, 0xFFFFFF), flags=0) == []
    sent = [(p.number, p.status) for p in host.packets(6)]
    assert sent == [(0, 0x0100), (1, 0x0100), (2, 0), (3, 0), (4, 0), (5, 0)]


def test_strangers_get_nothing_again() -> None:
    host = started()
    host.blocks(1)
    assert resend(host, 1, 1, 3, STRANGER) == []


def test_floods_of_resends_are_bounded() -> None:
    host = started()
    host.blocks(1)
    for _ in range(3000):
        host.ask(0x40, struct.pack(">HHII", 0, 1, 0, 0xFFFFFF), flags=0)
    assert len(host.function.stream._wanted) <= 4096


def test_g42_g43_packets_are_paced_and_a_stall_is_not_made_up_for() -> None:
    host = started(paced=True)
    host.camera.features.host_set("DeviceLinkThroughputLimitMode", "Off")
    host.wait(20 * MS)
    rate = host.camera.throughput_bytes_per_s
    assert 1 <= sent_bytes(host) <= rate * 0.002 + 2 * DATA
    host.wait(400 * MS)
    assert sent_bytes(host) <= rate * 0.002 + 2 * DATA
    host.wait(MS // 100)
    assert sent_bytes(host) <= rate * 1e-5 + 2 * DATA


def sent_bytes(host: Host) -> int:
    return sum(len(packet.data) for packet in host.packets())


@pytest.mark.parametrize(("size", "share"), [(1500, 1452 / 1538), (8192, 8144 / 8230), (576, 528 / 614)])
def test_small_packets_carry_less(size: int, share: float) -> None:
    """Each packet takes 38 bytes more on Ethernet; the frame rate follows from what is left."""
    host = started("VCXG-124M", paced=True, size=size)
    assert host.camera.throughput_bytes_per_s == pytest.approx(125e6 * share, rel=1e-4)


def test_the_delay_that_a_host_asks_for_slows_the_camera_down() -> None:
    host = started(paced=True)
    before_ns = DATA * 1e9 / host.camera.throughput_bytes_per_s
    assert host.write(SCPD, 30_000) == 0
    assert DATA * 1e9 / host.camera.throughput_bytes_per_s == pytest.approx(before_ns + 30_000)


def test_frames_back_to_back_lose_nothing_when_the_loop_comes_late() -> None:
    """At the link's own rate each millisecond that is lost between two frames would fill up the memory."""
    host = Host(paced=True)
    for name, value in (("Width", 2048), ("Height", 1024), ("DeviceLinkThroughputLimitMode", "Off")):
        host.camera.features.host_set(name, value)
    host.start()
    sent, late_ns = 0, MS // 5
    while host.now_ns < 350 * MS:
        sent += sent_bytes(host)
        due_ns = host.function.next_wakeup_ns()
        assert due_ns is not None
        host.wait(max(0, due_ns - host.now_ns) + late_ns)
    assert sent == pytest.approx(0.35 * host.camera.throughput_bytes_per_s, rel=0.05)
    frames = host.camera.frames
    assert (frames.discarded, frames.delivered) == (0, pytest.approx(0.35 * 116e6 / (2048 * 1024), abs=2))


@pytest.mark.parametrize("reserve_percent", [0, 10])
def test_what_comes_again_comes_out_of_the_reserve_first(reserve_percent: int) -> None:
    """Without one it takes the place of what comes for the first time."""
    host = Host(paced=True)
    for name, value in (("Width", 2048), ("Height", 1024), ("DeviceLinkThroughputLimitMode", "Off")):
        host.camera.features.host_set(name, value)
    assert host.write(0xA00, 2) == 0
    assert host.write(SCBWR, reserve_percent) == 0
    host.start()
    while not host.packets():
        host.wait(MS // 4)
    new = again = 0
    for _ in range(200):
        host.wait(MS // 4)
        block = host.function.stream._blocks
        assert host.ask(0x40, struct.pack(">HHII", 0, block, 1, 1), flags=0) == []
        for packet in host.packets():
            again += len(packet.data) if packet.status else 0
            new += 0 if packet.status else len(packet.data)
    whole = 0.05 * host.camera.throughput_bytes_per_s
    assert 0.03 * whole < again < 0.08 * whole
    assert new == pytest.approx(whole if reserve_percent else whole - again, rel=0.01)


def test_bursts_are_short_even_when_there_is_much_to_make_up_for() -> None:
    host = Host(paced=True)
    host.camera.features.host_set("DeviceLinkThroughputLimitMode", "Off")
    for name, value in (("Width", 2048), ("Height", 1024)):
        host.camera.features.host_set(name, value)
    host.start()
    while not host.packets():
        host.wait(MS)
    host.wait(20 * MS)
    burst, then = len(host.packets()), len(host.packets())
    assert 35 < burst <= 40 and then == 0
    host.wait(MS // 4)
    assert 35 < len(host.packets()) <= 40


def test_a_host_that_asks_for_a_delay_gets_packets_one_by_one() -> None:
    """However late the loop comes."""
    host = started(paced=True)
    assert host.write(SCPD, 200_000) == 0
    while not host.packets():
        host.wait(MS)
    counts = []
    for late_ns in (MS // 4, MS, 20 * MS):
        host.wait(late_ns)
        counts += [len(host.packets()), len(host.packets())]
    assert counts == [1, 0] * 3


def test_a_host_that_closes_its_port_ends_the_stream() -> None:
    host = started()
    host.blocks(1)
    assert host.write(0xD00, 0) == 0
    host.wait(100 * MS)
    assert host.packets() == [] and not host.camera.frames.enabled
    frames = host.camera.frames
    assert frames.offered == frames.delivered + frames.discarded


def test_g40_g41_chunks_follow_the_pixels_big_endian() -> None:
    host = Host()
    features = host.camera.features
    features.host_set("ChunkModeActive", True)
    assert host.write(0xA00, 2) == 0 and host.write(SCPS, 576) == 0
    host.start()
    (block,) = host.blocks(1)
    data = pixels(block)
    assert len(data) == features.get("PayloadSize") > SIZE
    assert struct.unpack_from(">H", block[0].data, 2) == (0x4001,)
    kind, lines, chunk_bytes = struct.unpack_from(">xxHII", block[-1].data)
    assert (kind, lines, chunk_bytes) == (0x4001, 30, len(data) - SIZE)
    at, seen = len(data), []
    while at:
        _, length = struct.unpack_from(">II", data, at - 8)
        seen.append(length)
        at -= 8 + length
    assert seen[-1] == SIZE


def test_the_packet_size_is_locked_while_frames_flow() -> None:
    """A test packet in the middle of a stream, another size of its packets, other block ids."""
    host = started()
    assert host.write(SCPS, 1500) == ACCESS_DENIED == host.write(0x960, 0)
    assert host.write(SCPS, 0x80000000 | 576) == ACCESS_DENIED and host.read(SCPS) == [576]
    assert {len(packet.data) for packet in host.blocks(2)[1][1:-2]} == {DATA}
    host.press("AcquisitionStop")
    assert host.write(SCPS, 1500) == 0 == host.write(SCPS, 0x80000000 | 576)
