"""Debian's Aravis with a camera of `u3v run`: list, read everything, stream in both modes and be killed.

The matrix runs unpaced, so that no frame is discarded because this machine is slow; one test runs at the
camera's own rate and holds it to its account.
"""

import json
import re
from pathlib import Path

import pytest

from tests.system.programs import (
    CASES,
    CLIENTS,
    MODEL,
    SIZES,
    SYSTEM_PYTHON,
    aravis,
    check_aravis,
    need,
    need_aravis,
    objects,
    u3v,
    with_camera,
)

FRAMES = 300
pytestmark = pytest.mark.usefixtures("_aravis")


@pytest.fixture(scope="module")
def _aravis() -> None:
    need_aravis()
    u3v("run", MODEL, "--", "true")  # what is compiled once is compiled now


def values(text: str) -> dict[str, str]:
    """What `arv-tool-0.8 control` printed, the last value of each name."""
    return dict(re.findall(r"^(\w+) = (\S+)", text, re.MULTILINE))


@pytest.fixture(params=["own", "umockdev"])
def preload(request: pytest.FixtureRequest) -> str:
    if request.param == "umockdev":
        need("umockdev-run")
    else:
        need("cc")
    return f"--preload={request.param}"


def test_listed(preload: str) -> None:
    done = with_camera(["arv-tool-0.8"], preload)
    assert re.fullmatch(r"Basler-2676[0-9A-F]{8}-40000001 \(USB3\)\n", done.stdout)
    assert done.stderr == ""


