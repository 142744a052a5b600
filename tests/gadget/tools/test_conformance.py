"""Conformance runs over cameras in this process: what passes, what a run says, and that the catalogue is whole."""

from dataclasses import replace
from pathlib import Path

import pytest

from gadget.loopback import LoopbackBus
from gadget.runner import CameraSpec
from gadget.tools.conformance.page import page
from gadget.tools.conformance.routes import in_process
from u3v.errors import Mistake
from u3v.host.bus import WriteBuffer
from u3v.host.conformance.camera import camera_of
from u3v.host.conformance.context import Context, Level
from u3v.host.conformance.families import ORDER, all_checks
from u3v.host.conformance.run import Outcome, Run, select
from u3v.model import model_names
from u3v.wire.usb import Speed

TOP = Path(__file__).parents[3]
IDS = (TOP / "tests/u3v/host/conformance_ids.txt").read_text("utf-8").split()

DEVIATIONS = {
    "SI-016": "a plan that is too small gives frames with trailer status A101: --strict refuses it",
    "SI-019": "sizes that are not aligned are taken, as Aravis writes them: --strict refuses them",
}
"""Checks below `must` that our cameras do not pass, and why that is wanted."""


def failures(spec: CameraSpec, *only: str) -> dict[str, str]:
    """What did not pass on this camera, or left something behind: id -> result and reason."""
    with in_process(spec) as route:
        run = Run(Context(route), select(all_checks(), Level.DEFAULT, only))
        return {
            o.check.id: f"{o.result}: {o.reason} {left(o)}"
            for o in run.outcomes()
            if (o.result in ("fail", "error") and o.check.id not in DEVIATIONS) or left(o)
        }


def left(outcome: Outcome) -> list[str]:
    return [note for note in outcome.notes if note.startswith("left behind")]


READING = ("USB-*", "U3V-*", "GENCP-*", "BOOT-*")
"""Families that need few frames."""


@pytest.mark.parametrize("family", sorted({check.family for check in all_checks()}, key=ORDER.index))
def test_a_camera_passes_its_family_of_checks(family: str) -> None:
    """And leaves the camera as it was: FEAT-026 watches."""
    assert failures(CameraSpec("acA4096-40um"), f"{family}-*", "FEAT-026") == {}


def test_what_a_check_leaves_behind_is_told_and_put_back() -> None:
    def forgets(context: Context) -> None:
        camera_of(context).set("BinningHorizontal", 4)

    chosen = select(all_checks(), Level.DEFAULT, ["FEAT-026", "GENCP-HDR-001"])
    checks = [replace(c, body=forgets) if c.id == "GENCP-HDR-001" else c for c in chosen]
    with in_process(CameraSpec("acA4096-40um")) as route:
        first, last = Run(Context(route), checks).outcomes()
        camera = route.built.camera
        assert (camera.features.get("Width"), camera.features.get("BinningHorizontal")) == (4096, 1)
    assert {note.partition(":")[2].split()[0] for note in left(first)} == {"Width", "BinningHorizontal"}
    assert (first.result, last.check.id, last.result) == ("pass", "FEAT-026", "pass")


def test_a_strict_camera_passes_where_ours_deviates() -> None:
    with in_process(CameraSpec("acA4096-40um", strict=True)) as route:
        run = Run(Context(route), select(all_checks(), Level.DEFAULT, DEVIATIONS))
        assert {o.check.id: o.result for o in run.outcomes()} == dict.fromkeys(DEVIATIONS, "pass")


def test_a_host_that_is_slow_does_not_blame_the_stream_s_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets frames that are old by as much as the camera's memory holds."""
    with in_process(CameraSpec("acA4096-40um")) as route:
        quick = LoopbackBus.bulk_in_into

        def slow(bus: LoopbackBus, endpoint: int, buffer: WriteBuffer, timeout_ms: int) -> int:
            count = quick(bus, endpoint, buffer, timeout_ms)
            bus.run(60_000_000)
            return count

        monkeypatch.setattr(LoopbackBus, "bulk_in_into", slow)
        (outcome,) = Run(Context(route), select(all_checks(), Level.DEFAULT, ["TIME-015"])).outcomes()
    assert (outcome.result, "this host is slow" in outcome.reason) == ("skip", True)


def test_a_camera_at_high_speed_passes() -> None:
    assert failures(CameraSpec("acA4096-40um", speed=Speed.HIGH), *READING) == {}


def test_a_camera_behind_a_kernels_queue_passes() -> None:
    """Its acknowledges are shorter than a packet."""
    gadget = CameraSpec("acA4096-40um", real_bus=True)
    assert failures(gadget, "GENCP-HDR-*", "GENCP-RD-*", "GENCP-WR-*", "BOOT-SBRM-*") == {}


@pytest.mark.parametrize("model", model_names())
def test_every_model_passes(model: str) -> None:
    assert (
        failures(CameraSpec(model), *READING, "XML-00*", "XML-01*", "SFNC-00*", "SI-00*", "STREAM-00*") == {}
    )


def test_every_check_of_the_catalogue_is_declared() -> None:
    assert [check.id for check in all_checks()] == sorted(IDS, key=lambda id: (ORDER.index(id[:-4]), id))


def test_what_is_not_built_says_why() -> None:
    assert all(check.unbuilt for check in all_checks() if check.body is None)


def test_the_page_of_all_checks_is_as_they_are() -> None:
    """What fails here is cured by: python -m gadget.tools.conformance.page > docs/conformance-checks.md"""
    assert (TOP / "docs/conformance-checks.md").read_text("utf-8") == page()


def test_a_pattern_that_fits_nothing_is_a_mistake() -> None:
    with pytest.raises(Mistake, match="USB-DESK"):
        select(all_checks(), Level.DEFAULT, ["USB-DESK-*"])
