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

FRAMES = {"640x480": 100, "1920x1080": 50, "odd": 50, "full": 40}
"""In a case of each size. Of the largest more than Aravis has buffers for: they go round. By hand: 300 of each."""
pytestmark = pytest.mark.usefixtures("_aravis")


@pytest.fixture(scope="module")
def _aravis() -> None:
    need_aravis()
    u3v("run", MODEL, "--", "true")  # what is compiled once is compiled now


def values(text: str) -> dict[str, str]:
    """What `arv-tool-0.8 control` printed, the last value of each name."""
    return dict(re.findall(r"^(\w+) = (\S+)", text, re.MULTILINE))


@pytest.fixture(params=["own", "umockdev"], scope="module")
def preload(request: pytest.FixtureRequest) -> str:
    if request.param == "umockdev":
        need("umockdev-run")
    else:
        need("cc")
    return f"--preload={request.param}"


SETTINGS = ("ExposureTime=1234", "Gain=6", "PixelFormat=Mono12", "Width=1000", "OffsetX=20")
NAMES = tuple(assignment.partition("=")[0] for assignment in SETTINGS)


@pytest.fixture(scope="module")
def told(preload: str) -> list[str]:
    """What `arv-tool-0.8` says of one camera: its list, the features, their values, and settings it has made."""
    commands = ("", "features", "values", f"control {' '.join((*SETTINGS, *NAMES))}")
    script = "; echo '===='; ".join(f"arv-tool-0.8 {command} || exit" for command in commands)
    done = with_camera(["sh", "-c", script], preload)
    assert done.stderr == ""
    return done.stdout.split("====\n")


def test_listed(told: list[str]) -> None:
    assert re.fullmatch(r"Basler-2676[0-9A-F]{8}-40000001 \(USB3\)\n", told[0])


