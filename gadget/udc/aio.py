"""Linux AIO (io_submit(2)): several transfers in flight on one descriptor, ended by an eventfd.

A gadget's endpoint file has no other way to queue: its write() holds the file's lock until the host has read. libaio is
five system calls, which are made here. State: a table of control blocks, those in use with what they are for. Always
true: a block and the memory of its data stay where they are until the kernel has given the block back.
"""

import ctypes
import errno
import os
import platform
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

_PREADV, _PWRITEV = 7, 8
_FLAG_RESFD = 1
_EVENTS = 64
_CALLS = {
    ("x86_64", True): (206, 207, 209, 210, 208),
    ("aarch64", True): (0, 1, 2, 3, 4),
    ("aarch64", False): (243, 244, 246, 247, 245),
    ("armv7l", False): (243, 244, 246, 247, 245),
    ("armv6l", False): (243, 244, 246, 247, 245),
}
"""Numbers of io_setup, io_destroy, io_submit, io_cancel and io_getevents, by machine and 64-bit program or not."""


class _Iocb(ctypes.Structure):
    """struct iocb of linux/aio_abi.h, little-endian."""

    _fields_ = [
        ("data", ctypes.c_uint64),
        ("key", ctypes.c_uint32),
        ("rw_flags", ctypes.c_int32),
        ("opcode", ctypes.c_uint16),
        ("priority", ctypes.c_int16),
        ("fd", ctypes.c_uint32),
        ("vectors", ctypes.c_uint64),
        ("count", ctypes.c_uint64),
        ("offset", ctypes.c_int64),
        ("reserved", ctypes.c_uint64),
        ("flags", ctypes.c_uint32),
        ("eventfd", ctypes.c_uint32),
    ]


class _Event(ctypes.Structure):
    """struct io_event."""

    _fields_ = [
        ("data", ctypes.c_uint64),
        ("iocb", ctypes.c_uint64),
        ("result", ctypes.c_int64),
        ("result2", ctypes.c_int64),
    ]


class Vector(ctypes.Structure):
    """struct iovec."""

    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class Aio:
    """A context of up to `depth` operations. `eventfd` is readable when some have ended. `close` at the end."""

    def __init__(self, depth: int) -> None:
        key = (platform.machine(), sys.maxsize > 2**32)
        if key not in _CALLS:
            raise OSError(errno.ENOSYS, f"no Linux AIO known for {key[0]}")
        self._setup, self._destroy, self._submit, self._cancel, self._getevents = _CALLS[key]
        libc = ctypes.CDLL(None, use_errno=True)
        self._syscall = libc.syscall
        self._syscall.restype = ctypes.c_long
        self._context = ctypes.c_ulong(0)
        self._call(self._setup, ctypes.c_long(depth), ctypes.byref(self._context))
        self.eventfd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._blocks = (_Iocb * depth)()
        self._block_bytes = ctypes.sizeof(_Iocb)
        self._blocks_at = ctypes.addressof(self._blocks)
        self._events = (_Event * _EVENTS)()
        self._free = list(range(depth))
        self._busy: dict[int, tuple[Any, object]] = {}
        self._slot_of: dict[int, int] = {}

    def write(self, fd: int, chunks: Sequence[memoryview], tag: object) -> None:
        """Queue the bytes of `chunks`, one after the other (none: an empty transfer). They must not change."""
        self._start(fd, _PWRITEV, chunks, tag)

    def read(self, fd: int, into: memoryview, tag: object) -> None:
        """Queue a read."""
        self._start(fd, _PREADV, [into], tag)

    def cancel(self, tag: object) -> None:
        """Take an operation back if it can still be: it then ends with a negative result, like any other."""
        slot = self._slot_of.get(id(tag))
        if slot is not None:
            at = self._blocks_at + slot * self._block_bytes
            event = _Event()
            self._syscall(
                ctypes.c_long(self._cancel), self._context, ctypes.c_void_p(at), ctypes.byref(event)
            )  # EINPROGRESS: it will end; EINVAL: it has ended

    @property
    def in_flight(self) -> int:
        return len(self._busy)

    def ended(self, wait_s: float = 0.0) -> list[tuple[Any, int]]:
        """(tag, bytes or negative errno) of what has ended since; waits for the first one up to `wait_s`."""
        try:
            os.eventfd_read(self.eventfd)
        except BlockingIOError:
            pass
        found: list[tuple[Any, int]] = []
        while self._busy:
            least = 1 if wait_s and not found else 0
            timeout = (
                (ctypes.c_long * 2)(int(wait_s), int(wait_s % 1 * 1e9)) if least else (ctypes.c_long * 2)()
            )
            count = self._call(
                self._getevents,
                self._context,
                ctypes.c_long(least),
                ctypes.c_long(_EVENTS),
                self._events,
                timeout,
            )
            for event in self._events[:count]:
                tag, _kept = self._busy.pop(event.data)
                del self._slot_of[id(tag)]
                self._free.append(event.data)
                found.append((tag, event.result))
            if count < _EVENTS:
                break
        return found

    def forget(self, fd: int) -> None:
        """A descriptor is about to be closed: nothing of it is kept here."""

    def close(self) -> None:
        """End all that is in flight, and wait for it."""
        if self._context.value:
            self._call(self._destroy, self._context)
            self._context.value = 0
            self._busy.clear()
            os.close(self.eventfd)

    def _start(self, fd: int, opcode: int, chunks: Sequence[memoryview], tag: object) -> None:
        slot = self._free.pop()
        vectors = (Vector * max(len(chunks), 1))()
        arrays = [np.frombuffer(chunk, np.uint8) for chunk in chunks if len(chunk)]
        for vector, array in zip(vectors, arrays, strict=False):
            vector.base, vector.length = array.ctypes.data, len(array)
        block = self._blocks[slot]
        block.data, block.opcode, block.fd = slot, opcode, fd
        block.vectors, block.count = ctypes.addressof(vectors), max(len(arrays), 1)
        block.flags, block.eventfd = _FLAG_RESFD, self.eventfd
        pointer = ctypes.c_void_p(self._blocks_at + slot * self._block_bytes)
        self._busy[slot] = (tag, (vectors, arrays))
        self._slot_of[id(tag)] = slot
        try:
            self._call(self._submit, self._context, ctypes.c_long(1), ctypes.byref(pointer))
        except OSError:
            del self._busy[slot], self._slot_of[id(tag)]
            self._free.append(slot)
            raise

    def _call(self, number: int, *arguments: Any) -> int:
        result: int = self._syscall(ctypes.c_long(number), *arguments)
        if result < 0:
            code = ctypes.get_errno()
            raise OSError(code, f"AIO: {os.strerror(code)}")
        return result
