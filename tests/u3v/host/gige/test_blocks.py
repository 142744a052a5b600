"""From packets to frames: holes, resends, ids that wrap, what is judged when. Packets are written by hand here."""

import random
import struct

import pytest

from u3v.host.gige.blocks import ASK_AFTER_NS, GIVE_UP_NS, MOST_ASKED, Blocks, GigeFrame

WIDTH, HEIGHT = 100, 10
PAYLOAD = bytes(range(250)) * 4
MS = 1_000_000


class Sender:
    """A camera's packets of 256 data bytes, with 16-bit or 64-bit ids."""

    def __init__(self, extended: bool) -> None:
        self.extended = extended
        self.packet_bytes = 28 + (20 if extended else 8) + 256

    def header(self, block: int, kind: int, number: int, status: int = 0) -> bytes:
        if self.extended:
            return struct.pack(">HHIQI", status, 0, (kind | 0x80) << 24, block, number)
        return struct.pack(">HHI", status, block, kind << 24 | number)

    def block(self, block: int, lines: int = HEIGHT) -> list[memoryview]:
        """Leader, four packets of data, trailer."""
        leader = struct.pack(">HHQIIIIIHH", 0, 1, 1000 * block, 0x01080001, WIDTH, HEIGHT, 0, 0, 0, 0)
        parts = [self.header(block, 1, 0) + leader]
        parts += [self.header(block, 3, k + 1) + PAYLOAD[256 * k : 256 * k + 256] for k in range(4)]
        parts.append(self.header(block, 2, 5) + struct.pack(">HHI", 0, 1, lines))
        return [memoryview(part) for part in parts]


@pytest.fixture(params=[False, True], ids=["16 bits", "64 bits"])
def sender(request: pytest.FixtureRequest) -> Sender:
    return Sender(request.param)


def blocks(sender: Sender, buffers: int = 3) -> Blocks:
    made = Blocks(len(PAYLOAD), sender.packet_bytes)
    for _ in range(buffers):
        made.add(bytearray(len(PAYLOAD)))
    return made


def taken(made: Blocks, now_ns: int) -> GigeFrame:
    frame = made.take(now_ns)
    assert frame is not None
    return frame


def feed(made: Blocks, packets: list[memoryview], now_ns: int = 0) -> None:
    for packet in packets:
        made.packet(packet, now_ns)


def test_packets_in_any_order_make_a_frame(sender: Sender) -> None:
    made, packets = blocks(sender), sender.block(1)
    random.Random(1).shuffle(packets)
    feed(made, [*packets, packets[0]])
    frame = taken(made, 0)
    assert frame.complete and bytes(frame.payload) == PAYLOAD and frame.leader is not None
    assert (frame.leader.size_x, frame.leader.size_y, frame.leader.timestamp) == (WIDTH, HEIGHT, 1000)
    assert (made.delivered, made.incomplete, made.discarded, made.strays) == (1, 0, 0, 0)
    assert made.take(0) is None


def test_a_hole_is_asked_for_and_filled(sender: Sender) -> None:
    made, packets = blocks(sender), sender.block(1)
    feed(made, [packets[0], packets[1], packets[4]], 100 * MS)
    assert made.take(100 * MS) is None
    (hole,) = made.missing(100 * MS)
    assert (hole.raw_id, hole.first, hole.last) == (1, 2, 3)
    assert made.missing(101 * MS) == []  # asked a moment ago
    silent_ns = 100 * MS + 2 * ASK_AFTER_NS
    assert [(hole.first, hole.last) for hole in made.missing(silent_ns)] == [(2, 3), (5, 5)]
    feed(made, packets[2:], silent_ns)
    assert taken(made, silent_ns).complete


def test_what_stays_away_is_given_up_and_said(sender: Sender) -> None:
    made, packets = blocks(sender), sender.block(1)
    feed(made, packets[:3] + packets[4:])
    asked = sum(len(made.missing(k * ASK_AFTER_NS)) for k in range(1, 99))
    assert asked == MOST_ASKED
    assert made.take(GIVE_UP_NS - 1) is None
    frame = taken(made, GIVE_UP_NS)
    assert (frame.complete, frame.reason) == (False, "1 of 6 packets are missing")
    assert (made.delivered, made.incomplete) == (0, 1)


@pytest.mark.parametrize(("lost", "reason"), [(0, "no leader"), (5, "no trailer")])
def test_lost_marks(sender: Sender, lost: int, reason: str) -> None:
    made, packets = blocks(sender), sender.block(1)
    del packets[lost]
    feed(made, packets)
    assert taken(made, GIVE_UP_NS).reason == reason