def test_every_feature_can_be_read(told: list[str]) -> None:
    _, listed, values, _ = told
    names = re.findall(r"^ +(\w+) *: .*'(\w+)'", listed, re.MULTILINE)
    assert {"Width", "ExposureTime", "DeviceLinkThroughputLimit", "TriggerSource", "UserSetSave"} <= {
        n for _, n in names
    }
    # The factory's user set, which is selected at first, cannot be saved; nor sequencer sets outside of their mode.
    unavailable = re.findall(r"'(\w+)' \(Not available\)", listed)
    assert sorted(unavailable) == ["SequencerSetLoad", "SequencerSetSave", "UserSetSave"]
    readable = {n for kind, n in names if kind in ("Integer", "Float", "Boolean", "Enumeration", "String")}
    assert len(readable) > 60
    read = set(re.findall(r"'(\w+)' = \S", values))
    # What an event brings is on a port of its own, where nothing is before the event: Aravis knows no events.
    events = re.findall(r"Category +: 'Event(\w+)Data'", listed)
    assert len(events) > 5
    absent = {f"Event{event}{what}" for event in events for what in ("", "Timestamp", "FrameID")}
    # And what is in chunks is in frames; which of them there are is the camera's.
    absent |= {n for n in readable if n.startswith("Chunk")}
    absent -= {"ChunkModeActive", "ChunkSelector", "ChunkEnable", "ChunkCounterSelector"}
    assert readable - read == absent


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_frames(preload: str, mode: str) -> None:
    cases = [case | {"count": FRAMES[name.split()[0]]} for name, case in CASES.items()]
    client = aravis("--mode", mode, "--cases", json.dumps(cases))
    results = objects(with_camera(client, preload, "--no-pacing").stdout)
    for result, case in zip(results, cases, strict=True):
        assert (result["roi"], result["format"]) == (case["roi"], case["format"])
        check_aravis([result], int(str(case["count"])))
        _, _, width, height = result["roi"]
        bits = {"Mono8": 8, "Mono12p": 12}[result["format"]]
        assert result["sizes"] == [result["payload"]] == [-(-width * height * bits // 8)]
        assert result["different"] == 4  # each frame has noise of its own


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("name", ["own", "umockdev"])
def test_at_the_camera_s_own_pace_every_frame_is_accounted_for(name: str, mode: str) -> None:
    """What this machine is too slow for is discarded by the camera, which says so: nothing vanishes."""
    client = aravis("--count", "80", "--mode", mode, "--roi", *map(str, SIZES["full"]))
    (result,) = objects(with_camera(client, f"--preload={name}").stdout)
    assert (result["bad"], result["failures"], result["backwards"]) == ([], 0, 0), result
    assert result["frames"] == 80
    missing = result["gaps"] + result["first_id"]
    missed_by_aravis = result["underruns"] if mode == "sync" else 0
    assert missing <= result["discarded"] + missed_by_aravis, result


def test_fifty_streams_and_fifty_restarts(preload: str) -> None:
    """In one stream frames that were exposed before the stop still come; their ids go on."""
    streams = [{"mode": mode, "runs": 25} for mode in ("sync", "async")]
    cases = json.dumps([*streams, {"mode": "sync", "restarts": 50}])
    client = aravis("--count", "3", "--roi", "0", "0", "640", "480", "--cases", cases)
    *results, restarted = objects(with_camera(client, preload, "--no-pacing").stdout)
    assert [result["mode"] for result in results] == ["sync"] * 25 + ["async"] * 25
    check_aravis(results, 3)
    check_aravis([restarted], 3 * 51)


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_killed_while_streaming_and_opened_again(preload: str, mode: str) -> None:
    options = ["2", "--mode", mode, "--roi", "0", "0", "1920", "1080", "--count", "20"]
    client = [SYSTEM_PYTHON, CLIENTS / "kill_and_reopen.py", *options]
    results = objects(with_camera(client, preload, "--no-pacing").stdout)
    assert results[::2] == [{"killed": -9}] * 2
    check_aravis(results[1::2], 20)


def test_two_cameras_at_once(preload: str) -> None:
    client = [
        SYSTEM_PYTHON,
        CLIENTS / "two_cameras.py",
        "40",
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
        assert result["frames"] >= 80
        assert (result["bad"], result["failures"], result["underruns"]) == ([], 0, 0), result
        assert result["gaps"] <= result["discarded"], result


def test_a_slow_host_loses_frames_in_the_camera_and_every_one_is_counted(preload: str) -> None:
    """A callback of 70 ms keeps Aravis from reading: 14 frames a second of 40 that the camera exposes."""
    client = [
        SYSTEM_PYTHON,
        CLIENTS / "aravis_client.py",
        "--count",
        "40",
        "--callback-sleep",
        "0.07",
        "--virtual",
    ]
    done = with_camera(client, preload)
    (result,) = objects(done.stdout)
    assert (result["frames"], result["bad"], result["failures"]) == (40, [], 0), result
    assert result["backwards"] == 0
    assert result["last_id"] - result["first_id"] + 1 == 40 + result["gaps"]
    assert result["discarded"] > 40, result
    held = result["offered"] - result["delivered"] - result["discarded"]
    assert 0 <= held <= 9, result  # the frame memory takes seven, one is on the wire
    assert 0 <= result["discarded"] - result["gaps"] <= result["offered"] - result["last_id"], result
    assert result["delivered"] - 40 in (0, 1, 2), result  # those that Aravis has not handed on yet
    summary = re.search(
        r"(\d+) frames offered = (\d+) delivered \+ (\d+) discarded \+ (\d+) after the host's stop \+ (\d+) held",
        done.stderr,
    )
    assert summary is not None, done.stderr
    offered, *parts = map(int, summary.groups())
    assert offered == sum(parts) >= 40


def test_settings_reach_the_camera_and_come_back(told: list[str]) -> None:
    assert values(told[3]) == dict(assignment.split("=") for assignment in SETTINGS)


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
