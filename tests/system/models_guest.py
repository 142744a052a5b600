"""All models in a kernel at once, each with its triggers, chunks and events. Runs as root inside scripts/uml.

Writes what it found to models.json in $U3V_RIG_OUT, a key for each model, and judges nothing: test_kernel_models.py
does. `models_guest.py inside` is what the cameras are plugged in for.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.system.guest import CLIENTS_DIR, OUT, U3V, ran, until

CASES = json.loads(os.environ["MODELS"])
"""Model: line and volts of its trigger, values to read from its chunks, an event; empty where it has none."""
PYTHON = "/usr/bin/python3"


def serials() -> dict[str, str]:
    return {str(40000001 + index): name for index, name in enumerate(CASES)}


def look(serial: str, identifier: str, case: dict[str, Any]) -> dict[str, Any]:
    """One camera in the hands of Aravis and viva, one after the other."""
    triggers = [PYTHON, str(CLIENTS_DIR / "aravis_triggers.py"), "--camera", identifier, "--count", "2"]
    if case["line"]:
        pulse = [*U3V, "ctl", "-c", serial, "pulse", case["line"], "--us", "50", "--volts", case["volts"]]
        triggers += ["--line", case["line"], "--", *pulse]
    chunks = [PYTHON, str(CLIENTS_DIR / "aravis_chunks.py"), "--camera", identifier, *case["chunks"].split()]
    viva = [sys.executable, str(CLIENTS_DIR / "viva_flows.py"), serial, case["event"]]
    found = {"triggers": ran(triggers), "viva": ran(viva)}
    if case["chunks"]:
        found["chunks"] = ran(chunks)
    return found


def gstreamer(identifier: str, features: str) -> dict[str, Any]:
    """Frames with chunks behind their pixels: what is a frame for GStreamer?"""
    pipeline = [
        *("gst-launch-1.0", "-q", "aravissrc", f"camera-name={identifier}", f"features={features}"),
        *("num-buffers=5", "!", "video/x-raw,format=GRAY8,width=640,height=480"),
        *("!", "filesink", "location=/tmp/gst"),
    ]
    return ran(pipeline) | {"bytes": Path("/tmp/gst").stat().st_size}


def inside() -> None:
    identifiers = until("all cameras", listed)
    found: dict[str, Any] = {
        name: look(serial, identifiers[serial], CASES[name]) for serial, name in serials().items()
    }
    with_chunks = "ChunkSelector=ExposureTime ChunkEnable=true ChunkModeActive=true"
    found["gstreamer"] = [gstreamer(identifiers["40000001"], text) for text in (with_chunks, "Gain=0")]
    (OUT / "models.json").write_text(json.dumps(found))


def listed() -> dict[str, str]:
    """Aravis' names of all cameras, by serial number; {} as long as one is missing."""
    lines = ran(["arv-tool-0.8"])["stdout"].splitlines()
    names = [line.removesuffix(" (USB3)") for line in lines if line.endswith(" (USB3)")]
    found = {serial: name for serial in serials() for name in names if serial in name}
    return found if len(found) == len(CASES) else {}


def main() -> int:
    if sys.argv[1:] == ["inside"]:
        inside()
        return 0
    plug = [*U3V, "plug", ",".join(CASES), "--scene", "uniform:photons=20000"]
    done = ran([*plug, "--", sys.executable, __file__, "inside"])
    print(done["stdout"], done["stderr"], file=sys.stderr)
    return int(done["status"])


if __name__ == "__main__":
    sys.exit(main())
