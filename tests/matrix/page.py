"""docs/fault-matrix.md: which fault and which mutant each conformance check is known to see.

python -m tests.matrix.page > docs/fault-matrix.md
"""

from pathlib import Path

from gadget.faults.catalogue import FAULTS
from tests.matrix import MUTANTS
from u3v.host.conformance.families import all_checks

HERE = Path(__file__).parent
IDS = (HERE.parent / "u3v/host/conformance_ids.txt").read_text("utf-8").split()
HEAD = """# Faults, mutants and checks

Whether a conformance run sees anything is a question of its own. So faults and checks test each other
(`tests/matrix`): each [fault](faults.md) that is set fails a check of its row here; each mutant, our camera with
exactly one change such as a wrong byte in a descriptor, is caught by all the checks that name it; a camera without
either fails no `must`. A foreign proxy that alters bytes of USB/IP traffic is caught as well
(`tests/matrix/test_proxy.py`), and bytes at places drawn from a seed are (`tests/matrix/test_altered.py`).

A fault may be seen by one of the checks that name it, not by all: which one depends on its parameters.
"""


def uncovered() -> dict[str, str]:
    """The checks that no fault and no mutant is known to fail, and why they are not built ("": they are)."""
    return {check.id: check.unbuilt for check in all_checks() if check.id not in covered()}


def covered() -> set[str]:
    ids = {each for mutant in MUTANTS for each in mutant.ids}
    return ids | {each for kind in FAULTS.values() for each in kind.fails}


def page() -> str:
    lines = [HEAD, "| check | faults | mutants |", "|---|---|---|"]
    for check in IDS:
        faults = [name for name, kind in FAULTS.items() if check in kind.fails]
        mutants = [mutant.name for mutant in MUTANTS if check in mutant.ids]
        if faults or mutants:
            lines.append(f"| {check} | {', '.join(faults)} | {'; '.join(mutants)} |")
    lines += ["", "## Not covered", ""]
    missing = uncovered()
    lines += ["", f"{len(missing)} of {len(IDS)} checks are failed by nothing, for they are not built:", ""]
    lines += [f"- {check}: {missing[check]}." for check in IDS if check in missing]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
