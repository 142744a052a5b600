"""What real hosts do beside grabbing: chunks, events, files, user sets; over the preload library."""

import sys
from typing import Any

import pytest

from tests.system.programs import CLIENTS, SYSTEM_PYTHON, need_aravis, objects, with_camera

ARAVIS_READS = {
    "acA4096-40um": "ChunkTimestamp ChunkExposureTime ChunkGain ChunkLineStatusAll ChunkCounterValue",
    "U3V-Color": "ChunkTimestamp ChunkExposureTime ChunkGain ChunkWidth ChunkHeight ChunkFrameID ChunkPixelFormat",
    "VCXG-124M": "ChunkTimestamp ChunkExposureTime ChunkGain ChunkWidth ChunkHeight ChunkFrameID ChunkPixelFormat"
    " ChunkCounterValue ChunkBinningHorizontal ChunkDeviceTemperature",
}
EXPOSURE_US = {"acA4096-40um": 10_000.0, "VCXG-124M": 4000.0}


@pytest.mark.parametrize("model", ARAVIS_READS)
def test_aravis_reads_chunks(model: str) -> None:
    need_aravis()
    client = [SYSTEM_PYTHON, CLIENTS / "aravis_chunks.py", *ARAVIS_READS[model].split()]
    (result,) = objects(with_camera(client, "--no-pacing", models=model).stdout)
    assert len(result["frames"]) == 20
    for frame in result["frames"]:
        assert (frame["status"], frame["has_chunks"]) == ("success", True)
        assert frame["ChunkTimestamp"] == frame["timestamp"]
        assert frame.get("ChunkFrameID", frame["frame_id"]) == frame["frame_id"]
        assert (frame.get("ChunkWidth", 640), frame.get("ChunkHeight", 480)) == (640, 480)
        assert frame["ChunkExposureTime"] == EXPOSURE_US.get(model, frame["ChunkExposureTime"]) > 0
        assert frame.get("ChunkPixelFormat", "Mono8") in ("Mono8", "BayerRG8")


def pylon_flows(*names: str) -> list[dict[str, Any]]:
    client = [sys.executable, CLIENTS / "pylon_flows.py", *names]
    results = objects(with_camera(client).stdout)
    assert [result["flow"] for result in results] == list(names)
    return results


def test_pylons_own_flows() -> None:
    """Chunks, but for the frames that pylon withholds from cameras it does not know; files; user sets."""
    chunks, events, files, sets, sequencer = pylon_flows(
        "chunks", "events", "files", "user_sets", "sequencer"
    )
    assert len(chunks["frames"]) >= 0.85 * 40
    for frame in chunks["frames"]:
        assert frame["Timestamp"] == frame["timestamp"]
        assert (frame["ExposureTime"], frame["Gain"], frame["has_crc"]) == (1234.0, 3.0, True)
    # pylon sets single bytes of what it hands out to 0 (for cameras it does not know): where it did not, it is content.
    for frame in chunks["checked"]:
        assert frame["check"] == (frame["spoiled"] == []), frame
        assert set(frame["as"]) <= {0}, frame
    assert len(events["ids"]) >= 40 and events["ids"] == list(range(len(events["ids"])))
    assert len(set(events["stamps"])) == len(events["stamps"]) and events["stamps"] == sorted(
        events["stamps"]
    )
    assert files["same"] and "FirmwareUpdate" in files["names"]
    assert (sets["gains"], sets["default"]) == ([0.0, 1.0, 2.0, 3.0], "UserSet2")
    assert len(sequencer["seen"]) >= 0.85 * 40
    assert len({(number - block_id) % 3 for block_id, number, _ in sequencer["seen"]}) == 1, sequencer["seen"]
    assert all(exposure_us == sequencer["times"][number] for _, number, exposure_us in sequencer["seen"])
