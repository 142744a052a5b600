import pytest

from tests.u3v.host.fake import HEIGHT, MONO8, leader, trailer
from u3v.errors import Malformed, U3VError
from u3v.host.assembler import (
    Found,
    Frame,
    FrameAssembler,
    Slot,
    StreamSetup,
    mark_at_the_end,
    parse_leader,
    parse_trailer,
    plan_stream,
)
from u3v.host.registers import Sirm, parse_sirm
from u3v.wire.stream import TransferPlan

SIZE = 2500
SETUP = StreamSetup(SIZE, 1024, 1024, TransferPlan(1024, 2, 452, 0))


def sirm(payload: int, exponent: int = 2, leader_size: int = 52, trailer_size: int = 32) -> Sirm:
    numbers = (payload).to_bytes(8, "little") + leader_size.to_bytes(4, "little")
    return parse_sirm(0x20000, bytes((0, 0, 0, exponent, 0, 0, 0, 0)) + numbers + trailer_size.to_bytes(4, "little") + bytes(24))  # fmt: skip  # noqa: E501


def feed(
    assembler: FrameAssembler,
    block_id: int,
    *,
    head: bytes | None = None,
    lengths: tuple[int, ...] = (1024, 1024, 452),
    tail: bytes | None = None,
) -> Frame:
    slot = Slot(assembler.setup, bytearray(assembler.setup.plan.capacity))
    first = leader(block_id, MONO8, 50, HEIGHT) if head is None else head
    last = trailer(block_id, SIZE, HEIGHT) if tail is None else tail
    slot.views[0][: len(first)] = first
    slot.views[-1][: len(last)] = last
    for length in (len(first), *lengths, len(last)):
        if assembler.completed(slot, length) is not Found.DUE:
            break
    return assembler.finish(slot)


def balanced(assembler: FrameAssembler) -> bool:
    known = assembler.delivered + assembler.incomplete + assembler.discarded
    return known == assembler.last_block_id + 1 - assembler.first_block_id


@pytest.mark.parametrize(
    ("payload", "exponent", "transfer", "plan"),
    [
        (1000, 2, 1 << 20, (0, 0, 1000, 0)),
        (1 << 20, 2, 1 << 20, (1 << 20, 1, 0, 0)),
        # aravis issue 314: 1 440 000 bytes, alignment 1024, 64 KiB transfers
        (1440000, 10, 1 << 16, (0x10000, 0x15, 0xFC00, 0)),
        (2073648, 6, 1 << 20, (1 << 20, 1, 1025088, 0)),
        (8880129, 0, (1 << 20) + 777, (1 << 20, 8, 491521, 0)),
    ],
)
def test_plan(payload: int, exponent: int, transfer: int, plan: tuple[int, int, int, int]) -> None:
    setup = plan_stream(sirm(payload, exponent), 1024, transfer)
    assert setup.plan == TransferPlan(*plan)
    assert setup.plan.capacity >= payload
    assert (setup.leader_size, setup.trailer_size) == (1024, 1024)


def test_plan_rounds_leader_and_trailer_up_to_packets_and_alignment() -> None:
    setup = plan_stream(sirm(1000, 2, 1025, 600), 512)
    assert (setup.leader_size, setup.trailer_size) == (1536, 1024)
    assert plan_stream(sirm(1000, 12), 1024).leader_size == 4096


def test_registers_in_the_order_of_the_sirm() -> None:
    raw = StreamSetup(1, 0x11, 0x66, TransferPlan(0x22, 0x33, 0x44, 0x55)).registers()
    assert raw == b"".join(bytes((n, 0, 0, 0)) for n in (0x11, 0x22, 0x33, 0x44, 0x55, 0x66))


def test_what_cannot_be_planned() -> None:
    with pytest.raises(U3VError, match="SI_Required_Payload_Size 0"):
        plan_stream(sirm(0), 1024)
    with pytest.raises(U3VError, match="multiples of 2097152"):
        plan_stream(sirm(1000, 21), 1024)


def test_a_slot_lies_in_the_callers_memory_without_gaps() -> None:
    memory = bytearray(SIZE)
    slot = Slot(SETUP, memory)
    for number, view in enumerate(slot.views[1:-1]):
        view[:] = bytes((number + 1,)) * len(view)
    assert memory == b"\1" * 1024 + b"\2" * 1024 + b"\3" * 452
    with pytest.raises(ValueError, match="2499 bytes of memory for 2500"):
        Slot(SETUP, bytearray(SIZE - 1))


def test_complete_frames() -> None:
    assembler = FrameAssembler(SETUP)
    for block_id in range(3):
        frame = feed(assembler, block_id)
        assert (frame.complete, frame.reason, frame.block_id) == (True, "", block_id)
        assert len(frame.payload) == SIZE
        assert frame.leader is not None and frame.leader.size_x == 50
    assert (assembler.delivered, assembler.incomplete, assembler.discarded) == (3, 0, 0)
    assert balanced(assembler)


def test_gaps_are_discarded_frames_also_before_the_first() -> None:
    assembler = FrameAssembler(SETUP)
    for block_id in (2, 3, 7):
        assert feed(assembler, block_id).complete
    assert (assembler.delivered, assembler.incomplete, assembler.discarded) == (3, 0, 5)
    assert balanced(assembler)


def changed(packet: bytes, at: int, new: bytes) -> bytes:
    return packet[:at] + new + packet[at + len(new) :]


