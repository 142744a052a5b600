"""The loop and signals."""

import signal
import socket
import threading
from collections.abc import Callable

import pytest

from gadget.time.loop import MOST_NS, READ, Loop
from gadget.time.signals import handled
from gadget.time.simulated import SimulatedLoop


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


class TooSlow:
    """A service with something due each millisecond, which takes two to do."""

    def __init__(self) -> None:
        self.clock_ns = self.due_ns = 10**9

    def next_wakeup_ns(self) -> int:
        return self.due_ns

    def service(self, now_ns: int) -> None:
        while self.due_ns <= now_ns:
            self.due_ns += 1_000_000
            self.clock_ns += 2_000_000


def test_a_loop_that_cannot_keep_up_still_looks_at_its_descriptors() -> None:
    service = TooSlow()
    loop = Loop(lambda: service.clock_ns)
    loop.services.append(service)
    here, there = socket.socketpair()
    seen: list[int] = []
    loop.watch(here, READ, lambda _mask: seen.append(len(here.recv(1))))
    service.clock_ns += 3 * 10**9  # the machine was busy with something else
    for asked in range(1, 4):
        there.send(b"?")
        asked_ns = service.clock_ns
        while len(seen) < asked:
            loop.step()
        assert service.clock_ns - asked_ns < 200_000_000
    assert service.due_ns <= loop.now_ns() + MOST_NS < service.clock_ns
    for end in (here, there):
        end.close()
    loop.close()


def test_a_loop_that_waited_for_nothing_has_the_present_time() -> None:
    service = TooSlow()
    loop = Loop(lambda: service.clock_ns)
    loop.step(0.0)
    service.clock_ns += 5 * 10**9
    assert loop.now_ns() == service.clock_ns
    loop.close()


def test_calls_that_make_calls_do_not_keep_a_loop_from_its_descriptors() -> None:
    loop = Loop()
    here, there = socket.socketpair()
    seen: list[bytes] = []
    loop.watch(here, READ, lambda _mask: seen.append(here.recv(1)))

    def again() -> None:
        if not seen:
            loop.call_threadsafe(again)

    loop.call_threadsafe(again)
    loop.step()
    there.send(b"?")
    loop.step()
    assert seen == [b"?"]
    for end in (here, there):
        end.close()
    loop.close()


@pytest.mark.parametrize("make", [Loop, SimulatedLoop])
def test_calls_that_are_to_come_later_come_in_their_order_by_the_machines_own_time(
    make: Callable[[], Loop],
) -> None:
    loop, called, threads = make(), list[str](), threading.active_count()
    for delay_s, name in ((0.02, "second"), (0.01, "first")):
        loop.call_later(delay_s, lambda name=name: called.append(name))  # type: ignore[misc]
    cancel = loop.call_later(0.015, lambda: called.append("cancelled"))
    cancel()
    cancel()
    loop.call_later(0.03, loop.stop)
    loop.run()
    assert called == ["first", "second"] and threading.active_count() == threads
    loop.close()
