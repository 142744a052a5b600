from gadget.link import TURNAROUND_NS, Link

RATE = 500e6
MIB = 1 << 20
CROSSING_NS = int(MIB * 1e9 / RATE)
LATER_NS = 1_000_000_000


def test_an_unpaced_wire_takes_no_time() -> None:
    assert Link().reserve(MIB, 7, 3) == 7


def test_queued_pieces_cross_one_after_another_at_the_rate_of_the_wire() -> None:
    link = Link(RATE)
    asked_ns = LATER_NS
    first_ns = link.reserve(MIB, 0, asked_ns)
    assert asked_ns < first_ns <= asked_ns + CROSSING_NS
    assert [link.reserve(MIB, 0, asked_ns) for _ in range(3)] == [
        first_ns + CROSSING_NS * n for n in (1, 2, 3)
    ]


def test_a_piece_is_not_across_before_it_exists_nor_before_it_is_asked_for() -> None:
    link = Link(RATE)
    assert link.reserve(MIB, LATER_NS + 10**8, LATER_NS) == LATER_NS + 10**8
    assert link.reserve(2048, 0, 2 * LATER_NS) == 2 * LATER_NS


def test_a_host_that_asks_again_soon_loses_no_time_on_the_wire() -> None:
    link = Link(RATE)
    done_ns = link.reserve(MIB, 0, LATER_NS)
    assert link.reserve(MIB, 0, done_ns + TURNAROUND_NS) == done_ns + CROSSING_NS


def test_a_slow_host_leaves_the_wire_idle() -> None:
    link = Link(RATE)
    done_ns = link.reserve(MIB, 0, LATER_NS)
    asked_ns = done_ns + TURNAROUND_NS + 5_000_000
    assert link.reserve(MIB, 0, asked_ns) == done_ns + 5_000_000 + CROSSING_NS


def test_short_pieces_slip_in() -> None:
    link = Link(RATE)
    done_ns = link.reserve(MIB, 0, LATER_NS)
    assert link.reserve(1024, LATER_NS, LATER_NS) == LATER_NS
    assert link.reserve(MIB, 0, LATER_NS) == done_ns + CROSSING_NS
