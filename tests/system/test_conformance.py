"""Conformance runs in real time: over USB/IP, through the preload library, and through a kernel's own USB stack.

What a kernel refuses to send is skipped there, so each way has its own number of checks that pass.
"""

import json
import sys
from pathlib import Path
from typing import Any

from tests.system.programs import MODEL, ready_rig, run, u3v, with_camera

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


def test_through_a_kernel(tmp_path: Path) -> None:
    script = " ".join([sys.executable, "-m", "gadget", "plug", MODEL, *SMALL, "--"])
    script += " " + " ".join(f"'{word}'" for word in CONFORM) + ' --json "$U3V_RIG_OUT/report.json"'
    done = run(
        [ready_rig("uml"), "--timeout", "300", "--out", tmp_path, "--", "sh", "-c", script], patience_s=330
    )
    assert done.returncode == 0, done
    check(json.loads((tmp_path / "report.json").read_text()), 170)
