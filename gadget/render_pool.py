"""Threads that render for all cameras of a process: one for each processor, the most urgent frame first.

A camera has a `Lane`: its jobs are done one after the other, in the order they were given, so frames arrive in order
and a frame source is never used twice at once. Of the lanes that have something to do, a free thread takes the one
whose next job is due first. State: the lanes' queues, and which lanes a thread is at. Always true: a lane is at most
in one thread; a job's `done` runs in the thread that owns the cameras, by `call_back`.
"""

import heapq
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import count

from gadget.time.slices import LONG_NS, ask_for_slices

log = logging.getLogger(__name__)

Job = Callable[[], None]
PAUSE_S = 50e-6
WORK_PER_PAUSE = 2
"""How much longer than the last pause a renderer works until the next one: where a pause takes 0.3 ms (in a kernel
that is itself a process, for example) they would otherwise take half of each frame's time."""


class RenderPool:
    """A context manager. `threads`: 0 for as many as there are processors."""

    def __init__(
        self,
        call_back: Callable[[Job], None],
        threads: int = 0,
        *,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._call_back = call_back
        self._clock_ns = clock_ns
        self._sleep = sleep
        self._works_until_ns = 0
        self._ready: list[tuple[int, int, Lane]] = []
        self._sequence = count()
        self._changed = threading.Condition()
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._work, name=f"render-{number}", daemon=True)
            for number in range(threads or len(os.sched_getaffinity(0)))
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> "RenderPool":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop what waits and end the threads, after the jobs they are at."""
        with self._changed:
            self._stopping = True
            self._ready.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def pause(self) -> None:
        """In the middle of a frame: let whoever waits for this processor have it, unless frames wait too.

        A thread that wakes up may have to wait for the next tick (4 ms) until it can interrupt this one.
        """
        now_ns = self._clock_ns()
        if self._ready or now_ns < self._works_until_ns:
            return
        self._sleep(PAUSE_S)
        awake_ns = self._clock_ns()
        self._works_until_ns = awake_ns + WORK_PER_PAUSE * (awake_ns - now_ns)

    def lane(self) -> "Lane":
        return Lane(self)

    def run(self, lane: "Lane", render: Job, done: Job, due_ns: int) -> None:
        with self._changed:
            lane.jobs.append((render, done, due_ns))
            if not lane.is_busy and len(lane.jobs) == 1:
                self._enter(lane)

    def _enter(self, lane: "Lane") -> None:
        heapq.heappush(self._ready, (lane.jobs[0][2], next(self._sequence), lane))
        self._changed.notify()

    def _work(self) -> None:
        ask_for_slices(LONG_NS)
        while True:
            with self._changed:
                while not self._ready and not self._stopping:
                    self._changed.wait()
                if self._stopping:
                    return
                lane = heapq.heappop(self._ready)[2]
                render, done, _ = lane.jobs.popleft()
                lane.is_busy = True
            try:
                render()
            except Exception:
                log.exception("a frame could not be rendered")
            self._call_back(done)
            del render, done  # they hold views of a frame buffer
            with self._changed:
                lane.is_busy = False
                if lane.jobs and not self._stopping:
                    self._enter(lane)


class Lane:
    """The jobs of one camera, for `RenderPool`."""

    def __init__(self, pool: RenderPool) -> None:
        self.jobs: deque[tuple[Job, Job, int]] = deque()
        self.is_busy = False
        self._pool = pool

    def run(self, render: Job, done: Job, due_ns: int) -> None:
        """Have `render` called by one of the threads, then `done` by the cameras' own."""
        self._pool.run(self, render, done, due_ns)
