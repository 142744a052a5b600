"""Requests parked on IN endpoints, and how transfers become packets. All sizes around the packet sizes."""

from collections import deque
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gadget.usb.device import MAX_URB_BYTES, UsbDevice
from gadget.usb.in_pipe import ECONNRESET, EINVAL, EOVERFLOW, EPIPE, ESHUTDOWN, OK, Urb
from tests.gadget.toy import Toy
from u3v.errors import Stall
from u3v.function import InTransfer, Lease
from u3v.wire.usb import Speed

IN = 0x83
RAMP = bytes(range(256)) * 64


class Script(Toy):
    """Sends what is in `todo` on endpoint 0x83; an exception there is raised."""

    def __init__(self, *todo: InTransfer | Exception) -> None:
        super().__init__()
        self.todo: deque[InTransfer | Exception] = deque(todo)

    def transfer_in(self, endpoint: int, now_ns: int) -> InTransfer | None:
        if endpoint != IN or not self.todo:
            return None
        item = self.todo.popleft()
        if isinstance(item, Exception):
            raise item
        return item


class Port:
    """A configured device and what its requests were answered, in order."""

    def __init__(
        self, *todo: InTransfer | Exception, speed: Speed = Speed.SUPER, paced: bool = False
    ) -> None:
        self.script = Script(*todo)
        self.done: list[Urb] = []
        self.device = UsbDevice(self.script, speed=speed, paced=paced, on_complete=self.done.append)
        self.device.submit(Urb(0, 0, setup=bytes.fromhex("0009010000000000")), 0)
        self.done.clear()

    def ask(self, *lengths: int, now_ns: int = 0) -> list[Urb]:
        urbs = [Urb(IN, length) for length in lengths]
        for urb in urbs:
            self.device.submit(urb, now_ns)
        return urbs

    @property
    def answers(self) -> list[tuple[int, int]]:
        return [(urb.status, urb.actual) for urb in self.done]


def data(urb: Urb) -> bytes:
    raw = b"".join(urb.chunks)
    assert len(raw) == urb.actual
    return raw


def sends(size: int, ends: bool = True, **more: Any) -> InTransfer:
    return InTransfer(memoryview(RAMP)[:size], ends, **more)


P = 1024
CASES = [
    # transfer, ends, requests -> answers; what is not answered waits
    (52, True, (1024,), [(OK, 52)]),
    (0, True, (1024,), [(OK, 0)]),
    (0, True, (0,), [(OK, 0)]),
    (P, True, (P,), [(OK, P)]),
    (P, True, (P, P), [(OK, P)]),  # full: no zero-length packet for the next one
    (P, True, (2 * P,), [(OK, P)]),  # room left: a zero-length packet ends it
    (P, False, (2 * P,), []),  # the host asked for exactly this much: it goes on
    (P, False, (P,), [(OK, P)]),
    (P + 1, False, (2 * P,), [(OK, P + 1)]),  # a short packet always ends it
    (2 * P, True, (P, P), [(OK, P), (OK, P)]),
    (2 * P + 5, True, (P, P, P), [(OK, P), (OK, P), (OK, 5)]),
    (2 * P, True, (P + 5,), [(EOVERFLOW, P + 5)]),
    (2 * P, True, (P + 5, P), [(EOVERFLOW, P + 5)]),  # the second packet is lost with it
    (3 * P, True, (P + 5, P), [(EOVERFLOW, P + 5), (OK, P)]),
    (P, True, (48,), [(EOVERFLOW, 48)]),
    (52, True, (48, 64), [(EOVERFLOW, 48)]),
    (52, True, (0, 64), [(OK, 0), (OK, 52)]),
    (P, True, (0, P), [(OK, 0), (OK, P)]),
]


@pytest.mark.parametrize(("size", "ends", "lengths", "expected"), CASES)
def test_one_transfer(
    size: int, ends: bool, lengths: tuple[int, ...], expected: list[tuple[int, int]]
) -> None:
    port = Port(sends(size, ends))
    port.ask(*lengths)
    assert port.answers == expected
    assert b"".join(data(u) for u in port.done if u.status == OK) in RAMP * 2


def test_high_speed_packets() -> None:
    port = Port(sends(512), sends(1024), speed=Speed.HIGH)
    port.ask(1024, 512, 512)
    assert port.answers == [(OK, 512), (OK, 512), (OK, 512)]
    port = Port(sends(1024), speed=Speed.HIGH)
    port.ask(600)
    assert port.answers == [(EOVERFLOW, 600)]


def test_transfers_flow_together_where_the_host_asked_so() -> None:
    port = Port(sends(P, False), sends(P, False), sends(10))
    (urb,) = port.ask(4 * P)
    assert port.answers == [(OK, 2 * P + 10)]
    assert data(urb) == RAMP[:P] * 2 + RAMP[:10]


