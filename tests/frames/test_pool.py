import threading

import numpy as np
import pytest

from frames.pool import FramePool


def test_a_buffer_returns_with_its_last_view() -> None:
    pool = FramePool(1, 100)
    view = pool.acquire(60)
    assert view is not None
    assert view.nbytes == 60
    assert not view.readonly
    assert pool.acquire(60) is None
    tail = view[50:]
    array = np.frombuffer(tail, np.uint8)
    del view
    assert pool.free == 0
    del tail
    assert pool.acquire(1) is None
    del array
    assert pool.free == 1


def test_release_frees_a_view_at_once() -> None:
    pool = FramePool(1, 8)
    with pool.acquire(8) as view:  # type: ignore[union-attr]
        view[:] = b"12345678"
    assert pool.free == 1


def test_never_copied_and_never_shared() -> None:
    pool = FramePool(3, 64)
    views = [pool.acquire(64) for _ in range(3)]
    addresses = {np.frombuffer(v, np.uint8).ctypes.data for v in views if v is not None}
    assert len(addresses) == 3
    views.clear()
    again = [pool.acquire(64) for _ in range(3)]
    assert {np.frombuffer(v, np.uint8).ctypes.data for v in again if v is not None} == addresses


def test_the_buffer_that_came_back_last_goes_out_first() -> None:
    pool = FramePool(3, 64)
    used = set()
    for _ in range(5):
        view = pool.acquire(64)
        assert view is not None
        used.add(np.frombuffer(view, np.uint8).ctypes.data)
        del view
    assert len(used) == 1


def test_slices_see_what_is_written() -> None:
    pool = FramePool(1, 16)
    view = pool.acquire(16)
    assert view is not None
    part = view[4:8]
    np.frombuffer(view, np.uint8)[:] = np.arange(16)
    assert bytes(part) == b"\x04\x05\x06\x07"


def test_last_view_may_go_on_another_thread() -> None:
    pool = FramePool(2, 16)
    held = [pool.acquire(16), pool.acquire(16)]
    thread = threading.Thread(target=held.clear)
    thread.start()
    thread.join()
    assert pool.free == 2


def test_a_view_outlives_its_pool() -> None:
    pool = FramePool(1, 16)
    view = pool.acquire(16)
    del pool
    assert view is not None
    view[:4] = b"abcd"
    assert bytes(view[:4]) == b"abcd"


def test_refusals() -> None:
    with pytest.raises(ValueError, match=r"^a pool needs at least 1 buffer of 1 byte, not 0 of 5$"):
        FramePool(0, 5)
    with pytest.raises(ValueError, match=r"^17 bytes do not fit a buffer of 16$"):
        FramePool(1, 16).acquire(17)


def test_who_was_refused_is_told_once_when_a_buffer_has_come_back() -> None:
    told: list[int] = []
    pool = FramePool(2, 8, lambda: told.append(pool.free))
    views = [pool.acquire(8), pool.acquire(8)]
    views.pop()
    assert told == []  # nobody was refused
    views.append(pool.acquire(8))
    assert pool.acquire(8) is None
    assert pool.acquire(8) is None
    views.clear()
    assert told == [1]
