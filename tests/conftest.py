"""What every test obeys: nothing is skipped in CI, and no thread or socket outlives its test."""

import os
import threading
from collections.abc import Iterator

import pytest

_skipped: list[str] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fuzz-cases", type=int, default=100_000, metavar="N", help="mutated packets that the fuzzer sends"
    )
    parser.addoption(
        "--whole-matrix",
        action="store_true",
        help="each mutant meets all unrelated checks, not one in twenty",
    )


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped:
        _skipped.append(f"{report.nodeid}: {report.longrepr}")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """In CI the set of skips is empty: a test that lacks its tool has not passed."""
    if _skipped and os.environ.get("CI") == "true":
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print(f"\n{len(_skipped)} tests were skipped, which CI does not accept:")
        print("\n".join(_skipped))


@pytest.fixture(autouse=True)
def no_leaked_threads() -> Iterator[None]:
    """A test must end every thread it started."""
    before = set(threading.enumerate())
    yield
    leaked = [t for t in threading.enumerate() if t not in before and t.is_alive() and not t.daemon]
    for thread in leaked:
        thread.join(5)
    still = [t.name for t in leaked if t.is_alive()]
    assert not still, f"threads left running: {still}"