LEADER, TRAILER = leader(0, MONO8, 50, HEIGHT), trailer(0, SIZE, HEIGHT)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"tail": trailer(1, SIZE, HEIGHT)}, "leader of block 0, trailer of block 1"),
        ({"tail": trailer(0, SIZE, HEIGHT, 0xA100)}, "trailer status DATA_DISCARDED (0xa100)"),
        ({"tail": trailer(0, SIZE, HEIGHT, 0xA1FF)}, "trailer status 0xa1ff"),
        ({"tail": trailer(0, SIZE + 1, HEIGHT)}, "trailer says 2501 bytes are valid, 2500 arrived"),
        ({"tail": trailer(0, SIZE - 1, HEIGHT)}, "trailer says 2499 bytes are valid, 2500 arrived"),
        ({"tail": trailer(0, SIZE, HEIGHT - 1)}, "trailer says 15 of 16 lines were sent"),
        ({"lengths": (1024, 1000, 0), "tail": trailer(0, 2024, HEIGHT)}, "2024 of 2500 payload bytes arrived"),
        ({"lengths": (1024, 0, 452)}, "1024 of 2500 payload bytes arrived"),
        ({"head": LEADER[:40]}, "leader: 40 bytes are no image leader of 52"),
        ({"head": changed(LEADER, 6, b"\x28\0")}, "leader: magic 0x4c563355 and size 40 in 52 bytes"),
        ({"head": changed(LEADER, 18, b"\2\0")}, "leader: payload type 0x0002 is no image"),
        ({"tail": TRAILER[:30]}, "trailer: 30 bytes are no image trailer of 32"),
        ({"head": b"\xaa" * 1024}, "no leader where one was due"),
        ({"head": changed(LEADER, 3, b"X")}, "no leader where one was due"),
        ({"tail": b""}, "no trailer where one was due"),
        ({"tail": LEADER}, "no trailer where one was due"),
    ],
)  # fmt: skip
def test_incomplete_frames_say_why(fault: dict[str, bytes], reason: str) -> None:
    assembler = FrameAssembler(SETUP)
    frame = feed(assembler, 0, **fault)  # type: ignore[arg-type]
    assert (frame.complete, frame.reason) == (False, reason)
    assert assembler.delivered == 0
    assert assembler.incomplete + assembler.strays == 1
    assert feed(assembler, 1).complete
    assert balanced(assembler)


def test_a_trailer_in_a_payload_slot_is_out_of_step_and_no_payload() -> None:
    assembler = FrameAssembler(SETUP)
    slot = Slot(SETUP, bytearray(SIZE))
    slot.views[0][:52] = LEADER
    slot.views[2][:32] = TRAILER
    assert assembler.completed(slot, 52) is Found.DUE
    assert assembler.completed(slot, 1024) is Found.DUE
    assert assembler.completed(slot, 32) is Found.TRAILER
    assert slot.stray_mark == TRAILER
    frame = assembler.finish(slot)
    assert (frame.reason, len(frame.payload)) == ("a trailer where payload was due", 1024)


def test_payload_that_looks_like_a_trailer_is_payload() -> None:
    assembler = FrameAssembler(SETUP)
    slot = Slot(SETUP, bytearray(SIZE))
    slot.views[0][:52] = LEADER
    slot.views[1][:32] = TRAILER
    slot.views[3][:32] = TRAILER
    slot.views[4][:32] = TRAILER
    assert [assembler.completed(slot, n) for n in (52, 1024, 1024, 452, 32)] == [Found.DUE] * 5
    assert assembler.finish(slot).complete


def test_trouble_makes_a_frame_incomplete() -> None:
    assembler = FrameAssembler(SETUP)
    slot = Slot(SETUP, bytearray(SIZE))
    slot.views[0][:52] = LEADER
    slot.views[4][:32] = TRAILER
    assembler.completed(slot, 52)
    assembler.completed(slot, 1024, "overflow: babble")
    for length in (1024, 452, 32):
        assembler.completed(slot, length)
    assert assembler.finish(slot).reason == "overflow: babble"


def test_repeated_and_older_block_ids_are_strays() -> None:
    assembler = FrameAssembler(SETUP)
    for block_id in (0, 1, 1, 0):
        frame = feed(assembler, block_id)
    assert frame.reason == "block id 0 comes after 1"
    assert (assembler.delivered, assembler.strays) == (2, 2)
    assert balanced(assembler)


def test_given_up_half_way() -> None:
    assembler = FrameAssembler(SETUP)
    slot = Slot(SETUP, bytearray(SIZE))
    slot.views[0][:52] = LEADER
    assembler.completed(slot, 52)
    assembler.completed(slot, 1024)
    frame = assembler.finish(slot)
    assert (frame.block_id, frame.reason, len(frame.payload)) == (0, "no trailer", 1024)
    assert (assembler.incomplete, balanced(assembler)) == (1, True)


def test_longer_leaders_and_trailers_are_read_by_their_first_bytes() -> None:
    long_leader = changed(LEADER, 6, b"\x38\0") + bytes(4)
    assert parse_leader(memoryview(long_leader)).size_y == HEIGHT
    chunk_leader = changed(LEADER, 18, b"\1\x40")
    assert parse_leader(memoryview(chunk_leader)).payload_type == 0x4001
    long_trailer = changed(TRAILER, 6, b"\x24\0") + bytes(4)
    assert parse_trailer(memoryview(long_trailer)).valid_payload_size == SIZE


@pytest.mark.parametrize("length", range(52))
def test_every_cut_leader_is_malformed(length: int) -> None:
    with pytest.raises(Malformed):
        parse_leader(memoryview(LEADER)[:length])
    if length < 32:
        with pytest.raises(Malformed):
            parse_trailer(memoryview(TRAILER)[:length])
        assert mark_at_the_end(memoryview(TRAILER)[:length], 1024) is None
