"""Actions, events and the clock of several GigE cameras, judged by pylon."""

import sys

from tests.system.programs import CLIENTS, objects, on_own_network
from tests.system.test_gige_clients import need_pylon

MODELS = ("acA4096-11gm", "acA4112-8gm")
ADDRESSES = ["192.168.10.11", "192.168.10.12"]


def test_one_action_of_pylon_exposes_both_cameras_at_the_same_instant() -> None:
    need_pylon()
    done = on_own_network(sys.executable, CLIENTS / "pylon_actions.py", models=MODELS)
    (result,) = objects(done.stdout)
    assert (result["states"], result["offsets"], result["parents"]) == (["Master", "Slave"], [0, 0], 1)
    assert result["told"] == result["told_of_time"] == [[address, 0] for address in ADDRESSES]
    assert all(0 < stamp < result["due"] for stamp in result["at_once"])
    assert result["scheduled"] == [result["due"]] * 2
    assert result["exposed"] == sorted(at + 100_000 for at in (*result["at_once"], *result["scheduled"]))
