"""One flow alone: exact instants. Several on one bus: fair shares, whatever the order of calls."""

import random

import pytest

from gadget.budget.bus import (
    PAYLOAD_BYTES_PER_S,
    TURNAROUND_NS,
    Bus,
    Flow,
    ethernet_bytes_per_s,
    fair_shares,
    parse_bus,
    parse_rate,
)
from u3v.wire.usb import Speed

RATE = 500e6
MIB = 1 << 20
CROSSING_NS = int(MIB * 1e9 / RATE)
LATER_NS = 1_000_000_000


def cross(flow: Flow, length: int, ready_ns: int, asked_ns: int, rate: float = 0.0) -> int:
    """Put a piece on the bus and take it at the other end: when it had crossed."""
    flow.begin(length, asked_ns, ready_ns, rate)
    done_ns = flow.done_ns
    flow.land()
    return done_ns


def test_an_unpaced_wire_takes_no_time() -> None:
    assert cross(Bus().join(), MIB, 7, 3) == 7


def test_queued_pieces_cross_one_after_another_at_the_rate_of_the_wire() -> None:
    flow = Bus(RATE).join()
    asked_ns = LATER_NS
    first_ns = cross(flow, MIB, 0, asked_ns)
    assert asked_ns < first_ns <= asked_ns + CROSSING_NS
    assert [cross(flow, MIB, 0, asked_ns) for _ in range(3)] == [
        first_ns + CROSSING_NS * n for n in (1, 2, 3)
    ]


def test_a_piece_is_not_across_before_it_exists_nor_before_it_is_asked_for() -> None:
    flow = Bus(RATE).join()
    assert cross(flow, MIB, LATER_NS + 10**8, LATER_NS) == LATER_NS + 10**8 + CROSSING_NS
    assert cross(flow, 2048, 0, 2 * LATER_NS) == 2 * LATER_NS


def test_a_piece_ends_with_the_byte_that_is_made_last() -> None:
    flow = Bus(RATE).join()
    assert cross(flow, MIB, LATER_NS, 0, RATE / 4) == LATER_NS + int(MIB * 1e9 / (RATE / 4))


def test_a_host_that_asks_again_soon_loses_no_time_on_the_wire() -> None:
    flow = Bus(RATE).join()
    done_ns = cross(flow, MIB, 0, LATER_NS)
    assert cross(flow, MIB, 0, done_ns + TURNAROUND_NS) == done_ns + CROSSING_NS


def test_a_slow_host_leaves_the_wire_idle() -> None:
    flow = Bus(RATE).join()
    done_ns = cross(flow, MIB, 0, LATER_NS)
    asked_ns = done_ns + TURNAROUND_NS + 5_000_000
    assert cross(flow, MIB, 0, asked_ns) == done_ns + 5_000_000 + CROSSING_NS


def test_short_pieces_slip_in() -> None:
    flow = Bus(RATE).join()
    done_ns = cross(flow, MIB, 0, LATER_NS)
    assert cross(flow, 1024, LATER_NS, LATER_NS) == LATER_NS
    assert cross(flow, MIB, 0, LATER_NS) == done_ns + CROSSING_NS


def test_a_port_carries_no_more_than_its_own_speed() -> None:
    flow = Bus(2 * RATE).join(RATE)
    first_ns = cross(flow, MIB, 0, 0)
    assert cross(flow, MIB, 0, 0) == first_ns + CROSSING_NS


class Host:
    """Takes pieces of endless streams, always with the next request queued. Counts bytes a flow."""

    def __init__(self, bus: Bus, rates: list[float], piece: int = 1 << 18) -> None:
        self.flows = [bus.join() for _ in rates]
        self.rates = rates
        self.piece = piece
        self.bytes = [0] * len(rates)
        self.ends: list[list[int]] = [[] for _ in rates]
        for index in range(len(rates)):
            self.begin(index)

    def begin(self, index: int) -> None:
        made = len(self.ends[index]) * self.piece
        rate = self.rates[index]
        self.flows[index].begin(self.piece, 0, int(made * 1e9 / rate) if rate else 0, rate)

    def run(self, until_ns: int) -> None:
        while True:
            index = min(range(len(self.flows)), key=lambda i: self.flows[i].done_ns)
            flow = self.flows[index]
            if flow.done_ns > until_ns:
                return
            self.ends[index].append(flow.done_ns)
            flow.land()
            self.bytes[index] += self.piece
            self.begin(index)


SECOND = 10**9


@pytest.mark.parametrize(
    ("wants", "other", "expected"),
    [
        ([380e6], 0.0, [380e6]),
        ([380e6, 380e6], 0.0, [250e6, 250e6]),
        ([0, 0], 0.0, [250e6, 250e6]),  # 0: everything exists from the start
        ([100e6, 380e6], 0.0, [100e6, 380e6]),
        ([150e6, 380e6], 0.0, [150e6, 350e6]),
        ([50e6, 300e6, 300e6], 0.0, [50e6, 225e6, 225e6]),
        ([380e6], 200e6, [300e6]),
        ([380e6, 380e6], 400e6, [500e6 / 3, 500e6 / 3]),
        ([100e6] * 4, 0.0, [100e6] * 4),
        ([200e6] * 8, 0.0, [62.5e6] * 8),
    ],
)
def test_shares_are_max_min_fair(wants: list[float], other: float, expected: list[float]) -> None:
    host = Host(Bus(RATE, other), wants)
    host.run(2 * SECOND)
    for got, share in zip(host.bytes, expected, strict=True):
        assert got / 2 == pytest.approx(share, abs=2 * host.piece)


