from collections.abc import Callable

import pytest

from gadget.loopback import LoopbackBus
from tests.u3v.host.fake import SIRM, START, WIDTH, FakeCamera, Transfers, leader, pattern, trailer
from u3v.errors import U3VError
from u3v.host.bus import UsbGone, UsbTimeout
from u3v.host.client import U3VClient
from u3v.host.stream import StreamLost, StreamReader

SIZE = 4096 * 16
TRANSFER = 16384  # a frame is a leader, four of these, and a trailer


def streaming(
    camera: FakeCamera, *, width: int = 4096, buffers: int = 3, transfer: int = TRANSFER
) -> tuple[LoopbackBus, StreamReader]:
    bus = LoopbackBus(camera)
    client = U3VClient(bus)
    client.open()
    client.write_u32(WIDTH, width)
    reader = StreamReader(client, transfer)
    reader.start([bytearray(reader.buffer_bytes) for _ in range(buffers)])
    client.write_u32(START, 1)
    return bus, reader


def run(reader: StreamReader, frames: int) -> list[tuple[int | None, str]]:
    """(block id, reason) of the next frames; complete ones must hold the camera's pattern."""
    seen = []
    for _ in range(frames):
        frame = reader.next_frame(100)
        if frame.complete:
            assert frame.block_id is not None
            assert frame.payload == pattern(frame.block_id, len(frame.payload))
        seen.append((frame.block_id, frame.reason))
        reader.release(frame)
    return seen


def balanced(reader: StreamReader) -> bool:
    a = reader.assembler
    return a.delivered + a.incomplete + a.discarded == a.last_block_id + 1


@pytest.mark.parametrize("width", [64, 4096, 1000, 4088])
@pytest.mark.parametrize("transfer", [1024, TRANSFER, 1 << 20])
def test_frames_arrive_whole_for_any_cut(width: int, transfer: int) -> None:
    camera = FakeCamera(alignment_exponent=10)
    _, reader = streaming(camera, width=width, transfer=transfer)
    assert run(reader, 7) == [(n, "") for n in range(7)]
    reader.stop()
    assert camera.number(SIRM + 4) == 0
    assert (reader.assembler.delivered, reader.resyncs, balanced(reader)) == (7, 0, True)


def test_start_clears_what_is_left_there_and_disables_first() -> None:
    camera = FakeCamera()
    camera.poke(SIRM + 4, b"\1")
    _, reader = streaming(camera)
    assert camera.halts == [0x83]
    assert run(reader, 1) == [(0, "")]


def test_frames_that_are_held_make_no_room() -> None:
    _, reader = streaming(FakeCamera(), buffers=2)
    first, second = reader.next_frame(100), reader.next_frame(100)
    with pytest.raises(U3VError, match="every buffer is in use"):
        reader.next_frame(100)
    assert second.payload == pattern(1, SIZE)
    assert first.payload == pattern(0, SIZE)
    reader.release(first)
    assert run(reader, 3) == [(2, ""), (3, ""), (4, "")]


def test_time_out_and_go_on() -> None:
    camera = FakeCamera()
    camera.frame_limit = 1
    bus, reader = streaming(camera)
    assert run(reader, 1) == [(0, "")]
    for _ in range(2):
        with pytest.raises(UsbTimeout):
            reader.next_frame(100)
    camera.frame_limit = 2
    bus.device.service(bus.now_ns)
    assert run(reader, 1) == [(1, "")]


def test_a_frame_that_never_ends_is_counted_when_stopped() -> None:
    camera = FakeCamera()
    camera.mangle_frame = lambda block_id, transfers: transfers[:3] if block_id == 1 else transfers
    camera.frame_limit = 2
    _, reader = streaming(camera)
    assert run(reader, 1) == [(0, "")]
    with pytest.raises(UsbTimeout):
        reader.next_frame(100)
    reader.stop()
    assert (reader.assembler.delivered, reader.assembler.incomplete, balanced(reader)) == (1, 1, True)


def test_unplugged() -> None:
    bus, reader = streaming(FakeCamera())
    run(reader, 2)
    bus.device.unplug(bus.now_ns)
    with pytest.raises(UsbGone):
        run(reader, 3)


Fault = Callable[[int, Transfers], Transfers]


def at_5(change: Callable[[Transfers], Transfers]) -> Fault:
    return lambda block_id, transfers: change(transfers) if block_id == 5 else transfers


def cut_short(transfers: Transfers) -> Transfers:
    """10 000 bytes of the second transfer, the others empty (zero-length packets), an honest trailer."""
    empty = [(b"", room) for _, room in transfers[3:-1]]
    short = (transfers[2][0][:10_000], transfers[2][1])
    return [*transfers[:2], short, *empty, (trailer(5, TRANSFER + 10_000, 16), 1024)]


