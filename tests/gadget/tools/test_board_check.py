"""What --check says, of machines made of files."""

from pathlib import Path

import pytest

from gadget.tools import board_check
from gadget.udc.controllers import Controller
from tests.gadget.udc.test_controllers import udc
from u3v.errors import U3VError


def look(root: Path, takes: bool | None = True, **files: str) -> list[str]:
    for name, text in files.items():
        (root / name).write_text(text)

    def accepts(_controller: Controller) -> bool:
        if takes is None:
            raise U3VError("this kernel has no FunctionFS: `modprobe usb_f_fs` fails")
        return takes

    return board_check.look(root / "udc", accepts, root / "board", root / "throttled")


@pytest.fixture(autouse=True)
def gadgetfs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_check.mounts, "load", lambda *modules: None)
    monkeypatch.setattr(board_check.mounts, "knows", lambda kind: kind == "gadgetfs")


def test_a_board_with_everything(tmp_path: Path) -> None:
    udc(tmp_path / "udc", "fc000000.usb", "super-speed")
    lines = look(tmp_path, board="Radxa ROCK 5B\0")
    assert lines[0] == "machine: Radxa ROCK 5B"
    assert "controller: fc000000.usb, SuperSpeed, free, not attached" in lines
    assert lines[-1] == "backend: functionfs, SuperSpeed; nothing is lost"


def test_a_raspberry_pi_with_a_stock_kernel(tmp_path: Path) -> None:
    udc(tmp_path / "udc", "fe980000.usb")
    lines = look(tmp_path, takes=False, board="Raspberry Pi 4 Model B Rev 1.4\0", throttled="50000\n")
    assert any(line.startswith("power: there was under-voltage") for line in lines)
    assert any(line.startswith("FunctionFS: refuses the U3V descriptor 0x24; scripts/f_fs") for line in lines)
    assert lines[-1].startswith("backend: gadgetfs: served by GadgetFS, at High-Speed")


@pytest.mark.parametrize(
    ("bits", "said"), [("0", "no under-voltage"), ("1", "under-voltage now"), ("x", "does not say")]
)
def test_power(tmp_path: Path, bits: str, said: str) -> None:
    assert any(line.startswith("power:") and said in line for line in look(tmp_path, throttled=bits))


def test_no_functionfs(tmp_path: Path) -> None:
    udc(tmp_path / "udc", "fe980000.usb")
    lines = look(tmp_path, takes=None)
    assert "FunctionFS: this kernel has no FunctionFS: `modprobe usb_f_fs` fails" in lines
    assert lines[-1].startswith("backend: gadgetfs")


def test_no_controller(tmp_path: Path) -> None:
    lines = look(tmp_path)
    assert "dtoverlay=dwc2" in lines[-2] and lines[-1] == "backend: none"


def test_all_controllers_in_use(tmp_path: Path) -> None:
    udc(tmp_path / "udc", "fe980000.usb", user="g_ether")
    lines = look(tmp_path)
    assert any("in use by g_ether" in line for line in lines)
    assert lines[-1].startswith("backend: none: no controller is free")
