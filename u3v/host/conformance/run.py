"""A run: the chosen checks one after the other, each with its outcome; and the verdict over all of them.

A check never depends on others: after one that did not pass, the camera is brought back to where checks start. The
checks of the end and those over the journal come last. A camera that vanishes ends the run: what is left is
skipped with that reason.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from u3v.did_you_mean import hint
from u3v.errors import Mistake, U3VError
from u3v.host.bus import UsbError, UsbGone
from u3v.host.conformance.context import Context, Level
from u3v.host.conformance.declare import Check, Failed, Phase, Severity, Skipped, Trace
from u3v.host.conformance.endpoint0 import Evidence, Page

PASS, FAIL, SKIP, ERROR = "pass", "fail", "skip", "error"
GONE = "the device vanished"
LASTING = "changes something for good, or resets the camera: only with --destructive"
QUICK_FAMILIES = ("USB-DESC", "USB-CFG", "USB-BOS", "USB-STR", "U3V-DESC")
QUICK_PREFIX = "BOOT-"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a check. `reason` is one line where it did not pass; times are the route's clock."""

    check: Check
    result: str
    reason: str = ""
    notes: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    started_ns: int = 0
    took_ns: int = 0

    def counts(self, level: Level) -> bool:
        """Whether this outcome makes the run fail: a `must` (strict: also a `should`) that failed, or an error."""
        graded = (Severity.MUST, Severity.SHOULD) if level is Level.STRICT else (Severity.MUST,)
        return self.result in (FAIL, ERROR) and self.check.severity in graded


@dataclass(slots=True)
class Run:
    """Iterate over `outcomes`, or call `begin`, then `one` for each check. `vanished`: the camera is gone for good."""

    context: Context
    checks: list[Check]
    vanished: bool = False
    done: list[Outcome] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.vanished and not any(o.counts(self.context.level) for o in self.done)

    def outcomes(self) -> Iterator[Outcome]:
        """Run the checks; each outcome as it comes, and all of them in `done`."""
        self.begin()
        for each in sorted(self.checks, key=lambda c: c.phase.value):  # stable: the catalogue's order within
            yield self.one(each)

    def begin(self) -> None:
        """Open the camera, and what checks want to know of it before all others run."""
        context = self.context
        try:
            context.open()
            for each in self.checks:
                if each.at_start is not None and not context.lacking(each):
                    try:
                        context.kept[each.id] = each.at_start(context)
                    except (Failed, Skipped) as error:
                        context.kept[each.id] = Skipped(f"nothing to compare with: {error}")
        except UsbGone:
            self.vanished = True

    def one(self, each: Check) -> Outcome:
        """Run one check."""
        outcome = self._outcome(each)
        self.done.append(outcome)
        return outcome

    def _outcome(self, each: Check) -> Outcome:
        context = self.context
        context.page, context.check = Page(), each.id
        if each.body is None:
            return Outcome(each, SKIP, f"not built: {each.unbuilt}")
        if each.withheld:
            return Outcome(each, SKIP, each.withheld)
        if self.vanished:
            return Outcome(each, SKIP, GONE)
        started_ns, said = context.now_ns(), len(context.journal.exchanges)
        lacking = self._lacking(each)
        result, reason = (SKIP, lacking) if lacking else self._judge(each)
        took_ns = context.now_ns() - started_ns
        page = context.page
        if result != PASS and not lacking:
            context.page = Page()
            reason += self._recover(quick=result == SKIP)
        page.notes += self._put_back(said)
        return Outcome(each, result, reason, tuple(page.notes), tuple(page.evidence), started_ns, took_ns)

    def _put_back(self, said: int) -> list[str]:
        """What the check that began at this exchange has left behind, restored now."""
        context, guard = self.context, self.context.guard
        if guard is None or self.vanished or not guard.is_touched(context.journal.exchanges[said:]):
            return []
        context.page = Page()
        try:
            return [f"left behind, and put back by the run: {each}" for each in guard.put_back()]
        except U3VError as error:
            return [f"what it left behind cannot be told: {error}"]

    def _lacking(self, each: Check) -> str:
        try:
            return self.context.lacking(each)
        except UsbGone:
            return ""  # the check itself finds out

    def _judge(self, each: Check) -> tuple[str, str]:
        assert each.body is not None
        try:
            kept = self.context.kept.get(each.id)
            if isinstance(kept, Skipped):
                return SKIP, str(kept)
            each.body(self.context)
        except Skipped as skipped:
            return SKIP, str(skipped)
        except UsbGone as gone:
            return FAIL, f"{GONE}: {gone}"
        except UsbError as error:
            return FAIL, str(error)
        except (U3VError, struct.error, IndexError) as error:  # bytes too short to be what they should be
            return FAIL, str(error) or type(error).__name__
        except Exception as error:
            return ERROR, f"the check itself failed: {type(error).__name__}: {error}"
        return PASS, ""

    def _recover(self, *, quick: bool) -> str:
        try:
            self.context.settle(quick=quick)
        except UsbGone:
            return self._find_again()
        return ""

    def _find_again(self) -> str:
        try:
            self.context.route.reopen()
            self.context.open()
            self.context.settle()
        except UsbGone:
            self.vanished = True
            return f" ({GONE})"
        return " (the device was gone, and came back)"


def select(
    checks: Iterable[Check], level: Level, only: Iterable[str] = (), *, destructive: bool = False
) -> list[Check]:
    """The checks of a level, of these patterns (such as GENCP-*); lasting ones are withheld where not wanted.

    Raises Mistake for a pattern that fits no check.
    """
    known = list(checks)
    patterns = [pattern.upper() for pattern in only]
    for pattern in patterns:
        if not any(fnmatchcase(each.id, pattern) for each in known):
            families = sorted({each.family + "-*" for each in known})
            raise Mistake(
                f"--only {pattern}: no check is called so{hint(pattern, [c.id for c in known] + families)}"
            )
    return [
        each
        if destructive or each.trace is not Trace.LASTING
        else replace(each, withheld=LASTING, at_start=None)
        for each in known
        if (not patterns or any(fnmatchcase(each.id, pattern) for pattern in patterns))
        and (level is not Level.QUICK or patterns or is_quick(each))
    ]


def is_quick(each: Check) -> bool:
    """Descriptors and bootstrap registers, and the first check of each other family."""
    reading = each.family in QUICK_FAMILIES or each.family.startswith(QUICK_PREFIX)
    return (reading or each.id.endswith("-001")) and each.phase is Phase.RUN
