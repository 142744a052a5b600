"""Faults, mutants and checks test each other.

That a camera without either passes is tested beside the run (tests/gadget/tools/test_conformance.py).
Every fault makes a check fail that it names; every mutant is caught by all the checks that name it (and by no unrelated
`must`: test_foreign.py); a check that nothing fails is one that is not built.
"""

from collections.abc import Iterable
from pathlib import Path

import pytest

from gadget.faults.catalogue import FAULTS, on_wire, parse_fault
from gadget.faults.wrappers import USB
from gadget.runner import CameraSpec
from tests.matrix import MUTANTS
from tests.matrix.examples import BESIDES, EXAMPLES, VANISHING
from tests.matrix.gencp_id import stacking
from tests.matrix.page import IDS, covered, page, uncovered
from tests.matrix.rig import Mutant, bench
from u3v.host.conformance.context import Context
from u3v.host.conformance.declare import Check, Phase
from u3v.host.conformance.families import all_checks
from u3v.host.conformance.run import Outcome, Run

DOCS = Path(__file__).parents[2] / "docs"
BUILT = {check.id for check in all_checks() if check.body is not None}


def outcomes(mutant: Mutant, ids: Iterable[str]) -> dict[str, Outcome]:
    """What these checks say of a camera. They are chosen before, so that the rest costs nothing."""
    wanted = with_traffic(ids)
    with bench(mutant.spec()) as route:
        mutant.spoil(route.built)
        return {outcome.check.id: outcome for outcome in Run(Context(route), wanted).outcomes()}


def with_traffic(ids: Iterable[str]) -> list[Check]:
    """These checks; where one judges the whole run's traffic, others that make some."""
    wanted = set(ids)
    if any(check.phase is Phase.JOURNAL for check in all_checks() if check.id in wanted):
        wanted |= {
            "GENCP-HDR-001",
            "GENCP-HDR-009",
            "GENCP-RD-001",
            "GENCP-RD-010",
            "GENCP-RD-017",
            "GENCP-WR-001",
            "GENCP-WR-015",
        }
    return [check for check in all_checks() if check.id in wanted]


CAUGHT = [mutant for mutant in MUTANTS if set(mutant.ids) & BUILT]


@pytest.mark.parametrize("mutant", CAUGHT, ids=[f"{m.expected}: {m.name}".replace(" ", "_") for m in CAUGHT])
def test_a_mutant_is_caught_by_the_checks_that_name_it(mutant: Mutant) -> None:
    expected = set(mutant.ids) & BUILT
    said = outcomes(mutant, expected)
    missed = {
        name: (said[name].result, said[name].reason) for name in expected if said[name].result != "fail"
    }
    assert missed == {}


def test_stacked_commands_that_are_right_pass() -> None:
    """Our camera has none: those that the mutants' defects are made in, without a defect."""
    ids = [f"GENCP-STK-{number:03}" for number in range(2, 6)]
    right = Mutant("stacked commands", " ".join(ids), stacking())
    assert {name: outcome.result for name, outcome in outcomes(right, ids).items()} == dict.fromkeys(
        ids, "pass"
    )


SEEN = [name for name, kind in FAULTS.items() if set(kind.fails) & BUILT]


@pytest.mark.parametrize("name", SEEN)
def test_a_fault_is_seen_by_a_check(name: str) -> None:
    """Each fault, with parameters that let it strike, fails one of the checks it names, or (a legal one) is noted."""
    kind, texts = FAULTS[name], EXAMPLES[name]
    wanted = set(kind.fails) & BUILT
    seen: set[str] = set()
    for text in texts:
        fault = parse_fault(text)
        spec = CameraSpec("acA4096-40um", faults=(fault,))
        with bench(spec) as route:
            run = Run(Context(route), with_traffic(wanted | BESIDES.get(name, set())))
            results = list(run.outcomes())
            struck = route.built.faults.struck()
        if name in VANISHING and run.vanished:
            seen |= {o.check.id for o in results if o.result == "fail" and "vanished" in o.reason}
        seen |= {
            o.check.id
            for o in results
            if o.check.id in wanted and (o.result == "fail" or (kind.legal and o.notes))
        }
        assert struck, text
    assert seen, {o.check.id: (o.result, o.reason) for o in results}


def test_every_fault_has_an_example() -> None:
    assert set(EXAMPLES) == set(on_wire(USB))


def test_every_check_is_named_by_a_fault_or_a_mutant() -> None:
    """What fails here: make a mutant, our camera with the one defect that the new check is for."""
    assert [check for check, why in uncovered().items() if not why] == []
    assert covered() - set(IDS) == set(), "no check is called so"


def test_the_page_is_the_matrix() -> None:
    """What fails here is cured by: python -m tests.matrix.page > docs/fault-matrix.md"""
    assert (DOCS / "fault-matrix.md").read_text("utf-8") == page()
