"""Threads in the place of AIO, on pipes: a full one makes a write wait, an empty one a read."""

import fcntl
import os
import select
import signal
import socket
from collections.abc import Iterator

import pytest

from gadget.udc.threads import WAKE, Threads

ECONNRESET = -104
PIPE_BYTES = 4096


@pytest.fixture
def threads() -> Iterator[Threads]:
    before = signal.getsignal(WAKE)
    threads = Threads()
    yield threads
    threads.close()
    assert signal.getsignal(WAKE) == before


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    yield ends
    for fd in ends:
        os.close(fd)


def ended(threads: Threads, count: int) -> list[tuple[object, int]]:
    found: list[tuple[object, int]] = []
    while len(found) < count:
        found += threads.ended(5.0)
    return found


def test_operations_end_in_order(threads: Threads, pipe: tuple[int, int]) -> None:
    for number in range(3):
        threads.write(pipe[1], [memoryview(b"ab"), memoryview(bytes([48 + number]))], number)
    assert select.select([threads.eventfd], [], [], 5.0)[0]
    assert ended(threads, 3) == [(0, 3), (1, 3), (2, 3)]
    assert os.read(pipe[0], 100) == b"ab0ab1ab2"
    threads.forget(pipe[1])


def test_an_empty_write_is_one(threads: Threads) -> None:
    """To a gadget's endpoint file it is a zero-length packet, to a datagram socket an empty datagram."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        theirs.setblocking(False)
        threads.write(ours.fileno(), [], "empty")
        assert ended(threads, 1) == [("empty", 0)]
        assert theirs.recv(10) == b""
        threads.forget(ours.fileno())


def test_a_write_that_waits_can_be_cancelled(threads: Threads, pipe: tuple[int, int]) -> None:
    os.write(pipe[1], bytes(PIPE_BYTES))
    for tag in ("waits", "behind", "last"):
        threads.write(pipe[1], [memoryview(b"x")], tag)
    threads.cancel("behind")
    assert ended(threads, 1) == [("behind", ECONNRESET)]
    threads.cancel("waits")
    assert ended(threads, 1) == [("waits", ECONNRESET)]
    os.read(pipe[0], PIPE_BYTES)
    assert ended(threads, 1) == [("last", 1)]
    assert threads.in_flight == 0
    threads.forget(pipe[1])


def test_a_read_that_waits_ends_with_its_descriptor(threads: Threads, pipe: tuple[int, int]) -> None:
    buffers = [bytearray(4), bytearray(4)]
    for buffer in buffers:
        threads.read(pipe[0], memoryview(buffer), id(buffer))
    os.write(pipe[1], b"one")
    assert ended(threads, 1) == [(id(buffers[0]), 3)]
    threads.forget(pipe[0])
    assert ended(threads, 1) == [(id(buffers[1]), ECONNRESET)]
    assert bytes(buffers[0]) == b"one\0"


def test_a_refusal_is_its_errno(threads: Threads, pipe: tuple[int, int]) -> None:
    threads.write(pipe[0], [memoryview(b"x")], "wrong end")
    assert ended(threads, 1) == [("wrong end", -9)]
    threads.forget(pipe[0])


def test_cancelling_what_nobody_does_is_nothing(threads: Threads) -> None:
    threads.cancel("nothing")
    assert threads.ended() == []
