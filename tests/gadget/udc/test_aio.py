"""Linux AIO on an ordinary file: the system calls, their structures, what they give back."""

import os
import select
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from gadget.udc.aio import Aio

EBADF = -9


@pytest.fixture
def aio() -> Iterator[Aio]:
    aio = Aio(8)
    yield aio
    aio.close()


def ended(aio: Aio, count: int) -> dict[object, int]:
    found: dict[object, int] = {}
    while len(found) < count:
        found |= dict(aio.ended(5.0))
    return found


def test_chunks_are_one_transfer(aio: Aio, tmp_path: Path) -> None:
    fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    frame = np.arange(5000, dtype=np.uint16).view(np.uint8)
    view = memoryview(frame)[2:9000]
    view.toreadonly()
    aio.write(fd, [memoryview(b"head"), view.toreadonly(), memoryview(b"tail")], "write")
    assert select.select([aio.eventfd], [], [], 5.0)[0]
    assert ended(aio, 1) == {"write": 8 + 8998}
    assert (tmp_path / "file").read_bytes() == b"head" + bytes(view) + b"tail"
    os.close(fd)


def test_reads(aio: Aio, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"hello")
    fd = os.open(tmp_path / "file", os.O_RDONLY)
    buffer = bytearray(10)
    aio.read(fd, memoryview(buffer), "read")
    assert ended(aio, 1) == {"read": 5}
    assert bytes(buffer[:5]) == b"hello"
    os.close(fd)


def test_an_empty_transfer(aio: Aio, tmp_path: Path) -> None:
    fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    aio.write(fd, [], "empty")
    assert ended(aio, 1) == {"empty": 0}
    os.close(fd)


def test_places_are_used_again(aio: Aio, tmp_path: Path) -> None:
    fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    for round_ in range(10):
        tags = [f"{round_}.{index}" for index in range(8)]
        for tag in tags:
            aio.write(fd, [memoryview(b"x")], tag)
        assert ended(aio, 8) == dict.fromkeys(tags, 1)
        assert aio.in_flight == 0
    os.close(fd)


def test_what_cannot_begin_is_told_at_once_and_leaves_nothing(aio: Aio) -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        aio.write(9999, [memoryview(b"x")], "tag")
    assert aio.in_flight == 0
    assert aio.ended() == []


def test_cancelling_what_has_ended_is_nothing(aio: Aio, tmp_path: Path) -> None:
    fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    aio.write(fd, [memoryview(b"x")], "tag")
    aio.cancel("tag")
    aio.cancel("another")
    assert ended(aio, 1) == {"tag": 1}
    os.close(fd)
