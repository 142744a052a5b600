"""All models in a kernel, each with its triggers, chunks and events. Runs as root inside scripts/uml.

Writes what it found to MODEL.json in $U3V_RIG_OUT and judges nothing: test_kernel_models.py does.
`models_guest.py inside` is what the cameras are plugged in for; `models_guest.py pulse INDEX LINE VOLTS` gives one of
them a pulse.
"""

import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from gadget.control.client import RemoteCamera
from tests.system.guest import CLIENTS_DIR, MODEL, OUT, PATIENCE_S, U3V, ran, until

CASES: dict[str, dict[str, str]] = json.loads(os.environ["MODELS"])
"""Model: line and volts of its trigger, values to read from its chunks, an event; empty where it has none."""
PYTHON = "/usr/bin/python3"
CONTROL = Path("/tmp/control.sock")
ALL_CHUNKS = (
    *("Timestamp", "ExposureTime", "Gain", "LineStatusAll", "CounterValue", "SequencerSetActive"),
    "PayloadCRC16",
)


def look(case: dict[str, Any], index: int) -> dict[str, Any]:
    """The camera in the hands of Aravis and viva, one after the other."""
    triggers = [PYTHON, str(CLIENTS_DIR / "aravis_triggers.py"), "--count", "2"]
    if case["line"]:
        pulse = [sys.executable, __file__, "pulse", str(index), case["line"], case["volts"]]
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


def inside() -> None:
    """What is done with the cameras: with each of them, in turn, as the only one on the bus."""
    with ExitStack() as stack:
        cameras = [stack.enter_context(RemoteCamera(CONTROL, index)) for index in range(len(CASES))]
        for camera in cameras:
            camera.unplug()
        for index, (model, camera) in enumerate(zip(CASES, cameras, strict=True)):
            camera.replug()
            until("the camera", lambda model=model: names() == [model])
            found = look(CASES[model], index)
            if model == MODEL:
                off = " ".join(f"ChunkSelector={name} ChunkEnable=false" for name in ALL_CHUNKS)
                on = f"{off} ChunkSelector=ExposureTime ChunkEnable=true"
                found["gstreamer"] = [gstreamer(f"{on} ChunkModeActive={text}") for text in ("true", "false")]
            (OUT / f"{model}.json").write_text(json.dumps(found))
            camera.unplug()


def names() -> list[str]:
    """The cameras that are configured."""
    found = []
    for product in Path("/sys/bus/usb/devices").glob("*/product"):
        try:
            if (product.parent / "bConfigurationValue").read_text().strip():
                found.append(product.read_text().strip())
        except OSError:  # it just went
            continue
    return [name for name in found if name in CASES]


def main() -> int:
    if sys.argv[1:2] == ["inside"]:
        inside()
        return 0
    if sys.argv[1:2] == ["pulse"]:
        index, line, volts = sys.argv[2:]
        with RemoteCamera(CONTROL, int(index)) as camera:
            camera.lines[line].pulse(us=50, volts=float(volts))
        return 0
    plug = [*U3V, "plug", ",".join(CASES), "--scene", "uniform:photons=20000", "--control", str(CONTROL)]
    done = ran([*plug, "--", sys.executable, __file__, "inside"], len(CASES) * PATIENCE_S)
    if done["status"]:
        print(done, file=sys.stderr)
    return int(done["status"])


if __name__ == "__main__":
    sys.exit(main())
