"""Asking Linux for longer or shorter time slices, so that the loop may interrupt the renderer at once.

Since Linux 6.12 a thread that wakes up takes the processor from a running one with longer slices at once. Between
threads with equal slices it waits for the end of a slice or the next tick, up to 4 ms. In a virtual machine it
often waits even though another processor is idle, because one that the host has put to sleep does not count as
idle. So the loop asks for short slices and the threads that render for long ones: a register is answered while a
frame is being rendered, not after it, and the host's own program gets a processor when its frame arrives. This
needs no privileges, and everybody's share of the processors stays as it was. Older kernels take the request and do
nothing.
"""

import ctypes
import os
import platform
import struct

SHORT_NS = 100_000
LONG_NS = 50_000_000
_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274, "riscv64": 274}
_RESET_ON_FORK = 1
_ATTRIBUTES = struct.Struct("=IIQiIQQQ")  # size, policy, flags, nice, priority, runtime, deadline, period


def ask_for_slices(slice_ns: int) -> bool:
    """Ask for the calling thread; threads that it starts are not affected. False where the system has no such thing."""
    number = _SCHED_SETATTR.get(platform.machine())
    if number is None or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return False
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    attributes = _ATTRIBUTES.pack(_ATTRIBUTES.size, os.SCHED_OTHER, _RESET_ON_FORK, nice, 0, slice_ns, 0, 0)
    system_call = ctypes.CDLL(None).syscall
    system_call.restype = ctypes.c_long
    return bool(system_call(ctypes.c_long(number), 0, attributes, 0) == 0)
