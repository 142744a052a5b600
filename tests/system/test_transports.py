"""`u3v ctl`, faults, captures and the power model on every way to a host, and the same events: the table of
docs/transports.md. Each row is what a scenario of transports_guest.py found.
"""

import re
from typing import Any

import pytest

from tests.system.gadgets import Played, only, output
from tests.system.programs import check_aravis, check_events, objects, ready_rig, tshark

pytestmark = pytest.mark.patient
SUPER, HIGH = "625000000", "60000000"
WAYS = {
    "usbip": SUPER,
    "vhci": SUPER,
    "preload": SUPER,
    "functionfs": SUPER,
    "gadgetfs": HIGH,
    "usbredir": SUPER,
}
"""DeviceLinkSpeed of each, bytes per second."""
ways = pytest.mark.parametrize("way", WAYS)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    ready_rig("vm")
    inside = [way for way in WAYS if way != "usbredir"]
    return Played(tmp_path_factory.mktemp("ways"), inside, "transports_guest.py", outside=["usbredir"])


@ways
def test_control(played: Played, way: str) -> None:
    assert output(played.found(way)["link"]).split()[0] == WAYS[way]


@ways
def test_a_fault_strikes(played: Played, way: str) -> None:
    found = played.found(way)
    result = only(objects(output(found["grabbed"])))
    assert result["bad"] == ["missing-packets"] and result["failures"] == 1, result
    assert [fault["struck"] for fault in found["faults"]] == [1]


@ways
def test_power_and_cable(played: Played, way: str) -> None:
    """A supply that sags and a cable that is pulled take it off the bus; it comes back and works."""
    found = played.found(way)
    assert (found["weak"], found["unplugged"]) == ("unplugged", "unplugged")
    said = found["ended"]["stderr"]
    assert re.search(r"drops off the bus: brown-out: \d\.\d\d V at the camera", said), said
    assert "drops off the bus: unplugged" in said
    check_aravis([only(objects(output(found["grabbed again"])))], 10)


@ways
def test_the_capture(played: Played, way: str) -> None:
    rows = tshark(played.out / f"{way}.pcap", "u3v.stream.leader_size", "u3v.stream.block_id")
    assert [int(row[0]) for row in rows[:5]] == [0, 1, 2, 3, 4]
    rows = tshark(played.out / f"{way}.pcap", "u3v.stream.trailer_size", "u3v.stream.block_id")
    assert [int(row[0]) for row in rows[:4]] == [0, 1, 2, 4]


@ways
def test_events(played: Played, way: str) -> None:
    check_events(objects(output(played.found(way)["events"])))


@ways
def test_the_end(played: Played, way: str) -> None:
    ended: Any = played.found(way)["ended"]
    assert ended["status"] == 0 and "Traceback" not in ended["stderr"], ended
