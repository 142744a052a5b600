"""The page of all conformance checks, made from their declarations: python -m gadget.tools.conformance.page."""

from itertools import groupby

from u3v.host.conformance.declare import NEEDS, Check, Trace
from u3v.host.conformance.families import all_checks

_TRACES = {Trace.NONE: "", Trace.RESTORED: "restores", Trace.LASTING: "only with `--destructive`"}
_HEAD = """\
# The conformance checks

All {count} checks of [`u3v conform`](conformance.md), made from their declarations by
`python -m gadget.tools.conformance.page > docs/conformance-checks.md`. Severity: {must} are `must`, {should}
`should`, {info} `info`. USB n.n is the USB specification of that number, CV a test of USB-IF's command verifier;
GenCP, GenApi and SFNC are EMVA's standards. The last column says what a check needs, without which it is skipped,
and what it leaves behind:

{needs}
"""


def page() -> str:
    """Markdown."""
    checks = all_checks()
    number = {
        word: sum(check.severity.value == word for check in checks) for word in ("must", "should", "info")
    }
    used = sorted({need for check in checks for need in check.needs})
    needs = "\n".join(f"- `{need}`: {NEEDS[need]}" for need in used)
    parts = [_HEAD.format(count=len(checks), needs=needs, **number)]
    for family, group in groupby(checks, key=lambda check: check.family):
        parts.append(
            f"## {family}\n\n| id | what is done | what passes | rests on | severity | needs, leaves |"
        )
        parts.append("|---|---|---|---|---|---|")
        parts += [_row(check) for check in group]
        parts.append("")
    return "\n".join(parts)


def _row(check: Check) -> str:
    marks = [f"`{need}`" for need in sorted(check.needs)] + [_TRACES[check.trace]] * (
        check.trace is not Trace.NONE
    )
    if check.unbuilt:
        marks = [f"not built: {check.unbuilt}"]
    cells = (check.id, check.done, check.criterion, check.clause, check.severity.value, ", ".join(marks))
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    print(page(), end="")
