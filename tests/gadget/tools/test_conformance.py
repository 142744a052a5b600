"""Conformance runs over cameras in this process: what passes, what a run says, and that the catalogue is whole."""

from pathlib import Path

import pytest

from gadget.runner import CameraSpec
from gadget.tools.conformance.routes import in_process
from u3v.errors import Mistake
from u3v.host.conformance.context import Context, Level
from u3v.host.conformance.declare import CATALOGUE
from u3v.host.conformance.families import ORDER, all_checks
from u3v.host.conformance.run import Run, select
from u3v.model import model_names
from u3v.wire.usb import Speed

IDS = (Path(__file__).parents[2] / "u3v/host/conformance_ids.txt").read_text("utf-8").split()

DEVIATIONS = {
    "SI-016": "a plan that is too small gives frames with trailer status A101: --strict refuses it",
    "SI-019": "sizes that are not aligned are taken, as Aravis writes them: --strict refuses them",
    "EVT-010": "event ids are in wireshark's range of devices, 0x9000 and up",
}
"""Checks below `must` that our cameras do not pass, and why that is wanted."""


def failures(spec: CameraSpec, *only: str) -> dict[str, str]:
    """What did not pass on this camera: id -> result and reason."""
    with in_process(spec) as route:
        run = Run(Context(route), select(all_checks(), Level.DEFAULT, only))
        return {
            o.check.id: f"{o.result}: {o.reason}"
            for o in run.outcomes()
            if o.result in ("fail", "error") and o.check.id not in DEVIATIONS
        }


@pytest.mark.parametrize("speed", Speed)
@pytest.mark.parametrize("family", sorted({check.family for check in all_checks()}, key=ORDER.index))
def test_a_camera_passes_its_family_of_checks(family: str, speed: Speed) -> None:
    assert failures(CameraSpec("acA4096-40um", speed=speed), f"{family}-*") == {}


@pytest.mark.parametrize("model", model_names())
def test_every_model_passes(model: str) -> None:
    assert failures(CameraSpec(model), "USB-*") == {}


def test_only_known_ids_are_declared() -> None:
    assert set(CATALOGUE) <= set(IDS)


def test_a_pattern_that_fits_nothing_is_a_mistake() -> None:
    with pytest.raises(Mistake, match="USB-DESK"):
        select(all_checks(), Level.DEFAULT, ["USB-DESK-*"])
