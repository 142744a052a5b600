"""Descriptors and instants: whichever is first, any number of the ones, and no more calls than were asked for."""

import os
import resource
import socket
import time
from collections.abc import Iterator

import pytest

from gadget.time.loop import Loop
from gadget.time.waiting import READ, WRITE, Waiter


@pytest.fixture
def waiter() -> Iterator[Waiter]:
    waiter = Waiter()
    yield waiter
    waiter.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_a_descriptor_that_is_ready_is_called_back(
    waiter: Waiter, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    masks: list[int] = []
    waiter.watch(ours, READ, masks.append)
    assert not waiter.wait_for(0.0)
    theirs.send(b"x")
    assert waiter.wait_for(None)
    waiter.watch(ours, READ | WRITE, masks.append)
    assert waiter.wait_for(10)
    waiter.unwatch(ours)
    waiter.unwatch(ours)
    assert not waiter.wait_for(0.0)
    assert masks == [READ, READ | WRITE]


def test_a_hung_up_descriptor_tells_what_it_was_watched_for(
    waiter: Waiter, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    masks: list[int] = []
    theirs.close()
    waiter.watch(ours, READ, masks.append)
    assert waiter.wait_for(None)
    assert masks == [READ]


def test_one_callback_may_unwatch_another(waiter: Waiter) -> None:
    pairs = [socket.socketpair() for _ in range(2)]
    called: list[int] = []

    def first_come(index: int) -> None:
        called.append(index)
        waiter.unwatch(pairs[1 - index][0])

    for index, (ours, theirs) in enumerate(pairs):
        waiter.watch(ours, READ, lambda _mask, index=index: first_come(index))  # type: ignore[misc]
        theirs.send(b"x")
    assert waiter.wait_for(None)
    assert len(called) == 1
    for ours, theirs in pairs:
        ours.close()
        theirs.close()


@pytest.mark.parametrize("wanted_s", [0.0001, 0.0203, 0.05])
def test_a_time_out_is_no_shorter_than_asked_for(waiter: Waiter, wanted_s: float) -> None:
    began_s = time.monotonic()
    assert not waiter.wait_for(wanted_s)
    assert time.monotonic() - began_s >= wanted_s


def test_a_time_out_that_was_not_needed_disturbs_no_later_wait(
    waiter: Waiter, pair: tuple[socket.socket, socket.socket]
) -> None:
    """The timer of the first wait runs out during the second."""
    ours, theirs = pair
    waiter.watch(ours, READ, lambda _mask: None)
    assert not waiter.wait_for(0.001)
    assert not waiter.wait_for(0.0)
    began_s = time.monotonic()
    assert not waiter.wait_for(0.02)
    assert time.monotonic() - began_s >= 0.02
    theirs.send(b"x")
    assert waiter.wait_for(None)


def test_p2_the_timer_is_set_once_for_one_deadline(
    waiter: Waiter, pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many wake-ups by descriptors come before one deadline; setting the timer each time would cost most."""
    ours, theirs = pair
    waiter.watch(ours, READ, lambda _mask: ours.recv(1) and None)
    instants: list[int] = []
    really_set = waiter._set
    monkeypatch.setattr(waiter, "_set", lambda at_ns: (instants.append(at_ns), really_set(at_ns)))
    until_ns = time.monotonic_ns() + 20_000_000
    assert not waiter.wait(until_ns - 19_000_000)
    for _ in range(5):
        theirs.send(b"x")
        assert waiter.wait(until_ns)
    assert not waiter.wait(until_ns)
    assert time.monotonic_ns() >= until_ns
    assert instants == [until_ns - 19_000_000, until_ns]


def test_b17_wake_ups_are_exact_to_far_less_than_a_millisecond(waiter: Waiter) -> None:
    """The best of many: others may want the processor, but rounding to milliseconds would show in all of them."""
    late_s = []
    for n in range(40):
        wanted_s = 0.0003 + n * 1e-6
        began_s = time.monotonic()
        waiter.wait_for(wanted_s)
        late_s.append(time.monotonic() - began_s - wanted_s)
    assert min(late_s) < 0.0003


def test_b17_more_than_1024_inherited_descriptors() -> None:
    """`select` ends there. The loop's own descriptors come behind all the others."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    inherited = [os.open("/dev/null", os.O_RDONLY) for _ in range(1100)]
    try:
        loop = Loop()
        ours, theirs = socket.socketpair()
        assert ours.fileno() > 1024
        with ours, theirs:
            loop.watch(ours, READ, lambda _mask: loop.stop())
            theirs.send(b"x")
            loop.run()
            loop.unwatch(ours)
        loop.close()
    finally:
        for fd in inherited:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_nothing_is_left_open() -> None:
    before = set(os.listdir("/proc/self/fd"))
    Waiter().close()
    assert set(os.listdir("/proc/self/fd")) == before
