"""The conformance checks as tests: what `pytest --u3v-device=TARGET` collects.

Each check is a test of the same camera, which the plugin opens once; TARGET is what `u3v conform` takes.
"""

import pytest

from u3v.host.conformance.context import Level
from u3v.host.conformance.declare import Check, Severity
from u3v.host.conformance.families import all_checks
from u3v.host.conformance.run import ERROR, FAIL, PASS, Run, select

CHECKS = sorted(select(all_checks(), Level.DEFAULT), key=lambda check: check.phase.value)


@pytest.mark.parametrize("check", CHECKS, ids=[check.id for check in CHECKS])
def test_conformance(u3v_device: Run, check: Check) -> None:
    outcome = u3v_device.one(check)
    if outcome.result in (FAIL, ERROR) and check.severity is Severity.MUST:
        pytest.fail(f"{check.id}: {outcome.reason} ({check.clause})", pytrace=False)
    if outcome.result != PASS:
        pytest.skip(f"{check.severity.value}: {outcome.reason}")
