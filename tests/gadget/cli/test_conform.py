"""`u3v conform` as a person types it: reports, exit codes, mistakes."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from gadget.cli.main import main
from gadget.tools.conformance import routes
from u3v.host.bus import UsbGone
from u3v.host.conformance.context import Context

QUICK = ("--only", "USB-DESC-*")
Conform = Callable[..., tuple[int, str, str]]


@pytest.fixture
def conform(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Conform:
    """`u3v conform` with arguments, in this process: exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["u3v", "conform", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        code = end.value.code
        return (code if isinstance(code, int) else 0, *capfd.readouterr())

    return run


def test_reports_hold_each_check(conform: Conform, tmp_path: Path) -> None:
    files = {name: tmp_path / f"report.{name}" for name in ("json", "junit", "html")}
    code, out, _ = conform("acA4096-40um", *QUICK, *(w for n, p in files.items() for w in (f"--{n}", str(p))))
    assert code == 0 and "15 checks: 15 passed" in out
    report = json.loads(files["json"].read_text())
    assert report["complete"] and report["ok"] and report["camera"]["Model"] == "acA4096-40um"
    assert {each["id"]: each["result"] for each in report["checks"]}["USB-DESC-001"] == "pass"
    assert all(each["clause"] for each in report["checks"])
    suite = ElementTree.parse(files["junit"]).getroot()
    assert [suite.get(key) for key in ("tests", "failures", "skipped")] == ["15", "0", "0"]
    page = files["html"].read_text()
    assert "USB-DESC-004" in page and "12 01" in page and "<script" not in page


def test_a_must_that_fails_is_exit_code_1_and_is_found_by_compare(
    conform: Conform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tmp_path / "before.json"
    assert conform("acA4096-40um", *QUICK, "--json", str(before))[0] == 0
    monkeypatch.setattr(Context, "speed", "HS")  # a host that is mistaken about the link
    now, junit, html = (tmp_path / name for name in ("now.json", "now.xml", "now.html"))
    code, out, _ = conform(
        "acA4096-40um",
        *QUICK,
        "--compare",
        str(before),
        "--json",
        str(now),
        "--junit",
        str(junit),
        "--html",
        str(html),
    )
    assert code == 1
    assert "FAIL must   USB-DESC-004" in out and "USB-DESC-004: pass -> fail" in out
    assert ElementTree.parse(junit).getroot().find("testcase[@name='USB-DESC-004']/failure") is not None
    assert "bMaxPacketSize0 is 9, not 0x40" in html.read_text()


def test_a_camera_that_vanishes_is_exit_code_3(conform: Conform, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_arguments: object) -> None:
        raise UsbGone("pulled")

    monkeypatch.setattr(Context, "read_configuration", gone)
    code, out, _ = conform("acA4096-40um", "--only", "USB-CFG-0*")
    assert code == 3 and "the camera vanished" in out


def test_a_camera_that_is_pulled_is_exit_code_3(conform: Conform, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    code, out, _ = conform(
        "acA4096-40um",
        "--fault",
        "yank:frame=0",
        "--only",
        "STREAM-00*",
        "--only",
        "USB-DESC-001",
        "--json",
        str(path),
    )
    report = json.loads(path.read_text())
    assert code == 3 and report["vanished"] and "the camera vanished" in out
    assert report["checks"][0]["result"] == "pass"
    assert {each["reason"] for each in report["checks"][2:]} == {"the device vanished"}


LASTING = ["BOOT-ABRM-023", "SFNC-020", "FEAT-021", "FEAT-022", "ROB-026"]


@pytest.mark.parametrize(("words", "result"), [((), "skip"), (("--destructive",), "pass")])
def test_what_lasts_is_asked_only_where_that_was_said(
    words: tuple[str, ...], result: str, conform: Conform, tmp_path: Path
) -> None:
    """User sets, names, power cycles and DeviceReset, from the command line."""
    path = tmp_path / "report.json"
    only = [word for id in LASTING for word in ("--only", id)]
    code, _, _ = conform("acA4096-40um", *only, *words, "--json", str(path))
    checks = json.loads(path.read_text())["checks"]
    assert code == 0
    assert [(each["id"], each["result"]) for each in checks] == [(id, result) for id in LASTING]
    assert words or "--destructive" in checks[0]["reason"]


@pytest.mark.parametrize(("level", "code"), [("quick", 0), ("default", 0), ("strict", 1)])
def test_a_should_counts_at_level_strict_alone(level: str, code: int, conform: Conform) -> None:
    """SI-016 is one that our cameras do not pass, unless they are strict themselves."""
    assert conform("acA4096-40um", "--only", "SI-016", "--level", level)[0] == code
    assert conform("acA4096-40um", "--only", "SI-016", "--level", level, "--strict")[0] == 0


def test_level_quick_asks_less(conform: Conform) -> None:
    _, quick, _ = conform("--list", "--level", "quick")
    _, whole, _ = conform("--list")
    assert 100 < len(quick.splitlines()) < len(whole.splitlines()) / 2


def test_ctrl_c_leaves_a_report(conform: Conform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pressed(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(routes.InProcess, "replug", pressed)
    path = tmp_path / "report.json"
    code, out, err = conform("acA4096-40um", "--only", "USB-CFG-*", "--json", str(path))
    report = json.loads(path.read_text())
    assert code == 130 and not report["complete"] and "interrupted" in out + err
    assert [each["id"] for each in report["checks"]][-1] == "USB-CFG-020"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("acA4096-40umm",), "acA4096-40um"),
        (("acA4096-40um", "--only", "USB-DESK-*"), "did you mean"),
        (("acA4096-40um", "--compare", "nowhere.json"), "nowhere.json"),
        (("usb:2676:ba02", "--scene", "bar"), "--scene describes a virtual camera"),
        (("acA4096-40um", "--clock", "lockstep"), "lockstep"),
        (("acA4096-40um", "--html", "nowhere/report.html"), "no directory"),
    ],
)
def test_mistakes_are_one_line(conform: Conform, words: tuple[str, ...], said: str) -> None:
    code, _, err = conform(*words)
    assert code == 2 and said in err and len(err.splitlines()) == 1


def test_the_list_names_every_check(conform: Conform) -> None:
    code, out, _ = conform("--list")
    assert code == 0
    assert out.startswith("USB-DESC-001") and "not built" in out