def test_nothing_to_send_is_nak() -> None:
    port = Port()
    (urb,) = port.ask(64)
    assert port.done == []
    assert port.device.next_wakeup_ns() is None
    port.script.todo.append(sends(10))
    port.device.service(5)
    assert port.done == [urb]


def test_a_request_taken_back() -> None:
    port = Port()
    first, second = port.ask(64, 64)
    assert port.device.cancel(first, 0)
    assert first.status == ECONNRESET
    assert not port.device.cancel(first, 0)
    port.script.todo.append(sends(10))
    port.device.service(0)
    assert port.done == [second]
    assert not port.device.cancel(second, 0)
    assert not port.device.cancel(Urb(0x01, 3), 0)
    assert not port.device.cancel(Urb(0x80, 3), 0)


def test_b3_cancelling_the_oldest_request_serves_the_next() -> None:
    """The piece that crossed for the first crosses for the second, without any other call."""
    port = Port(sends(4 * P), sends(4 * P), paced=True)
    first, second = port.ask(4 * P, 4 * P)
    assert port.device.next_wakeup_ns() is not None
    assert port.device.cancel(first, 0)
    due_ns = port.device.next_wakeup_ns()
    assert due_ns is not None, "the second request would wait for ever"
    port.device.service(due_ns)
    assert [u for u in port.done if u is not first] == [second]
    assert data(second) == RAMP[: 4 * P]


def test_b3_a_request_that_was_too_long_to_wait_for_is_followed_by_one_that_is_not() -> None:
    port = Port(sends(P, ready_ns=10**9), paced=True)
    first, second = port.ask(P, P)
    port.device.cancel(first, 0)
    port.device.service(10**9)
    assert port.done == [second]


@pytest.mark.parametrize("newest_first", [True, False])
def test_b17_taking_requests_back_costs_the_same_wherever_they_stand(newest_first: bool) -> None:
    """Looking for one compares it with no other."""
    port = Port()
    urbs = [Compared(IN, 64) for _ in range(1000)]
    for urb in urbs:
        port.device.submit(urb, 0)
    Compared.count = 0
    for urb in reversed(urbs) if newest_first else urbs:
        assert port.device.cancel(urb, 0)
    assert Compared.count == 0


class Compared(Urb):
    """Counts how often one is compared with another."""

    __slots__ = ()
    count = 0

    def __eq__(self, other: object) -> bool:
        Compared.count += 1
        return self is other

    __hash__ = object.__hash__


