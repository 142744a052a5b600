"""Conformance runs in real time: over USB/IP, through the preload library, and through a kernel's own USB stack.

What a kernel refuses to send is skipped there, so each way has its own number of checks that pass.
"""

import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.system.programs import MODEL, PATIENCE_S, U3V, end, ready_rig, run, start, u3v, with_camera

ONLY = [word for family in ("USB-*", "U3V-*", "BOOT-*") for word in ("--only", family)]
SMALL = ("--set", "Width=648", "--set", "Height=480")
DEVICE = "usb:2676:ba02"
CONFORM = [sys.executable, "-m", "gadget", "conform", DEVICE, *ONLY]


def check(report: dict[str, Any], least: int) -> None:
    assert [each for each in report["checks"] if each["result"] in ("fail", "error")] == []
    assert report["complete"] and report["counts"]["pass"] >= least, report["counts"]


def test_over_usbip(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    done = u3v("conform", MODEL, "--clock", "real", *SMALL, *ONLY, "--json", path)
    assert done.returncode == 0, done
    check(json.loads(path.read_text()), 185)


def test_through_libusb_without_a_kernel(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    with_camera([*CONFORM, "--json", path], *SMALL)
    check(json.loads(path.read_text()), 170)


@pytest.mark.patient
def test_through_a_kernel(tmp_path: Path) -> None:
    script = " ".join([sys.executable, "-m", "gadget", "plug", MODEL, *SMALL, "--"])
    script += " " + " ".join(f"'{word}'" for word in CONFORM) + ' --json "$U3V_RIG_OUT/report.json"'
    done = run(
        [ready_rig("uml"), "--timeout", "300", "--out", tmp_path, "--", "sh", "-c", script], patience_s=330
    )
    assert done.returncode == 0, done
    check(json.loads((tmp_path / "report.json").read_text()), 170)


@pytest.mark.patient
def test_ctrl_c_ends_a_run_and_leaves_its_report(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    only = ("--only", "SI-*", "--only", "FEAT-*", "--only", "STREAM-*")
    program = start([*U3V, "conform", MODEL, *only, "--json", path])
    try:
        assert program.stdout is not None
        first = program.stdout.readline()  # the first check below `must` that a lenient camera does not pass
        program.send_signal(signal.SIGINT)
        stdout, stderr = program.communicate(timeout=PATIENCE_S)
    finally:
        end(program)
    assert "SI-016" in first and program.returncode == 130, (first, stdout, stderr)
    assert "interrupted" in stderr and "Traceback" not in stderr
    report = json.loads(path.read_text())
    assert not report["complete"] and report["checks"][-1]["id"] != "STREAM-046"