NO_LEADER, NO_TRAILER = "no leader where one was due", "no trailer where one was due"
EARLY_TRAILER = "a trailer where payload was due"
# What frame 5 suffers, which frames are handed out incomplete and why, how many are lost in all (what was queued
# ahead goes with them: this camera never waits) and how often the reader has to find its way back.
FAULTS: dict[str, tuple[Fault, list[tuple[int, str]], int, int]] = {
    "cut short": (at_5(cut_short), [(5, "26384 of 65536 payload bytes arrived")], 1, 0),
    "trailer of another block": (
        at_5(lambda t: [*t[:-1], (trailer(9, SIZE, 16), 1024)]),
        [(5, "leader of block 5, trailer of block 9")],
        1,
        0,
    ),
    "trailer status": (
        at_5(lambda t: [*t[:-1], (trailer(5, SIZE, 16, 0xA101), 1024)]),
        [(5, "trailer status DATA_OVERRUN (0xa101)")],
        1,
        0,
    ),
    "frame lost in the camera": (at_5(lambda t: []), [], 1, 0),
    "leader lost": (at_5(lambda t: t[1:]), [(5, NO_LEADER)], 1, 1),
    "leader of 40 bytes": (
        at_5(lambda t: [(t[0][0][:40], 1024), *t[1:]]),
        [(5, "leader: 40 bytes are no image leader of 52")],
        1,
        0,
    ),
    "leader magic": (at_5(lambda t: [(b"U3VX" + t[0][0][4:], 1024), *t[1:]]), [(5, NO_LEADER)], 1, 0),
    "trailer magic": (at_5(lambda t: [*t[:-1], (b"U3VX" + t[-1][0][4:], 1024)]), [(5, NO_TRAILER)], 1, 0),
    "trailer lost": (at_5(lambda t: t[:-1]), [(5, NO_TRAILER)], 2, 1),
    "transfer lost": (
        at_5(lambda t: [*t[:2], *t[3:]]),
        [(5, EARLY_TRAILER), (6, NO_LEADER)],
        2,
        2,
    ),
    "two leaders": (
        at_5(lambda t: [(t[0][0], 1024), *t]),
        [(5, "a leader where payload was due")],
        1,
        1,
    ),
    "stray zero-length packet": (at_5(lambda t: [(b"", 1024), *t]), [(5, NO_LEADER)], 1, 1),
    "babble": (at_5(lambda t: [*t[:-1], (bytes(1500), 0), t[-1]]), [(5, NO_TRAILER)], 2, 1),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_one_fault_costs_and_that_all_is_accounted_for(name: str) -> None:
    fault, told, lost, resyncs = FAULTS[name]
    camera = FakeCamera()
    camera.mangle_frame = fault
    _, reader = streaming(camera)
    seen = run(reader, 20)
    assert [item for item in seen if item[1]] == told
    delivered = [block_id for block_id, trouble in seen if not trouble]
    last = delivered[-1]
    assert last is not None
    assert last + 1 - len(delivered) == lost
    assert (reader.resyncs, reader.assembler.delivered, balanced(reader)) == (resyncs, len(delivered), True)


def test_a_stream_without_leaders_and_trailers_is_given_up_in_words() -> None:
    """B19: however much comes, `next_frame` ends."""
    camera = FakeCamera()
    camera.mangle_frame = lambda block_id, t: [(bytes(1024), 1024)] + t[1:-1] if block_id > 1 else t
    _, reader = streaming(camera)
    assert run(reader, 2) == [(0, ""), (1, "")]
    for _ in range(2):
        with pytest.raises(StreamLost, match="4 frames' worth, without a leader or trailer among them"):
            reader.next_frame(100)
    reader.stop()
    assert camera.number(SIRM + 4) == 0 and balanced(reader)


def test_waiting_goes_on_after_a_time_out_also_where_the_stream_is_astray() -> None:
    """B19: the leader of the last frame is lost and its payload stops half-way; then the camera sends on."""
    camera = FakeCamera()
    camera.frame_limit = 2
    camera.mangle_frame = lambda block_id, t: t[1:3] if block_id == 1 else t
    bus, reader = streaming(camera)
    assert run(reader, 1) == [(0, "")]
    for _ in range(2):
        with pytest.raises(UsbTimeout):
            reader.next_frame(100)
    camera.frame_limit = 4
    bus.device.service(bus.now_ns)
    assert run(reader, 2) == [(2, ""), (3, "")]
    reader.stop()
    assert (reader.assembler.delivered, reader.assembler.discarded) == (3, 1) and balanced(reader)


def test_leader_and_trailer_inside_the_payload_do_not_confuse() -> None:
    camera = FakeCamera()
    bait = (leader(77, 0x01080001, 4096, 16) + trailer(77, SIZE, 16)).ljust(TRANSFER, b"\0")
    camera.mangle_frame = lambda block_id, t: [t[0], *[(bait, room) for _, room in t[1:-1]], t[-1]]
    _, reader = streaming(camera)
    for block_id in range(3):
        frame = reader.next_frame(100)
        assert (frame.block_id, frame.complete, frame.payload) == (block_id, True, bait * 4)
        reader.release(frame)


def test_a_camera_without_stream_channel() -> None:
    camera = FakeCamera()
    camera.poke(SIRM + 8, bytes(8))
    client = U3VClient(LoopbackBus(camera))
    client.open()
    with pytest.raises(U3VError, match="SI_Required_Payload_Size 0"):
        StreamReader(client)
