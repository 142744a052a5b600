"""GigE Vision: acknowledges that go astray, a cable that is pulled, a supply that sags, in the eyes of Aravis; packets
that are lost, in those of pylon.

Frames are 640 x 480 at 10 per second, so that a busy machine keeps up.
"""

import sys

import pytest

from tests.system.programs import CLIENTS, objects, run, u3v
from tests.system.served_gige import ADDRESS, aravis, served
from tests.system.test_gige_clients import need_pylon

BASLER = "acA4096-11gm"
SLOW = ["--set", "AcquisitionFrameRateEnable=true", "--set", "AcquisitionFrameRate=10"]
SMALL = ["--size", 640, 480, "--frame-retention", 1000]


@pytest.mark.parametrize(
    "fault",
    [
        "lost-ack:nth=20,times=3",
        "lost-command:nth=20,times=3",
        "late-ack:nth=30,delay_ms=700,times=2",
        "double-ack:times=0",
        "stale-ack:times=0",
        "pending-acks:nth=30,count=12,wait_ms=150",
    ],
)
def test_aravis_gets_by_with_acknowledges_that_go_astray(fault: str) -> None:
    with served(BASLER, *SLOW, "--fault", fault):
        assert aravis(*SMALL, "--count", 5)["status"] == {"success": 5}


@pytest.mark.parametrize(("late_ms", "is_listed"), [(0, False), (200, True), (5000, False)])
def test_aravis_lists_the_cameras_that_answer_its_search_in_time(late_ms: int, is_listed: bool) -> None:
    """It waits until nothing has come for a second. 0: the answer is lost."""
    with served(BASLER, "--fault", f"lost-discovery:late_ms={late_ms}"):
        listed = run(["arv-tool-0.8"])
    assert (f"({ADDRESS})" in listed.stdout) == is_listed


@pytest.mark.parametrize("fault", ["yank:frame=8,back_ms=500", "brown-out:frame=8,volts=8,for_ms=200"])
def test_aravis_loses_a_camera_without_power_and_opens_it_again(fault: str) -> None:
    with served(BASLER, *SLOW, "--fault", fault):
        result = aravis(*SMALL, "--count", 3, "--until-lost")
        assert result["lost"] and result["status"]["success"] >= 5
        assert aravis(*SMALL, "--count", 3)["status"] == {"success": 3}


def test_a_cable_that_is_in_again_soon_costs_frames_and_not_the_camera() -> None:
    """The camera has its power all the while. What was sent meanwhile is lost; the host has its heartbeat again in
    time."""
    with served(BASLER, *SLOW, "--fault", "yank:frame=8,back_ms=1200,power=kept"):
        result = aravis(*SMALL, "--count", 30)
    assert not result["lost"] and result["status"]["success"] >= 25
    assert result["gaps"] + sum(result["status"].values()) - result["status"]["success"] >= 5


@pytest.mark.parametrize("share", [0.001, 0.01, 0.05])
def test_pylon_completes_every_frame_if_packets_come_one_by_one(share: float) -> None:
    """Of the packets that it takes out of its socket at once, 32 at most, it asks for the last ones missing and forgets
    the others (its own trace says so). With a delay between packets it takes one at a time. Of the last frame that it
    has a buffer for it asks for nothing twice. Frames that it calls incomplete of its own accord are not counted as
    failed."""
    need_pylon()
    fault = f"lost-packets:p={share},times=0,seed=3"
    client = [
        sys.executable,
        CLIENTS / "pylon_client.py",
        "--count",
        "20",
        "--go-on",
        "--packet-delay",
        "200000",
    ]
    for _ in range(3):  # a busy machine wakes pylon too late: one undisturbed run of three is asked for
        done = u3v("run", BASLER, "--wire", "gige", *SLOW, "--fault", fault, "--", *client)
        assert done.returncode == 0, done.stderr
        (result,) = objects(done.stdout)
        counts = result["statistics"]
        if not counts["Statistic_Failed_Buffer_Count"]:
            break
    assert (result["frames"], result["gaps"], counts["Statistic_Failed_Buffer_Count"]) == (20, 0, 0), result
    assert counts["Statistic_Resend_Packet_Count"] >= share * 20 * 212 * 0.5
