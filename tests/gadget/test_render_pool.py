"""P3: cameras do not wait for one another while there are processors, and the most urgent frame comes first."""

import itertools
import threading
from collections.abc import Callable

from gadget.render_pool import RenderPool

PATIENCE_S = 20


def nothing() -> None:
    pass


def test_two_lanes_are_rendered_at_once() -> None:
    both = threading.Barrier(2)
    done = threading.Semaphore(0)
    with RenderPool(lambda job: job(), threads=2) as pool:
        for _ in range(2):
            pool.lane().run(lambda: both.wait(PATIENCE_S) and None, done.release, 0)
        assert all(done.acquire(timeout=PATIENCE_S) for _ in range(2))
    assert not both.broken


def test_a_lane_keeps_its_order_and_is_never_in_two_threads() -> None:
    order: list[int] = []
    inside = threading.Lock()
    done = threading.Semaphore(0)

    def job(number: int) -> Callable[[], None]:
        def render() -> None:
            assert inside.acquire(blocking=False)
            order.append(number)
            inside.release()

        return render

    with RenderPool(lambda job: job(), threads=4) as pool:
        lane = pool.lane()
        for number in range(200):
            lane.run(job(number), done.release, -number)  # later ones are more urgent: no matter
        assert all(done.acquire(timeout=PATIENCE_S) for _ in range(200))
    assert order == list(range(200))


def test_the_most_urgent_lane_comes_first() -> None:
    """One thread is held up while three lanes queue; then they come by what is due, not by who asked first."""
    order: list[int] = []
    hold, began, done = threading.Event(), threading.Event(), threading.Semaphore(0)

    def first() -> None:
        began.set()
        hold.wait(PATIENCE_S)

    with RenderPool(lambda job: job(), threads=1) as pool:
        pool.lane().run(first, done.release, 0)
        assert began.wait(PATIENCE_S)
        for due_ns in (30, 10, 20):
            pool.lane().run(lambda due_ns=due_ns: order.append(due_ns), done.release, due_ns)  # type: ignore[misc]
        hold.set()
        assert all(done.acquire(timeout=PATIENCE_S) for _ in range(4))
    assert order == [10, 20, 30]


def test_an_error_ends_no_thread() -> None:
    done = threading.Semaphore(0)
    with RenderPool(lambda job: job(), threads=1) as pool:
        lane = pool.lane()
        lane.run(lambda: 1 // 0 and None, done.release, 0)
        lane.run(nothing, done.release, 0)
        assert all(done.acquire(timeout=PATIENCE_S) for _ in range(2))


def test_closing_drops_what_waits() -> None:
    began, hold = threading.Event(), threading.Event()
    seen: list[int] = []
    pool = RenderPool(lambda job: job(), threads=1)

    def first() -> None:
        began.set()
        hold.wait(PATIENCE_S)

    pool.lane().run(first, nothing, 0)
    pool.lane().run(lambda: seen.append(1), nothing, 0)
    assert began.wait(PATIENCE_S)
    threading.Timer(0.05, hold.set).start()
    pool.close()
    assert seen == []


def test_pauses_take_a_part_of_the_time_however_long_they_take() -> None:
    """Each pause takes 0.3 ms here: the renderer works twice as long before the next one."""
    now_ns = 0
    slept: list[int] = []

    def sleep(_seconds: float) -> None:
        nonlocal now_ns
        slept.append(now_ns)
        now_ns += 300_000

    with RenderPool(lambda job: job(), threads=1, clock_ns=lambda: now_ns, sleep=sleep) as pool:
        for _ in range(40):
            pool.pause()
            now_ns += 100_000  # a part of a frame
    assert slept[0] == 0
    assert all(b - a == 900_000 for a, b in itertools.pairwise(slept)) and len(slept) > 3
