"""Signals: who handles them, and who must not."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterable, Iterator


@contextlib.contextmanager
def handled(numbers: Iterable[signal.Signals], handler: Callable[[int, object], None]) -> Iterator[None]:
    """Call `handler` for these signals, except those that were ignored when this process started.

    Whoever ignored them means us too: `nohup u3v serve ...` is to outlive its terminal's SIGHUP, and a shell
    without job control keeps Ctrl-C from `u3v serve ... &`. For the main thread only.
    """
    before = {number: signal.getsignal(number) for number in numbers}
    ours = {number: old for number, old in before.items() if old not in (signal.SIG_IGN, None)}
    for number in ours:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in ours.items():
            signal.signal(number, old)


@contextlib.contextmanager
def woken_by_signals(descriptor: int) -> Iterator[None]:
    """Have every signal write to this non-blocking descriptor. One that comes in the instant before the main thread
    begins to wait, or to another thread, would else be looked at when something else happens, which may be never."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
