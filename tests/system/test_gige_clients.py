"""GigE cameras of `u3v run --wire gige`: pylon, GStreamer, viva-genicam, Aravis on a network of its own."""

import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest

from tests.system.programs import CLIENTS, SYSTEM_PYTHON, lacking, need, need_aravis, objects, on_own_network

BASLER, BAUMER = "acA4096-11gm", "VCXG-124M"
FRAMES = 30
SLOW = ("--set", "AcquisitionFrameRateEnable=true", "--set", "AcquisitionFrameRate=10")
"""So that a busy machine keeps up."""
ONE_BY_ONE = ("--packet-delay", "200000")
"""pylon asks for every packet that it lacks where it takes one at a time."""
WITHHELD = "E1000014"
"""pylon gives some frames of cameras that it does not know to the application as incompletely grabbed, although its own
statistics count them as good."""
FULL = {BASLER: [4096, 2168], BAUMER: [4096, 3000]}


def need_pylon() -> None:
    """26.9 opens no GigE camera of ours: its own libgxapi refuses a property that its own transport layer sets."""
    try:
        found = tuple(int(part) for part in version("pypylon").split(".")[:2])
    except PackageNotFoundError:
        found = (0, 0)
    if not (0, 0) < found < (26, 9):
        lacking("pypylon before 26.9")


def pylon(*options: str) -> dict[str, Any]:
    done = on_own_network(sys.executable, CLIENTS / "pylon_client.py", *options)
    (result,) = objects(done.stdout)
    assert isinstance(result, dict)
    return result


def check_pylon_gige(result: dict[str, Any], count: int) -> None:
    assert (result["vendor"], result["model"], result["devices"]) == ("Basler", BASLER, 1)
    assert result["nodes"] > 200 and result["bad_nodes"] == []
    assert (result["frames"], result["gaps"]) == (count, 0)
    statistics = result["statistics"]
    assert statistics["Statistic_Total_Buffer_Count"] == count
    assert statistics["Statistic_Failed_Buffer_Count"] == 0
    assert set(result["errors"]) <= {WITHHELD} and result["error_count"] <= max(1, 0.12 * count)


def test_pylon_lists_opens_reads_writes_and_grabs() -> None:
    need_pylon()
    result = pylon("--count", str(FRAMES), "--write-back", *ONE_BY_ONE)
    check_pylon_gige(result, FRAMES)
    assert result["shapes"] == [[480, 640]]
    assert len(result["written"]) > 50
    assert {name: error for name, error in result["written"].items() if error} == {}


def test_pylon_full_frames() -> None:
    need_pylon()
    result = pylon("--count", "5", "--packet-size", "8192", "--roi", *map(str, FULL[BASLER]), *ONE_BY_ONE)
    check_pylon_gige(result, 5)
    assert result["shapes"] == [[2168, 4096]]


@pytest.mark.parametrize("model", [BASLER, BAUMER])
def test_viva_genicam(model: str) -> None:
    client = [sys.executable, CLIENTS / "viva_client.py", "--gige", "--count", str(FRAMES)]
    (result,) = objects(on_own_network(*client, models=(model, *SLOW)).stdout)
    assert (result["devices"], result["skipped"], result["frames"]) == (1, [], FRAMES)
    bytes_only = [name for name in result["bad_nodes"] if "(a register is read as bytes)" in name]
    assert result["bad_nodes"] == bytes_only and result["nodes"] > 300
    assert (result["gaps"], result["lost"], result["too_late"]) == (0, 0, 0)
    assert (result["shapes"], result["exposure_us"]) == ([[480, 640]], 2000.0)


def test_gstreamer(tmp_path: Path) -> None:
    need("gst-launch-1.0")
    file = tmp_path / "frames"
    caps = "video/x-raw,format=GRAY8,width=640,height=480"
    pipeline = f"aravissrc num-buffers={FRAMES} ! {caps} ! filesink location={file}"
    on_own_network("gst-launch-1.0", "-q", *pipeline.split(), models=(BASLER, *SLOW))
    data = file.read_bytes()
    assert len(data) == FRAMES * 640 * 480
    assert len({data[at : at + 640 * 480] for at in range(0, len(data), 640 * 480)}) == FRAMES


@pytest.mark.parametrize("model", [BASLER, BAUMER])
def test_aravis_full_frames(model: str) -> None:
    need_aravis()
    patience = ["--packet-delay", "300000", "--frame-retention", "5000"]
    client = [SYSTEM_PYTHON, CLIENTS / "gige_client.py", "--count", "5", "--packet-size", "8192", *patience]
    size = [str(px) for px in FULL[model]]
    (result,) = objects(on_own_network(*client, "--size", *size, models=(model,)).stdout)
    assert result["payload"] == FULL[model][0] * FULL[model][1]
    assert (result["status"], result["gaps"]) == ({"success": 5}, 0)


@pytest.mark.parametrize("count", [2, 8])
def test_several_cameras_at_once(count: int) -> None:
    need_aravis()
    client = [
        SYSTEM_PYTHON,
        CLIENTS / "many_gige.py",
        "--count",
        "10",
        "--size",
        "320",
        "240",
        "--fps",
        "5",
        "--frame-retention",
        "1000",
    ]
    models = (BASLER, BAUMER) * (count // 2)
    listed, *results = objects(on_own_network(*client, models=models).stdout)
    assert listed["addresses"] == sorted(f"192.168.10.{11 + index}" for index in range(count))
    assert len(results) == count
    for result in results:
        assert (result["status"], result["gaps"]) == ({"success": 10}, 0)