def test_the_order_of_joining_makes_no_difference() -> None:
    rates = [90e6, 310e6, 150e6]
    one, other = Host(Bus(RATE), rates), Host(Bus(RATE), rates[::-1])
    one.run(SECOND)
    other.run(SECOND)
    assert one.bytes == other.bytes[::-1]


def test_the_wire_is_never_fuller_than_full_nor_idle_while_there_is_work() -> None:
    pick = random.Random(7)
    bus = Bus(RATE)
    flows = [bus.join() for _ in range(5)]
    now_ns, moved, began_ns = 0, 0, 0
    lengths = {}
    for flow in flows:
        lengths[flow] = pick.randrange(2000, MIB)
        flow.begin(lengths[flow], TURNAROUND_NS, 0, 0.0)
    for _ in range(2000):
        flow = min(flows, key=lambda f: f.done_ns)
        assert flow.done_ns >= now_ns
        now_ns = flow.done_ns
        moved += lengths[flow]
        flow.land()
        lengths[flow] = pick.randrange(2000, MIB)
        flow.begin(lengths[flow], 0, 0, 0.0)
        open_bytes = sum(lengths[f] for f in flows)
        assert moved - 2000 <= (now_ns - began_ns) / 1e9 * RATE <= moved + open_bytes


def test_a_piece_given_up_leaves_its_share_to_the_others() -> None:
    bus = Bus(RATE)
    one, other = bus.join(), bus.join()
    one.begin(MIB, LATER_NS, LATER_NS, 0.0)
    other.begin(MIB, LATER_NS, LATER_NS, 0.0)
    assert one.done_ns == pytest.approx(LATER_NS + 2 * CROSSING_NS, abs=2)
    other.give_up()
    assert one.done_ns == pytest.approx(LATER_NS + CROSSING_NS, abs=2)
    other.give_up()


def test_pieces_at_different_times_do_not_meet() -> None:
    bus = Bus(RATE)
    one, other = bus.join(), bus.join()
    other.begin(MIB, 0, 5 * LATER_NS, 0.0)
    one.begin(MIB, 0, LATER_NS, 0.0)
    assert one.done_ns == LATER_NS + CROSSING_NS
    assert other.done_ns == 5 * LATER_NS + CROSSING_NS
    one.land()
    one.begin(MIB, 0, 5 * LATER_NS + CROSSING_NS // 2, 0.0)
    assert other.done_ns == pytest.approx(5 * LATER_NS + 3 * CROSSING_NS // 2, abs=3)
    assert one.done_ns == pytest.approx(5 * LATER_NS + 2 * CROSSING_NS, abs=3)


def test_a_late_loop_has_the_earlier_pieces_landed_first() -> None:
    """Both have been over for long; landing one must not hold the other's next piece back."""
    bus = Bus(RATE)
    one, other = bus.join(), bus.join()
    landed: list[int] = []

    def on_turn(at_ns: int) -> bool:
        landed.append(at_ns)
        other.land()
        other.begin(MIB, 0, 0, 0.0)
        return True

    other.on_turn = on_turn
    one.begin(4 * MIB, TURNAROUND_NS, 0, 0.0)
    other.begin(MIB, TURNAROUND_NS, 0, 0.0)
    one.serve_others()
    assert landed == pytest.approx([CROSSING_NS * n for n in (2, 4, 6)], abs=8)
    assert one.done_ns == pytest.approx(8 * CROSSING_NS, abs=8)


def test_an_owner_that_does_not_land_its_piece_holds_nobody_up() -> None:
    bus = Bus(RATE)
    one, other = bus.join(), bus.join()
    one.begin(2 * MIB, 0, 0, 0.0)
    other.begin(MIB, 0, 0, 0.0)
    one.serve_others()
    done_ns = one.done_ns
    one.land()
    assert other.done_ns < done_ns


def test_payload_rates() -> None:
    assert PAYLOAD_BYTES_PER_S[Speed.HIGH] == 53_248_000
    assert parse_bus("10gbps").bytes_per_s == 1_142_000_000
    # The interface column of Baumer's VCXG-124M data sheet needs 123.69 MB/s; 1500-byte packets give 118.98.
    assert ethernet_bytes_per_s(1e9) == pytest.approx(123.69e6, rel=1e-4)
    assert ethernet_bytes_per_s(1e9, 1500) == pytest.approx(118.0e6, rel=1e-3)


def test_bus_descriptions() -> None:
    assert parse_bus("5gbps,other=100MB/s").other_bytes_per_s == 100e6
    assert parse_bus("1gbe,packet=1500").bytes_per_s == ethernet_bytes_per_s(1e9, 1500)
    assert parse_bus("480mbps").speed is Speed.HIGH
    assert [parse_rate(t) for t in ("100MB/s", "1 Gbit/s", "250kb", "5", "0B")[:3]] == [100e6, 125e6, 250e3]
    spec = parse_bus("5gbps")
    assert fair_shares(spec, [380e6, 380e6]) == [239.5e6, 239.5e6]
    assert fair_shares(parse_bus("10gbps"), [380e6, 0.0, 380e6]) == [380e6, 0.0, 380e6]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("6gbps", "--bus '6gbps': must be one of 5gbps, 10gbps, 480mbps, 1gbe, 100mbe"),
        ("5gbps,ohter=1MB/s", "'ohter=1mb/s' is neither other=RATE"),
        ("5gbps,other=fast", "'fast' is no rate such as 100MB/s"),
        ("5gbps,other=-1MB/s", "no rate"),
        ("5gbps,packet=1500", "packet= is about Ethernet"),
        ("1gbe,packet=9", "bytes from 576 to 16110"),
    ],
)
def test_descriptions_that_make_no_sense(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        parse_bus(text)
