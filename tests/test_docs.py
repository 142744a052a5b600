"""What the pages on Python, control and pytest show runs, and the example suite passes."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gadget import VirtualCamera
from gadget.cli.main import main
from gadget.control import places
from gadget.runner import CameraSpec
from tests.gadget.control.rig import controlled
from tests.gadget.control.test_server import Raw
from tests.gadget.test_pytest_plugin import everything_is_imported, run  # noqa: F401

pytest_plugins = ["pytester"]

DOCS = Path(__file__).parent.parent / "docs"


def blocks(page: str, language: str) -> list[str]:
    found = re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text("utf-8"), re.DOTALL)
    assert found, f"{page} shows no {language}"
    return found


PYTHON = blocks("python.md", "python")


@pytest.mark.parametrize("block", PYTHON, ids=range(len(PYTHON)))
def test_the_page_on_python_runs(block: str) -> None:
    exec(compile(block, "python.md", "exec"), {})


LINES = blocks("lines.md", "python")


@pytest.mark.parametrize("block", LINES, ids=range(len(LINES)))
def test_the_page_on_lines_runs(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last block's picture is the page's: as large, and with as much on it."""
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "lines.md", "exec"), {})
    if "scope.save" in block:
        with (
            Image.open("two-cameras.png") as made,
            Image.open(DOCS / "pictures" / "two-cameras.png") as shown,
        ):
            assert made.size == shown.size
            inks = [(np.asarray(picture.convert("L")) < 200).mean() for picture in (made, shown)]
        assert inks[0] == pytest.approx(inks[1], rel=0.2)


@pytest.mark.parametrize("block", blocks("faults.md", "python"))
def test_the_page_on_faults_runs(block: str) -> None:
    exec(compile(block, "faults.md", "exec"), {})


def test_the_page_on_control_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv(places.VARIABLE, raising=False)
    with controlled(places.default_path(), CameraSpec("acA4096-40um")) as server:
        for line in blocks("control.md", "sh")[0].splitlines():
            monkeypatch.setattr(sys, "argv", line.split())
            with pytest.raises(SystemExit) as end:
                main()
            assert end.value.code == 0, line
        assert "lost: 0" in capsys.readouterr().out
        for block in blocks("control.md", "python"):
            exec(compile(block, "control.md", "exec"), {})
        raw = Raw(server.path)
        for line in blocks("control.md", "json")[0].splitlines():
            assert raw.send(line.encode() + b"\n").get("id") == json.loads(line)["id"]
            assert "error" not in raw.send(b'{"jsonrpc":"2.0","id":0,"method":"state"}\n')
        raw.close()


def test_the_page_on_control_names_all_verbs() -> None:
    from gadget.cli.ctl import ctl_command
    from gadget.control.server import OWN_VERBS
    from gadget.front_door.live import VERBS

    page = (DOCS / "control.md").read_text("utf-8")
    shown = set(re.findall(r"`([a-z_-]+)[^`]*`", page))
    assert {*VERBS, *OWN_VERBS, *ctl_command.commands} <= shown


def test_the_page_on_pytest_runs(pytester: pytest.Pytester) -> None:
    run(pytester, blocks("pytest.md", "python")[0]).assert_outcomes(passed=3)


def test_the_example_suite_passes(pytester: pytest.Pytester) -> None:
    suite = (DOCS / "examples" / "test_my_camera.py").read_text("utf-8")
    run(pytester, suite).assert_outcomes(passed=8)


def test_the_table_of_a_frame_is_complete() -> None:
    page = (DOCS / "python.md").read_text("utf-8")
    with VirtualCamera(Width=64, Height=32) as camera:
        names = {name for name in dir(camera.grab()) if not name.startswith("_")}
    assert names <= set(re.findall(r"`(\w+)[`(]", page))
