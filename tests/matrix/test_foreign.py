"""A mutant is wrong in one area: no `must` of another one fails.

Which checks a mutant meets in CI is drawn by the names of both, so it is the same in each run; with `--whole-matrix` it
meets all of them. Checks that stream, and those that cost much, are left out.
"""

import zlib

import pytest

from tests.matrix import MUTANTS
from tests.matrix.rig import Mutant
from tests.matrix.test_matrix import BUILT, outcomes
from u3v.host.conformance.declare import Check, Phase, Severity
from u3v.host.conformance.families import all_checks

ONE_IN = 20
AREAS = (
    ("USB", "U3V", "PWR"),
    ("GENCP", "BOOT"),
    ("XML", "SFNC", "FEAT"),
    ("SI", "STREAM", "ACQ", "TRG"),
    ("EVT",),
)
"""Families that a defect may touch together. What concerns all of them (TIME, ROB) meets nobody."""
STREAMING = {
    *(f"USB-EP-{number:03}" for number in (3, 4, 6, 10, 14, 17)),
    *("USB-CH9-035", "GENCP-PND-008", "GENCP-RD-018", "BOOT-SIRM-010"),
}
"""They need all areas at once: whoever cannot stream fails them."""
SLOW = {"XML-019", "XML-020", "XML-028", "XML-030", "SFNC-015"}
MET = [
    check
    for check in all_checks()
    if check.body is not None
    and check.id.startswith(("USB", "U3V", "PWR", "GENCP", "BOOT", "XML", "SFNC"))
    and check.severity is Severity.MUST
    and check.phase is Phase.RUN
    and check.trace.value != "!"
    and check.id not in STREAMING | SLOW
]


def area(check_id: str) -> int:
    family = check_id.partition("-")[0]
    return next((number for number, names in enumerate(AREAS) if family in names), -1)


def foreign(mutant: Mutant) -> list[Check]:
    touched = {area(check_id) for check_id in (*mutant.ids, *mutant.also.split())}
    return [check for check in MET if area(check.id) not in touched]


def is_drawn(mutant: Mutant, check: Check) -> bool:
    return not zlib.crc32(f"{mutant.name} {check.id}".encode()) % ONE_IN


SINGLE = [m for m in MUTANTS if m.also != "*" and area(m.ids[0]) >= 0 and set(m.ids) & BUILT]


@pytest.mark.parametrize("mutant", SINGLE, ids=[m.name.replace(" ", "_") for m in SINGLE])
def test_no_unrelated_check_fails(mutant: Mutant, request: pytest.FixtureRequest) -> None:
    whole = request.config.getoption("--whole-matrix")
    wanted = [check.id for check in foreign(mutant) if whole or is_drawn(mutant, check)]
    said = outcomes(mutant, wanted)
    assert {name: o.reason for name, o in said.items() if o.result in ("fail", "error")} == {}
