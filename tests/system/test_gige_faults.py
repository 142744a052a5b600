"""GigE Vision: acknowledges that go astray, a cable that is pulled, a supply that sags, in the eyes of Aravis.

All on loopback. Frames are 640 x 480 at 10 per second, so that a busy machine keeps up.
"""

import pytest

from tests.system.served_gige import aravis, served

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


def test_aravis_gives_up_on_a_camera_that_asks_for_patience_without_end() -> None:
    storm = "pending-acks:nth=30,count=0,wait_ms=150,times=0"
    with served(BASLER, *SLOW, "--fault", storm), pytest.raises(AssertionError, match="imeout"):
        aravis(*SMALL, "--count", 5)


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
