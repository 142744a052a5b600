"""How a check is declared: one function with its id, what it does, what passes, and on what that rests.

The declaration is the only place where a check is described: listing, documentation, report, JUnit names and the
matrix of faults are readers of it. State: `CATALOGUE`, filled while the modules of the families are imported
(`families.all_checks` does that). Always true: an id is declared once, and each one has a function or says why not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, NoReturn

from u3v.errors import U3VError

if TYPE_CHECKING:
    from u3v.host.conformance.context import Context

NEEDS = {
    "str": "a stream interface",
    "evt": "an event interface",
    "trg": "a software trigger",
    "SS": "a SuperSpeed link",
    "HS": "a High-Speed link",
    "raw0": "a route that carries control requests which the host's kernel would refuse",
    "bus": "reset, replug or another speed under the program's control",
    "pend": "a way to make a command slow",
    "sim": "a virtual camera",
    "2dev": "two cameras",
    "meter": "a current meter",
    "gapi": "the GenApi reference implementation (PyPI package genicam)",
    "overlap": "a route with several requests in flight",
    "long": "the level long",
}


class Severity(Enum):
    """What a failure means. MUST: hosts break. SHOULD: the standard says so, cameras differ. INFO: never fails."""

    MUST = "must"
    SHOULD = "should"
    INFO = "info"


class Trace(Enum):
    """What a check leaves behind: nothing, nothing once it has restored it, or something that stays."""

    NONE = "-"
    RESTORED = "r"
    LASTING = "!"


class Phase(Enum):
    """When a check runs: among the others; at the end of the run; or as a judgement over the run's journal."""

    RUN = 0
    END = 1
    JOURNAL = 2


MUST, SHOULD, INFO = Severity.MUST, Severity.SHOULD, Severity.INFO


class Failed(U3VError):
    """The device does not do what the check asks for."""


class Skipped(U3VError):
    """The check cannot say anything about this device on this route. The text is the reason."""


def fail(text: str) -> NoReturn:
    """The check ends here, failed."""
    raise Failed(text)


def skip(reason: str) -> NoReturn:
    """The check ends here and says nothing."""
    raise Skipped(reason)


def expect(holds: object, otherwise: str) -> None:
    """Raises Failed, with what is wrong, unless it holds."""
    if not holds:
        raise Failed(otherwise)


Body = Callable[["Context"], None]
AtStart = Callable[["Context"], Any]


@dataclass(frozen=True, slots=True)
class Check:
    """A check's declaration. `clause` is what it rests on; `needs` are keys of NEEDS.

    `at_start` runs before all checks; what it returns is in `Context.kept` under the check's id.
    `body` is None where the check is not built, and `unbuilt` says why. `withheld`: why this run leaves it out.
    """

    id: str
    done: str
    criterion: str
    clause: str
    severity: Severity
    needs: frozenset[str]
    trace: Trace
    phase: Phase
    body: Body | None
    at_start: AtStart | None = None
    unbuilt: str = ""
    withheld: str = ""

    @property
    def family(self) -> str:
        """The id without its number, such as GENCP-RD."""
        return self.id.rpartition("-")[0]


CATALOGUE: dict[str, Check] = {}


def check(
    id: str,
    done: str,
    criterion: str,
    clause: str,
    severity: Severity = MUST,
    *,
    needs: str = "",
    trace: str = "-",
    phase: Phase = Phase.RUN,
    at_start: AtStart | None = None,
) -> Callable[[Body], Body]:
    """Declare the check whose function follows. It returns when passed, and raises Failed or Skipped.

    `needs`: keys of NEEDS, separated by blanks. `trace`: "-" leaves nothing behind, "r" restores what it
    changed, "!" changes something for good (runs only where that was asked for).
    """

    def declared(body: Body) -> Body:
        words = frozenset(needs.split())
        _enter(Check(id, done, criterion, clause, severity, words, Trace(trace), phase, body, at_start))
        return body

    return declared


def unbuilt(
    id: str, done: str, criterion: str, clause: str, why: str, severity: Severity = MUST, *, needs: str = ""
) -> None:
    """Declare a check of the catalogue that does not exist here, and say why."""
    words = frozenset(needs.split())
    _enter(Check(id, done, criterion, clause, severity, words, Trace.NONE, Phase.RUN, None, unbuilt=why))


def _enter(declared: Check) -> None:
    if declared.id in CATALOGUE:
        raise ValueError(f"{declared.id} is declared twice")
    if unknown := declared.needs - NEEDS.keys():
        raise ValueError(f"{declared.id} needs {', '.join(sorted(unknown))}, which is none of NEEDS")
    CATALOGUE[declared.id] = declared
