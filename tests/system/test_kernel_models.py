"""Every model through a kernel's USB host stack (vhci-hcd under User-Mode Linux): triggers, chunks, events.

Aravis triggers each by software and by volts and reads its chunks, viva reads chunks and events, GStreamer shows
frames that have chunks.
"""

import json
import sys
from typing import Any

import pytest

from tests.system.programs import (
    MODEL,
    REPOSITORY,
    U3V,
    machine_code,
    need,
    need_aravis,
    objects,
    ready_rig,
    run,
)

pytestmark = pytest.mark.patient
ACE = "ChunkTimestamp ChunkExposureTime ChunkGain ChunkLineStatusAll ChunkCounterValue ChunkPayloadCRC16"
MODELS = {
    "acA4096-40um": {"line": "Line1", "volts": "24", "chunks": ACE, "event": "ExposureEnd"},
    "acA4096-11gm": {"line": "Line1", "volts": "2.3", "chunks": ACE, "event": "FrameStart"},
    "acA4112-8gm": {"line": "Line1", "volts": "3.3", "chunks": ACE, "event": "ExposureEnd"},
    "VCXG-124M": {
        "line": "Line0",
        "volts": "11",
        "chunks": "ChunkTimestamp ChunkExposureTime ChunkFrameID ChunkWidth ChunkBinningVertical",
        "event": "ExposureEnd",
    },
    "IDS-IMX412": {"line": "Line2", "volts": "3.3", "chunks": "", "event": ""},
    "U3V-Color": {
        "line": "",
        "volts": "",
        "chunks": "ChunkTimestamp ChunkExposureTime ChunkFrameID ChunkPixelFormat",
        "event": "FrameEnd",
    },
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    need("lsusb", "gst-launch-1.0")
    need_aravis()
    rig = ready_rig("uml")
    out = tmp_path_factory.mktemp("models")
    warm = [*U3V, "grab", MODEL, "-n", "1", "--clock", "simulated", "--set", "ChunkModeActive=true"]
    run([*warm, "--set", "ChunkSelector=PayloadCRC16", "--set", "ChunkEnable=true"], env=machine_code("uml"))
    guest = [sys.executable, REPOSITORY / "tests/system/models_guest.py"]
    options = ["--timeout", "1800", "--out", out, "--env", f"MODELS={json.dumps(MODELS)}"]
    done = run([rig, *options, "--", *guest], patience_s=1900)
    assert done.returncode == 0, done.stderr
    return {model: json.loads((out / f"{model}.json").read_text()) for model in MODELS}


def said(program: dict[str, Any]) -> dict[str, Any]:
    """The one JSON object that a client printed."""
    assert program["status"] == 0, program
    (result,) = objects(program["stdout"])
    return dict(result)


@pytest.mark.parametrize("model", MODELS)
def test_aravis_triggers(found: dict[str, Any], model: str) -> None:
    result = said(found[model]["triggers"])
    assert result["software"] == {"good": 2, "early": False, "late": False}
    if MODELS[model]["line"]:
        assert result["line"] == result["software"]


@pytest.mark.parametrize("model", [model for model in MODELS if MODELS[model]["chunks"]])
def test_aravis_reads_chunks(found: dict[str, Any], model: str) -> None:
    frames = said(found[model]["chunks"])["frames"]
    assert len(frames) == 20
    for frame in frames:
        assert (frame["status"], frame["has_chunks"]) == ("success", True)
        assert frame["ChunkTimestamp"] == frame["timestamp"]
        assert frame.get("ChunkFrameID", frame["frame_id"]) == frame["frame_id"]
        assert frame.get("ChunkWidth", 640) == 640 and frame.get("ChunkBinningVertical", 1) == 1
    if "ChunkPayloadCRC16" in MODELS[model]["chunks"]:
        assert len({frame["ChunkPayloadCRC16"] for frame in frames}) > 15


@pytest.mark.parametrize("model", MODELS)
def test_viva_reads_chunks_and_events(found: dict[str, Any], model: str) -> None:
    result = said(found[model]["viva"])
    assert len(result["frames"]) == 10
    for frame in result["frames"]:
        # viva knows no format of IDS: it gives the bytes.
        assert frame["shape"] == ([240 * 240 * 10 // 8] if model == "IDS-IMX412" else [240, 240])
        assert bool(frame["ids"]) == bool(MODELS[model]["chunks"])
        if frame["ids"]:
            assert int(frame["values"]["ChunkTimestamp"]) == frame["timestamp"]
            assert float(frame["values"]["ChunkExposureTime"]) > 0
    name = MODELS[model]["event"]
    assert len(result["events"]) == (10 if name else 0)
    for event in result["events"]:
        assert int(event["values"][f"Event{name}Timestamp"]) == event["timestamp"]


def test_gstreamer_takes_frames_with_chunks(found: dict[str, Any]) -> None:
    """aravissrc has no word for chunks: it hands on a frame's whole payload, the chunks behind the pixels."""
    chunks = 8 + 8 + 8  # the mark of the pixels; the exposure time and its own mark
    for told, extra in zip(found[MODEL]["gstreamer"], (chunks, 0), strict=True):
        assert (told["status"], told["bytes"]) == (0, 5 * (640 * 480 + extra)), told