def test_a_refused_packet_ends_the_wait(sender: Sender) -> None:
    made, packets = blocks(sender), sender.block(1)
    feed(made, packets[:2] + packets[3:])
    made.packet(memoryview(sender.header(1, 3, 2, 0x8010)), 0)  # not yet: it may come
    assert made.take(0) is None
    made.packet(memoryview(sender.header(1, 3, 2, 0x800C)), 0)
    assert "0x800c" in taken(made, 0).reason


def test_blocks_that_never_came_are_discarded_ones(sender: Sender) -> None:
    made = blocks(sender)
    feed(made, sender.block(1) + sender.block(4))
    assert taken(made, 0).block_id == 1 and taken(made, 0).block_id == 4
    assert (made.delivered, made.discarded, made.last_block_id) == (2, 2, 4)


def test_without_a_buffer_a_block_is_discarded(sender: Sender) -> None:
    made = blocks(sender, buffers=1)
    feed(made, sender.block(1) + sender.block(2))
    frame = taken(made, 0)
    made.add(frame.buffer)
    feed(made, sender.block(3))
    assert taken(made, 0).block_id == 3 and made.discarded == 1


def test_a_trailer_that_speaks_of_other_lines(sender: Sender) -> None:
    made = blocks(sender)
    feed(made, sender.block(1, lines=7))
    assert taken(made, 0).reason == "the trailer says 7 of 10 lines were sent"


def test_ids_of_16_bits_are_counted_on() -> None:
    made, sender = blocks(Sender(False)), Sender(False)
    made.last_block_id = made._newest = 65533
    ids = []
    for raw in (65534, 65535, 1, 2):
        feed(made, sender.block(raw))
        frame = taken(made, 0)
        made.add(frame.buffer)
        ids.append(frame.block_id)
    assert ids == [65534, 65535, 65536, 65537] and made.discarded == 0
    feed(made, sender.block(65535))  # late
    assert made.take(GIVE_UP_NS) is None and made.strays == 6


def test_packets_with_another_header_cost_no_memory(sender: Sender) -> None:
    """What has begun is given up, and its buffer takes the next frame."""
    made, other = blocks(sender, buffers=2), Sender(not sender.extended)
    for _ in range(5):
        feed(made, sender.block(1)[:3])
        made.packet(other.block(1)[0], 0)
    assert made.room == 2
    made = blocks(sender, buffers=1)
    feed(made, other.block(1)[:1] + sender.block(1))
    assert taken(made, 0).complete


def test_memory_that_is_too_small_is_refused(sender: Sender) -> None:
    with pytest.raises(ValueError, match=r"^999 bytes of memory for 1000 of payload$"):
        blocks(sender).add(bytearray(len(PAYLOAD) - 1))


def test_no_bytes_raise(sender: Sender) -> None:
    made, chance = blocks(sender), random.Random(7)
    good = sender.block(1)
    for count in range(2000):
        if count % 3:
            packet = bytearray(chance.choice(good))
            packet[chance.randrange(len(packet))] = chance.randrange(256)
        else:
            packet = bytearray(chance.randbytes(chance.randrange(64)))
        made.packet(memoryview(packet), count * MS)
        made.missing(count * MS)
        frame = made.take(count * MS)
        if frame is not None:
            made.add(frame.buffer)
    assert made.delivered + made.incomplete + made.discarded == made.last_block_id


def test_a_stray_packet_with_a_huge_id_ends_nothing(sender: Sender) -> None:
    made = blocks(sender, buffers=5)
    feed(made, sender.block(1))
    feed(made, sender.block(30_000)[2:3])
    feed(made, sender.block(2)[:3])
    assert (made.strays, made.begun) == (1, 2)
    assert [taken(made, 0).block_id] == [1]
    assert made.take(5 * GIVE_UP_NS) is not None  # the second one, which did not come whole
    for number in (3, 4):
        feed(made, sender.block(number), 6 * GIVE_UP_NS)
        frame = taken(made, 6 * GIVE_UP_NS)
        assert (frame.block_id, frame.complete) == (number, True)
    assert (made.delivered, made.incomplete, made.discarded) == (3, 1, 0)


def test_a_stray_packet_with_another_header_costs_no_block(sender: Sender) -> None:
    made, packets = blocks(sender), sender.block(1)
    feed(made, [*packets[:3], Sender(not sender.extended).block(40_000)[2], *packets[3:]])
    assert taken(made, 0).complete and (made.strays, made.discarded) == (1, 0)


def test_blocks_after_a_long_gap_are_whole(sender: Sender) -> None:
    """A cable that was out for a minute: the second packet shows that the first was no stray one."""
    made = blocks(sender)
    feed(made, sender.block(1))
    feed(made, sender.block(20_000))
    assert [taken(made, 0).block_id for _ in range(2)] == [1, 20_000]
    assert (made.delivered, made.discarded, made.strays) == (2, 19_998, 0)
