import ctypes
import os
import platform
import struct
import threading
from collections.abc import Callable
from typing import TypeVar

import pytest

from gadget.time.slices import _SCHED_SETATTR, LONG_NS, SHORT_NS, ask_for_slices

ATTRIBUTES = struct.Struct("=IIQiIQQQ")
T = TypeVar("T")
KERNEL = tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2])


def in_a_thread(work: Callable[[], T]) -> T:
    found: list[T] = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join()
    return found[0]


def attributes() -> tuple[int, ...]:
    """sched_getattr, whose number follows that of sched_setattr."""
    raw = ctypes.create_string_buffer(ATTRIBUTES.size)
    assert ctypes.CDLL(None).syscall(_SCHED_SETATTR[platform.machine()] + 1, 0, raw, ATTRIBUTES.size, 0) == 0
    return ATTRIBUTES.unpack(raw.raw)


@pytest.mark.parametrize("slice_ns", [SHORT_NS, LONG_NS])
def test_the_slice_changes_and_nothing_else(slice_ns: int) -> None:
    def ask() -> tuple[tuple[int, ...], bool, tuple[int, ...]]:
        return attributes(), ask_for_slices(slice_ns), attributes()

    before, asked, after = in_a_thread(ask)
    assert asked
    assert (after[1], after[3], after[4]) == (before[1], before[3], before[4])
    if KERNEL >= (6, 12):
        assert after[5] == slice_ns


def test_other_policies_are_left_alone() -> None:
    def ask() -> bool:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        return ask_for_slices(SHORT_NS)

    assert in_a_thread(ask) is False
