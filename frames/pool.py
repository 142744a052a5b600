"""Frame buffers that are handed out and come back by themselves.

`FramePool` owns a fixed number of buffers. `acquire` hands one out as a writable memoryview, or None when all
are out. A buffer comes back when the last view of it is gone: the memoryview, every slice of it, and every
numpy array made from one of those. A transport that still sends a slice therefore keeps the buffer by merely
holding the slice; nobody releases anything, and no pixel is ever copied.

State: the free list. The buffer that came back last goes out first: it is still in the processor's cache, and
memory that was never needed is never touched. What makes buffers come back: each acquire makes a new exporter
object over the buffer's memory; views keep their exporter alive, and its finaliser puts the buffer back.
Finalisers run on whichever thread drops the last view, so the free list is a deque, whose append and pop are
atomic. Who was refused a buffer is told when one has come back, once. One trap: do not take `view.obj`, which is the
exporter's numpy array; arrays sliced from it refer to the memory and not to the exporter.
"""

import weakref
from collections import deque
from collections.abc import Callable
from typing import cast

import numpy as np
import numpy.typing as npt


class FramePool:
    """`count` buffers of `capacity_bytes` each, of which no more use memory than were ever out at once.

    `on_return`: called when a buffer has come back after one was refused; from any thread, in the middle of whatever
    drops its last view, so it may do no more than pass that on. Thread-safe.
    """

    def __init__(self, count: int, capacity_bytes: int, on_return: Callable[[], None] = lambda: None) -> None:
        if count < 1 or capacity_bytes < 1:
            raise ValueError(f"a pool needs at least 1 buffer of 1 byte, not {count} of {capacity_bytes}")
        self.count = count
        self.capacity_bytes = capacity_bytes
        self._memory: list[npt.NDArray[np.uint8]] = [np.empty(capacity_bytes, np.uint8) for _ in range(count)]
        self._free: deque[int] = deque(range(count))
        self._on_return = on_return
        self._refused = False

    @property
    def free(self) -> int:
        """Buffers that can be acquired now."""
        return len(self._free)

    def acquire(self, length_bytes: int) -> memoryview | None:
        """A writable view of `length_bytes` bytes with any contents, or None when every buffer is out.

        Raises ValueError when the length is not in 0..capacity_bytes.
        """
        if not 0 <= length_bytes <= self.capacity_bytes:
            raise ValueError(f"{length_bytes} bytes do not fit a buffer of {self.capacity_bytes}")
        index = self._take()
        if index is None:
            self._refused = True
            index = self._take()  # one may have come back just now, and told nobody
            if index is None:
                return None
        self._refused = False
        exporter = self._memory[index][:length_bytes]
        weakref.finalize(exporter, self._return, index).atexit = False
        return memoryview(cast(bytearray, exporter))

    def _take(self) -> int | None:
        try:
            return self._free.pop()
        except IndexError:
            return None

    def _return(self, index: int) -> None:
        self._free.append(index)
        if self._refused:
            self._refused = False
            self._on_return()
