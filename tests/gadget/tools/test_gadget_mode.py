"""What a gadget cannot do is said before anything is made."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gadget.budget.bus import parse_bus
from gadget.faults.catalogue import parse_fault
from gadget.runner import CameraSpec, build
from gadget.tools import gadget_mode
from gadget.tools.gadget_mode import locked, prepared
from gadget.udc import mounts
from gadget.udc.controllers import controllers
from tests.gadget.udc.test_controllers import udc
from u3v.errors import Mistake, U3VError
from u3v.wire.usb import Speed

MODEL = "acA4096-40um"


@pytest.fixture(autouse=True)
def root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(gadget_mode.mounts, "need_root", lambda: None)
    monkeypatch.setattr(mounts, "RUN", tmp_path / "run")


def test_cameras_get_controllers_and_their_speed(tmp_path: Path) -> None:
    udc(tmp_path / "udc", "a", "super-speed")
    udc(tmp_path / "udc", "b", "high-speed")
    specs = [CameraSpec(MODEL), CameraSpec(MODEL)]
    assert [found.name for found in prepared(specs, (), tmp_path / "udc")] == ["a", "b"]
    assert [spec.speed for spec in specs] == [Speed.SUPER, Speed.HIGH]
    assert all(spec.real_bus for spec in specs)
    assert [found.name for found in prepared(specs, ("b", "a"), tmp_path / "udc")] == ["b", "a"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda spec: setattr(spec, "clock", "simulated"),
            "--clock simulated: a real host lives in real time",
        ),
        (lambda spec: setattr(spec, "bus", parse_bus("5gbps")), "--bus: the bus of a gadget is the real one"),
        (
            lambda spec: setattr(spec, "faults", (parse_fault("eproto:nth=10"),)),
            "a kernel answers the host's requests, so it cannot be had",
        ),
    ],
)
def test_what_only_a_modelled_bus_can(
    tmp_path: Path, change: Callable[[CameraSpec], None], said: str
) -> None:
    udc(tmp_path, "a")
    spec = CameraSpec(MODEL)
    change(spec)
    with pytest.raises(Mistake, match=said):
        prepared([spec], (), tmp_path)


@pytest.mark.parametrize("name", ["eproto", "busy", "stall", "stuck-endpoint", "bus-reset", "fall-back"])
def test_faults_of_the_bus_cannot_be_had_later_either(name: str) -> None:
    """`u3v ctl add-fault` at a gadget."""
    built = build(CameraSpec(MODEL, real_bus=True), "7")
    with pytest.raises(Mistake, match=f"fault {name}: here the bus is a real one"):
        built.faults.add(parse_fault(name), 0)
    assert built.faults.list() == []
    assert built.faults.add(parse_fault("yank"), 0)["number"] == 1


def test_faults_of_what_a_camera_sends_are_fine(tmp_path: Path) -> None:
    udc(tmp_path, "a")
    assert prepared([CameraSpec(MODEL, faults=(parse_fault("lost-trailer:frame=3"),))], (), tmp_path)


def test_more_controllers_than_cameras(tmp_path: Path) -> None:
    with pytest.raises(Mistake, match="--udc is given 2 times for 1 camera"):
        prepared([CameraSpec(MODEL)], ("a", "b"), tmp_path)


def test_one_process_for_each_controller(tmp_path: Path) -> None:
    udc(tmp_path / "udc", "a")
    (controller,) = controllers(tmp_path / "udc")
    with (
        locked(controller),
        pytest.raises(U3VError, match="another `u3v gadget` serves at a"),
        locked(controller),
    ):
        pass
    with locked(controller):
        pass