def test_every_feature_can_be_read(preload: str) -> None:
    listed = with_camera(["arv-tool-0.8", "features"], preload)
    values = with_camera(["arv-tool-0.8", "values"], preload)
    assert listed.stderr == values.stderr == ""
    names = re.findall(r"^ +(\w+) *: .*'(\w+)'", listed.stdout, re.MULTILINE)
    assert {"Width", "ExposureTime", "DeviceLinkThroughputLimit", "TriggerSource", "UserSetSave"} <= {
        n for _, n in names
    }
    # The factory's user set, which is selected at first, cannot be saved; nor sequencer sets outside of their mode.
    unavailable = re.findall(r"'(\w+)' \(Not available\)", listed.stdout)
    assert sorted(unavailable) == ["SequencerSetLoad", "SequencerSetSave", "UserSetSave"]
    readable = {n for kind, n in names if kind in ("Integer", "Float", "Boolean", "Enumeration", "String")}
    assert len(readable) > 60
    read = set(re.findall(r"'(\w+)' = \S", values.stdout))
    # What an event brings is on a port of its own, where nothing is before the event: Aravis knows no events.
    events = re.findall(r"Category +: 'Event(\w+)Data'", listed.stdout)
    assert len(events) > 5
    absent = {f"Event{event}{what}" for event in events for what in ("", "Timestamp", "FrameID")}
    # And what is in chunks is in frames; which of them there are is the camera's.
    absent |= {n for n in readable if n.startswith("Chunk")}
    absent -= {"ChunkModeActive", "ChunkSelector", "ChunkEnable", "ChunkCounterSelector"}
    assert readable - read == absent


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_frames(preload: str, mode: str) -> None:
    client = aravis("--count", str(FRAMES), "--mode", mode, "--cases", json.dumps(list(CASES.values())))
    results = objects(with_camera(client, preload, "--no-pacing").stdout)
    assert [(r["roi"], r["format"]) for r in results] == [(c["roi"], c["format"]) for c in CASES.values()]
    check_aravis(results, FRAMES)
    for result in results:
        _, _, width, height = result["roi"]
        bits = {"Mono8": 8, "Mono12p": 12}[result["format"]]
        assert result["sizes"] == [result["payload"]] == [-(-width * height * bits // 8)]
        assert result["different"] == 4  # each frame has noise of its own


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("name", ["own", "umockdev"])
def test_at_the_camera_s_own_pace_every_frame_is_accounted_for(name: str, mode: str) -> None:
    """What this machine is too slow for is discarded by the camera, which says so: nothing vanishes."""
    client = aravis("--count", "150", "--mode", mode, "--roi", *map(str, SIZES["full"]))
    (result,) = objects(with_camera(client, f"--preload={name}").stdout)
    assert (result["bad"], result["failures"], result["backwards"]) == ([], 0, 0), result
    assert result["frames"] == 150
    missing = result["gaps"] + result["first_id"]
    missed_by_aravis = result["underruns"] if mode == "sync" else 0
    assert missing <= result["discarded"] + missed_by_aravis, result


def test_fifty_streams_and_fifty_restarts(preload: str) -> None:
    for mode in ("sync", "async"):
        client = aravis("--count", "3", "--mode", mode, "--roi", "0", "0", "640", "480")
        streams = objects(with_camera([*client, "--runs", "50"], preload, "--no-pacing").stdout)
        assert len(streams) == 50
        check_aravis(streams, 3)
    # In one stream frames that were exposed before the stop still come; their ids go on.
    (result,) = objects(
        with_camera([*client, "--mode", "sync", "--restarts", "50"], preload, "--no-pacing").stdout
    )
    check_aravis([result], 3 * 51)


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_killed_while_streaming_and_opened_again(preload: str, mode: str) -> None:
    options = ["3", "--mode", mode, "--roi", "0", "0", "1920", "1080", "--count", "20"]
    client = [SYSTEM_PYTHON, CLIENTS / "kill_and_reopen.py", *options]
    results = objects(with_camera(client, preload, "--no-pacing").stdout)
    assert results[::2] == [{"killed": -9}] * 3
    check_aravis(results[1::2], 20)


def test_two_cameras_at_once(preload: str) -> None:
    client = [
        SYSTEM_PYTHON,
        CLIENTS / "two_cameras.py",
        "100",
        "--roi",
        "0",
        "0",
        "1920",
        "1080",
        "--rate",
        "40",
    ]
    settings = ["--set", "ExposureTime=5000"]
    ids, *results = objects(with_camera(client, preload, *settings, models=f"{MODEL},{MODEL}").stdout)
    assert {name.rpartition("-")[2] for name in ids["ids"]} == {"40000001", "40000002"}
    assert len(set(ids["ids"])) == 2
    assert len(results) == 2
    for result in results:
        assert result["frames"] >= 200
        assert (result["bad"], result["failures"], result["underruns"]) == ([], 0, 0), result
        assert result["gaps"] <= result["discarded"], result


def test_a_slow_host_loses_frames_in_the_camera_and_every_one_is_counted(preload: str) -> None:
    """A callback of 70 ms keeps Aravis from reading: 14 frames a second of 40 that the camera exposes."""
    client = [
        SYSTEM_PYTHON,
        CLIENTS / "aravis_client.py",
        "--count",
        "60",
        "--callback-sleep",
        "0.07",
        "--virtual",
    ]
    done = with_camera(client, preload)
    (result,) = objects(done.stdout)
    assert (result["frames"], result["bad"], result["failures"]) == (60, [], 0), result
    assert result["backwards"] == 0
    assert result["last_id"] - result["first_id"] + 1 == 60 + result["gaps"]
    assert result["discarded"] > 60, result
    held = result["offered"] - result["delivered"] - result["discarded"]
    assert 0 <= held <= 9, result  # the frame memory takes seven, one is on the wire
    assert 0 <= result["discarded"] - result["gaps"] <= result["offered"] - result["last_id"], result
    assert result["delivered"] - 60 in (0, 1, 2), result  # those that Aravis has not handed on yet
    summary = re.search(
        r"(\d+) frames offered = (\d+) delivered \+ (\d+) discarded \+ (\d+) after the host's stop \+ (\d+) held",
        done.stderr,
    )
    assert summary is not None, done.stderr
    offered, *parts = map(int, summary.groups())
    assert offered == sum(parts) >= 60


def test_settings_reach_the_camera_and_come_back(preload: str) -> None:
    wanted = ["ExposureTime=1234", "Gain=6", "PixelFormat=Mono12", "Width=1000", "OffsetX=20"]
    names = [assignment.partition("=")[0] for assignment in wanted]
    done = with_camera(["arv-tool-0.8", "control", *wanted, *names], preload)
    assert values(done.stdout) == {
        "ExposureTime": "1234",
        "Gain": "6",
        "PixelFormat": "Mono12",
        "Width": "1000",
        "OffsetX": "20",
    }


def test_user_sets_persist_over_two_runs(tmp_path: Path) -> None:
    state = tmp_path / "camera.json"
    control = ["arv-tool-0.8", "control"]
    stored = [
        "UserSetSelector=UserSet2",
        "ExposureTime=4321",
        "Gain=3",
        "UserSetSave",
        "UserSetDefault=UserSet2",
    ]
    done = with_camera([*control, *stored], "--state", state)
    assert done.stderr == ""
    read = with_camera([*control, "ExposureTime", "Gain", "UserSetDefault"], "--state", state)
    assert values(read.stdout) == {"ExposureTime": "4321", "Gain": "3", "UserSetDefault": "UserSet2"}
    fresh = with_camera([*control, "ExposureTime"], "--state", tmp_path / "another.json")
    assert values(fresh.stdout) == {"ExposureTime": "10000"}