def test_p2_a_request_behind_others_costs_the_camera_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host queues dozens; only the oldest can be served, so only the first asks what the camera has."""
    port = Port()
    asked = 0

    def next_wakeup_ns() -> int | None:
        nonlocal asked
        asked += 1
        return None

    monkeypatch.setattr(port.script, "next_wakeup_ns", next_wakeup_ns)
    port.ask(*[64] * 20)
    assert asked == 1
    port.script.todo.extend(sends(10) for _ in range(20))
    port.device.service(0)
    assert port.answers == [(OK, 10)] * 20


def test_halting_ends_the_waiting_requests_and_the_transfer() -> None:
    port = Port(sends(3 * P))
    port.ask(P)
    waiting = Urb(0x82, 64)
    port.device.submit(waiting, 0)
    port.device.submit(Urb(0, 0, setup=bytes.fromhex("0203000083000000")), 0)
    assert [u.status for u in port.done] == [OK, OK]  # the event request waits on
    port.ask(64)
    assert port.answers[-1] == (EPIPE, 0)
    port.device.submit(Urb(0, 0, setup=bytes.fromhex("0201000083000000")), 0)
    port.script.todo.append(sends(7))
    (urb,) = port.ask(64)
    assert data(urb) == RAMP[:7]  # nothing of the old one


def test_a_function_that_stalls_halts_the_endpoint() -> None:
    port = Port(Stall("now"), sends(7))
    port.ask(64, 64)
    assert port.answers == [(EPIPE, 0), (EPIPE, 0)]
    port.device.submit(Urb(0, 0, setup=bytes.fromhex("0201000083000000")), 0)
    port.ask(64)
    assert port.answers[-1] == (OK, 7)


def test_an_out_transfer_that_stalls_halts_the_endpoint() -> None:
    port = Port()
    for payload in (b"stall", b"fine"):
        port.device.submit(Urb(0x01, len(payload), memoryview(payload)), 0)
    assert port.answers == [(EPIPE, 0), (EPIPE, 0)]
    port.device.submit(Urb(0, 0, setup=bytes.fromhex("0201000001000000")), 0)
    port.device.submit(Urb(0x01, 4, memoryview(b"fine")), 0)
    assert port.answers[-1] == (OK, 4)
    assert list(port.script.echo) == [b"fine"]


def test_bad_requests() -> None:
    port = Port(sends(10))
    for urb, status in (
        (Urb(IN, -1), EINVAL),
        (Urb(IN, MAX_URB_BYTES + 1), EINVAL),
        (Urb(0x80, 8, setup=b"1234567"), EINVAL),
        (Urb(0x81, 8, setup=bytes(8)), EINVAL),
        (Urb(0x84, 8), EPIPE),
        (Urb(0x03, 8, memoryview(b"12345678")), EPIPE),
        (Urb(0x80, 8), EPIPE),
        (Urb(0x00, 8, memoryview(b"12345678")), EPIPE),
    ):
        port.device.submit(urb, 0)
        assert urb.status == status
    assert len(port.done) == 8
    assert len(port.script.todo) == 1


def test_unplugging_ends_everything_once() -> None:
    port = Port()
    urbs = port.ask(64, 64)
    port.device.unplug(0)
    port.device.unplug(0)
    assert [u.status for u in urbs] == [ESHUTDOWN, ESHUTDOWN]
    assert len(port.done) == 2
    port.ask(64)
    assert port.answers[-1] == (ESHUTDOWN, 0)
    assert port.device.next_wakeup_ns() is None
    port.device.service(0)


def test_a_transfer_whose_lease_has_ended_is_not_sent_on() -> None:
    lease = Lease()
    port = Port(sends(4 * P, lease=lease), sends(7))
    first, second = port.ask(P, P)
    assert data(first) + data(second) == RAMP[: 2 * P]
    lease.ended = True
    (third,) = port.ask(P)
    assert data(third) == RAMP[:7]


def test_a_lease_that_ends_while_a_piece_crosses() -> None:
    lease = Lease()
    port = Port(sends(10 * P, lease=lease), paced=True)
    (urb,) = port.ask(10 * P)
    at_ns = port.device.next_wakeup_ns()
    assert at_ns is not None and port.done == []
    lease.ended = True
    port.script.todo.append(sends(7))
    port.device.service(at_ns)
    port.device.service(at_ns)
    assert data(urb) == RAMP[:7]


def test_data_is_not_there_before_it_exists() -> None:
    """1024 bytes at 1 byte per microsecond from 5 us on."""
    port = Port(sends(P, ready_ns=5000, bytes_per_s=1e6), paced=True)
    (urb,) = port.ask(P)
    assert port.device.next_wakeup_ns() == 5000 + 1024 * 1000
    port.device.service(5000 + 1024 * 1000 - 1)
    assert port.done == []
    port.device.service(5000 + 1024 * 1000)
    assert port.done == [urb]


@given(
    st.lists(
        st.tuples(st.sampled_from([0, 1, 52, 511, 512, 513, 1023, 1024, 1025, 2048, 3000]), st.booleans()),
        max_size=8,
    ),
    st.lists(st.sampled_from([0, 1, 48, 52, 512, 1000, 1024, 1100, 2048, 4096]), max_size=16),
    st.sampled_from(list(Speed)),
)
@settings(max_examples=300, deadline=None)
def test_against_a_bus_of_single_packets(
    transfers: list[tuple[int, bool]], lengths: list[int], speed: Speed
) -> None:
    """The same, one packet at a time: every request ends when it is full or gets a short packet. A transfer's
    zero-length packet is not sent where its data filled the request exactly."""
    port = Port(*(sends(size, ends) for size, ends in transfers), speed=speed)
    urbs = port.ask(*lengths)
    packet = speed.max_packet
    expected: list[tuple[int, int] | None] = [None] * len(lengths)
    waiting = deque(range(len(lengths)))
    got = [0] * len(lengths)

    def finish(index: int, status: int) -> None:
        expected[index] = (status, got[index])
        waiting.popleft()

    for size, ends in transfers:
        rest, begun = size, False
        while rest or not begun:
            if not waiting:
                break
            index = waiting[0]
            room = lengths[index] - got[index]
            if rest and not room:
                finish(index, OK)
                continue
            begun = True
            piece = min(packet, rest)
            rest -= piece
            if piece > room:
                got[index] += room
                finish(index, EOVERFLOW)
                continue
            got[index] += piece
            if got[index] == lengths[index] or piece < packet:
                if not (rest == 0 and piece == 0 and not ends and size == 0 and room):
                    finish(index, OK)
            elif rest == 0 and ends:
                finish(index, OK)
        else:
            continue
        break
    answered = [(u.status, u.actual) if u in port.done else None for u in urbs]
    assert answered == expected
