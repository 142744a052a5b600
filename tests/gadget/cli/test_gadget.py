"""What `u3v gadget` refuses before it touches a kernel."""

from pathlib import Path

import pytest

from gadget.tools import gadget_mode
from gadget.udc import controllers
from tests.gadget.cli.shell import Shell


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("--check", "acA4096-40um"),
            "u3v: --check looks at this machine and serves nothing: leave MODEL out\n",
        ),
        (
            ("acA4096-40um", "--clock", "simulated"),
            "u3v: --clock simulated: a real host lives in real time\n",
        ),
        (("acA4096-40um", "--bus", "5gbps"), "u3v: --bus: the bus of a gadget is the real one\n"),
        (
            ("acA4096-40um", "--udc", "a", "--udc", "b"),
            "u3v: --udc is given 2 times for 1 camera\n",
        ),
    ],
)
def test_one_line_each(u3v: Shell, arguments: tuple[str, ...], said: str) -> None:
    result = u3v("gadget", *arguments)
    assert (result.status, result.out, result.err) == (2, "", said)


def test_nobody_but_root(u3v: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gadget_mode.mounts.os, "geteuid", lambda: 1000)
    assert u3v("gadget", "acA4096-40um").err == "u3v: only root may be a USB device: use sudo\n"


def test_a_machine_without_a_controller(u3v: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(controllers, "controllers", lambda sysfs=tmp_path: [])
    monkeypatch.setattr(gadget_mode.mounts, "need_root", lambda: None)
    result = u3v("gadget", "acA4096-40um")
    assert result.status == 2 and result.err.count("\n") == 1
    assert result.err.startswith(
        "u3v: this machine has no USB device controller (/sys/class/udc is empty): a Raspberry"
    )
