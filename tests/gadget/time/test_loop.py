"""The loop and signals."""

import signal
import threading

from gadget.time.loop import Loop
from gadget.time.signals import handled


def test_a_signal_that_another_thread_gets_wakes_the_loop() -> None:
    """As one does that comes in the instant before the loop begins to wait: no system call of the main thread is
    interrupted by it."""
    loop = Loop()

    def kill_myself() -> None:
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)

    with handled([signal.SIGUSR1], lambda *_: loop.call_threadsafe(loop.stop)):
        loop.call_threadsafe(lambda: threading.Timer(0.2, kill_myself).start())
        loop.run()
    assert not loop.stopping
    loop.close()
