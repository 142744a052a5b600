"""What a conformance run found, as one JSON object; and what changed since an earlier one.

The object is all that other forms (terminal, JUnit, HTML) are made from. `checks` has each check of the run with
"id", "clause" and "result" (pass, fail, skip, error); bytes are hexadecimal, cut after KEPT_BYTES.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from u3v.errors import Mistake, U3VError
from u3v.host.conformance.context import Context
from u3v.host.conformance.endpoint0 import Evidence
from u3v.host.conformance.run import ERROR, FAIL, PASS, SKIP, Outcome, Run

KEPT_BYTES = 192
KEPT_OF_PASSED = 3
"""Lines of evidence of a check that passed; of others there are as many as were kept."""
SHIFT = 0.1
"""A median that moves by more than this share is told when two runs are compared."""
RESULTS = (PASS, FAIL, ERROR, SKIP)
DONE, FAILED, VANISHED, INTERRUPTED = 0, 1, 3, 130
"""Exit codes."""

_TEXTS = {
    "Vendor": 0x004,
    "Model": 0x044,
    "Serial number": 0x144,
    "Device version": 0x0C4,
    "Manufacturer info": 0x104,
}


@dataclass(frozen=True, slots=True)
class Change:
    """A check whose result is not what it was."""

    id: str
    before: str
    now: str


def camera_facts(context: Context) -> dict[str, str]:
    """Who the camera is, as far as it says so."""
    facts: dict[str, str] = {}
    for name, address in _TEXTS.items():
        try:
            facts[name] = context.rd(address, 64).split(b"\0")[0].decode("utf-8", "replace")
        except U3VError:
            facts[name] = "(unreadable)"
    try:
        device = context.device
        facts["USB id"] = (
            f"{int.from_bytes(device[8:10], 'little'):04x}:{int.from_bytes(device[10:12], 'little'):04x}"
        )
        facts["Link"] = {"SS": "SuperSpeed", "HS": "High-Speed"}[context.speed]
    except U3VError:
        pass
    return facts


def exit_code(run: Run, *, complete: bool) -> int:
    if run.vanished:
        return VANISHED
    if not run.ok:
        return FAILED
    return DONE if complete else INTERRUPTED


def as_json(run: Run, camera: Mapping[str, str], *, complete: bool, started: str) -> dict[str, Any]:
    """The report. `started`: the date, as text."""
    context = run.context
    return {
        "tool": f"u3v {version('u3v')}",
        "target": context.route.name,
        "clock": context.route.clock,
        "started": started,
        "level": context.level.value,
        "complete": complete,
        "vanished": run.vanished,
        "ok": run.ok,
        "exit_code": exit_code(run, complete=complete),
        "camera": dict(camera),
        "counts": counts([outcome.result for outcome in run.done]),
        "checks": [_check(outcome, outcome.counts(context.level)) for outcome in run.done],
        "series": {
            name: [round(value, 3) for value in values] for name, values in context.journal.series.items()
        },
    }


def counts(results: Sequence[str]) -> dict[str, int]:
    found = Counter(results)
    return {result: found[result] for result in RESULTS}


def _check(outcome: Outcome, matters: bool) -> dict[str, Any]:
    check = outcome.check
    lines = outcome.evidence if outcome.result != PASS else outcome.evidence[-KEPT_OF_PASSED:]
    return {
        "id": check.id,
        "clause": check.clause,
        "result": outcome.result,
        "severity": check.severity.value,
        "counts": matters,
        "done": check.done,
        "criterion": check.criterion,
        "reason": outcome.reason,
        "notes": list(outcome.notes),
        "took_ms": round(outcome.took_ns / 1e6, 3),
        "evidence": [_line(line) for line in lines],
    }


def _line(line: Evidence) -> dict[str, Any]:
    shown = line.data[:KEPT_BYTES].hex(" ")
    return {"what": line.what, "bytes": shown, "length": len(line.data), "means": line.means}


def load(path: Path) -> dict[str, Any]:
    """An earlier report. Raises Mistake, one line."""
    try:
        report = json.loads(path.read_text("utf-8"))
        results = {each["id"]: each["result"] for each in report["checks"]}
    except OSError as error:
        raise Mistake(f"{path}: {error.strerror or error}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise Mistake(f"{path} is no report of a conformance run: write one with --json {path}") from error
    if not results:
        raise Mistake(f"{path} has no checks to compare with")
    return dict(report)


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    """Checks of both runs whose result changed."""
    earlier = {each["id"]: each["result"] for each in before["checks"]}
    found = [(each["id"], earlier.get(each["id"], ""), each["result"]) for each in now["checks"]]
    return [Change(id, old, new) for id, old, new in found if old and old != new]


def shifts(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, float, float]]:
    """(measurement, median before, median now) where these differ by more than a tenth."""
    both = [name for name, values in now["series"].items() if values and before.get("series", {}).get(name)]
    medians = [(name, median(before["series"][name]), median(now["series"][name])) for name in both]
    return [(name, old, new) for name, old, new in medians if abs(new - old) > SHIFT * abs(old)]


def failed(report: Mapping[str, Any], severity: str = "") -> list[dict[str, Any]]:
    """The checks that failed or broke, of a severity or of all."""
    return [
        each
        for each in report["checks"]
        if each["result"] in (FAIL, ERROR) and severity in ("", each["severity"])
    ]


def skipped(report: Mapping[str, Any]) -> dict[str, list[str]]:
    """Reason -> ids of the checks that were skipped for it, the most frequent one first."""
    found: dict[str, list[str]] = {}
    for each in report["checks"]:
        if each["result"] == SKIP:
            found.setdefault(each["reason"], []).append(each["id"])
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def verdict(report: Mapping[str, Any]) -> str:
    """One line."""
    if report["vanished"]:
        return "the camera vanished during the run"
    bad = sum(each["counts"] for each in report["checks"])
    graded = "checks" if bad != 1 else "check"
    graded += "" if report["level"] == "strict" else " of severity must"
    state = "" if report["complete"] else "interrupted: "
    return f"{state}{bad} {graded} failed" if bad else f"{state}no check that counts failed"


def summary(report: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> list[str]:
    """For a terminal, behind what was said while it ran."""
    camera, number = report["camera"], report["counts"]
    lines = [
        f"{camera.get('Vendor', '')} {camera.get('Model', '')} {camera.get('Serial number', '')}, {report['target']}",
        f"{sum(number.values())} checks: {number[PASS]} passed, {number[FAIL]} failed, {number[ERROR]} broke, "
        f"{number[SKIP]} skipped",
    ]
    for reason, ids in list(skipped(report).items())[:12]:
        lines.append(f"  skipped {len(ids)}: {reason} ({', '.join(ids[:3])}{' ...' * (len(ids) > 3)})")
    if before is not None:
        found = changes(before, report)
        lines.append(f"{len(found)} results changed since {before.get('started', 'the earlier run')}")
        lines += [f"  {change.id}: {change.before} -> {change.now}" for change in found]
        lines += [f"  median of {name}: {old:g} -> {new:g}" for name, old, new in shifts(before, report)]
    return [*lines, verdict(report)]
