"""All models in a kernel, each with its triggers, chunks and events. Runs as root inside scripts/uml.

Writes what it found to MODEL.json in $U3V_RIG_OUT and judges nothing: test_kernel_models.py does.
`models_guest.py inside MODEL` is what a camera is plugged in for.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.system.guest import CLIENTS_DIR, MODEL, OUT, U3V, ran, until

CASES = json.loads(os.environ["MODELS"])
"""Model: line and volts of its trigger, values to read from its chunks, an event; empty where it has none."""
PYTHON = "/usr/bin/python3"
ALL_CHUNKS = (
    *("Timestamp", "ExposureTime", "Gain", "LineStatusAll", "CounterValue", "SequencerSetActive"),
    "PayloadCRC16",
)


def look(case: dict[str, Any]) -> dict[str, Any]:
    """The camera in the hands of Aravis and viva, one after the other."""
    triggers = [PYTHON, str(CLIENTS_DIR / "aravis_triggers.py"), "--count", "2"]
    if case["line"]:
        pulse = [*U3V, "ctl", "pulse", case["line"], "--us", "50", "--volts", case["volts"]]
        triggers += ["--line", case["line"], "--", *pulse]
    viva = [sys.executable, str(CLIENTS_DIR / "viva_flows.py"), case["event"]]
    found = {"triggers": ran(triggers), "viva": ran(viva)}
    if case["chunks"]:
        chunks = [PYTHON, str(CLIENTS_DIR / "aravis_chunks.py"), *case["chunks"].split()]
        found["chunks"] = ran(chunks)
    return found


def gstreamer(features: str) -> dict[str, Any]:
    """Frames with chunks behind their pixels: what is a frame for GStreamer?"""
    pipeline = [
        *("gst-launch-1.0", "-q", "aravissrc", f"features={features}", "num-buffers=5"),
        *("!", "video/x-raw,format=GRAY8,width=640,height=480", "!", "filesink", "location=/tmp/gst"),
    ]
    return ran(pipeline) | {"bytes": Path("/tmp/gst").stat().st_size}


def inside(model: str) -> None:
    """What is done with the one camera that is plugged in."""
    until("the camera", lambda: "(USB3)" in ran(["arv-tool-0.8"])["stdout"])
    found = look(CASES[model])
    if model == MODEL:
        off = " ".join(f"ChunkSelector={name} ChunkEnable=false" for name in ALL_CHUNKS)
        on = f"{off} ChunkSelector=ExposureTime ChunkEnable=true"
        found["gstreamer"] = [gstreamer(f"{on} ChunkModeActive={text}") for text in ("true", "false")]
    (OUT / f"{model}.json").write_text(json.dumps(found))


def main() -> int:
    if sys.argv[1:2] == ["inside"]:
        inside(sys.argv[2])
        return 0
    failed = 0
    for model in CASES:
        plug = [*U3V, "plug", model, "--scene", "uniform:photons=20000"]
        done = ran([*plug, "--", sys.executable, __file__, "inside", model])
        if done["status"]:
            print(model, done, file=sys.stderr)
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
