"""The same as `Aio` with threads, for files whose kernel must not be asked to take an AIO operation back.

GadgetFS completes a cancelled operation while fs/aio.c holds its lock and still uses it: with several processors the
kernel locks itself up, with one it crashes (Linux 6.1 and 6.12; also where a process ends with operations in flight).
So each descriptor has a thread that reads or writes, one operation after the other, and a signal ends one that waits.

State: for each descriptor its thread, what it does and what it shall do next. Always true: an operation ends exactly
once.
"""

import ctypes
import errno
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from gadget.udc.aio import Vector

WAKE = signal.SIGURG
"""Ignored unless somebody handles it: one too many does no harm."""
_NUDGE_S = 0.002
_PATIENCE_S = 2.0


class Threads:
    """`eventfd` is readable when some operation has ended. Made and closed in the main thread, which handles
    signals."""

    def __init__(self, _depth: int = 0) -> None:
        self.eventfd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.changed = threading.Condition()
        self.results: deque[tuple[Any, int]] = deque()
        self.in_flight = 0
        self._workers: dict[int, _Worker] = {}
        self._before = signal.signal(WAKE, lambda *_: None)

    def write(self, fd: int, chunks: Sequence[memoryview], tag: object) -> None:
        self._start(fd, "writev", chunks, tag)

    def read(self, fd: int, into: memoryview, tag: object) -> None:
        self._start(fd, "readv", [into], tag)

    def cancel(self, tag: object) -> None:
        """Take an operation back if it can still be: it then ends with -ECONNRESET."""
        for worker in self._workers.values():
            worker.cancel(tag)

    def ended(self, wait_s: float = 0.0) -> list[tuple[Any, int]]:
        """(tag, bytes or negative errno) of what has ended since; waits for the first one up to `wait_s`."""
        try:
            os.eventfd_read(self.eventfd)
        except BlockingIOError:
            pass
        with self.changed:
            if wait_s and not self.results:
                self.changed.wait_for(lambda: self.results, wait_s)
            found = list(self.results)
            self.results.clear()
            self.in_flight -= len(found)
        return found

    def forget(self, fd: int) -> None:
        """End the thread of a descriptor, before that is closed."""
        worker = self._workers.pop(fd, None)
        if worker is not None:
            worker.end()

    def close(self) -> None:
        for fd in list(self._workers):
            self.forget(fd)
        signal.signal(WAKE, self._before)
        os.close(self.eventfd)

    def _start(self, fd: int, call: str, chunks: Sequence[memoryview], tag: object) -> None:
        worker = self._workers.get(fd)
        if worker is None:
            worker = self._workers[fd] = _Worker(self, fd, call)
        with self.changed:
            self.in_flight += 1
            worker.todo.append((tag, [np.frombuffer(chunk, np.uint8) for chunk in chunks if len(chunk)]))
            self.changed.notify_all()


class _Worker:
    """The thread of one descriptor. Its state is guarded by `shared.changed`."""

    def __init__(self, shared: Threads, fd: int, call: str) -> None:
        self.todo: deque[tuple[object, list[Any]]] = deque()
        self._shared = shared
        self._fd = fd
        libc = ctypes.CDLL(None, use_errno=True)
        self._call, self._write = getattr(libc, call), libc.write
        self._call.restype = self._write.restype = ctypes.c_ssize_t
        self._doing: object = None
        self._cancelled = self._ending = False
        self._thread = threading.Thread(target=self._run, name=f"endpoint {fd}", daemon=True)
        self._thread.start()

    def cancel(self, tag: object) -> None:
        with self._shared.changed:
            for each in self.todo:
                if each[0] is tag:
                    self.todo.remove(each)
                    self._finish(tag, -errno.ECONNRESET)
                    return
            if self._doing is tag:
                self._interrupt()

    def end(self) -> None:
        with self._shared.changed:
            self._ending = True
            while self.todo:
                self._finish(self.todo.popleft()[0], -errno.ECONNRESET)
            self._interrupt()
            self._shared.changed.notify_all()
        self._thread.join(_PATIENCE_S)

    def _interrupt(self) -> None:
        """Wake the thread until what it does has ended: a signal that comes before the system call is lost."""
        doing, ends_s = self._doing, time.monotonic() + _PATIENCE_S
        self._cancelled = True
        while self._doing is doing and doing is not None and time.monotonic() < ends_s:
            signal.pthread_kill(self._thread.ident or 0, WAKE)
            self._shared.changed.wait(_NUDGE_S)

    def _run(self) -> None:
        changed = self._shared.changed
        while True:
            with changed:
                changed.wait_for(lambda: self.todo or self._ending)
                if not self.todo:
                    return
                self._doing, arrays = self.todo.popleft()
                self._cancelled = False
            vectors = (Vector * len(arrays))()
            for vector, array in zip(vectors, arrays, strict=False):
                vector.base, vector.length = array.ctypes.data, len(array)
            # Of nothing, writev(2) never asks the file.
            result = self._call(self._fd, vectors, len(arrays)) if arrays else self._write(self._fd, None, 0)
            if result < 0:
                result = -ctypes.get_errno()
            with changed:
                if result == -errno.EINTR and not self._cancelled:  # somebody else's signal
                    self.todo.appendleft((self._doing, arrays))
                    continue
                self._finish(self._doing, -errno.ECONNRESET if result == -errno.EINTR else result)
                self._doing = None
            del arrays

    def _finish(self, tag: object, result: int) -> None:
        self._shared.results.append((tag, result))
        self._shared.changed.notify_all()
        os.eventfd_write(self._shared.eventfd, 1)
