"""The camera in a kernel's USB host stack: vhci-hcd under User-Mode Linux, and on Debian's kernel in QEMU.

Each rig boots once and plays scenarios of guest.py; each test judges what one of them found. Everything is ten times
slower in QEMU, which is there for a second opinion: some of the clients, with a few frames of a test image, and none
of what needs other cameras.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.programs import (
    CASES,
    FORMATS,
    MODEL,
    REPOSITORY,
    U3V,
    check_aravis,
    check_capture,
    check_events,
    check_lsusb,
    check_pylon,
    end,
    machine_code,
    need,
    need_aravis,
    objects,
    ready_rig,
    start,
)

FRAMES = {
    "uml": {name: 10 if name.startswith("full") else 40 for name in CASES},
    "vm": {"640x480 Mono8": 10, "odd Mono12p": 5, "full Mono8": 2},
}
TIMES = 50
"""How often a client starts and stops a stream; it makes a fifth as many in each mode."""
PATIENCE_S = 1800
CLIENTS = (
    "enumerated",
    "lsusb",
    "listed",
    "features",
    "frames_sync",
    "frames_async",
    "streams",
    "killed",
    "two_cameras",
    "gstreamer",
    "viva",
    "pylon",
)
ALONE = ("usbmon", "device_reset", "high_speed", "weak_port", "usbip_tool", "plug_ends", "nobody")
ON_ANOTHER_KERNEL = ("enumerated", "lsusb", "listed", "frames_sync", "frames_async", "killed", "pylon")
CLIENTS_OF = {"uml": CLIENTS, "vm": ON_ANOTHER_KERNEL}
SCENARIOS = {"uml": ("clients", *ALONE), "vm": ("clients",)}
TEST_IMAGE = ["--set", "TestImageSelector=Testimage2"]
HELD_UP = re.compile(r";(hrtimer: interrupt took|clocksource: |perf: interrupt took)")
"""What a kernel says when its machine was not given a processor for some time."""
Finder = Callable[[str], Any]


def cases(rig: str) -> list[dict[str, Any]]:
    return [CASES[name] | {"count": count} for name, count in FRAMES[rig].items()]


class Guest:
    """A rig that plays its scenarios; `found(name)` is what one of them saw."""

    def __init__(self, rig: str, out: Path) -> None:
        self.rig = rig
        self.out = out
        self._said = ""
        settings = TEST_IMAGE if rig == "vm" else []
        environment = {"PLAY": CLIENTS_OF[rig], "SETTINGS": settings, "CASES": cases(rig)}
        options = ["--timeout", str(PATIENCE_S), "--out", str(out)]
        for name, value in environment.items():
            options += ["--env", f"{name}={json.dumps(value)}"]
        self._compile()
        guest = [sys.executable, REPOSITORY / "tests/system/guest.py", str(TIMES), *SCENARIOS[rig]]
        self._program = start([REPOSITORY / "scripts" / rig, *options, "--", *guest], cwd=REPOSITORY)

    def _compile(self) -> None:
        """Have the sensor engine compiled here, where it is quick, for the guest's processor: QEMU's is another."""
        scene = TEST_IMAGE if self.rig == "vm" else []
        engine = [*U3V, "run", MODEL, "--", "true"]
        frames = [
            [*U3V, "grab", MODEL, "-n", "1", "--clock", "simulated", *scene, "--set", f"PixelFormat={name}"]
            for name in FORMATS
        ]
        for command in (engine, *frames):
            environment = os.environ | machine_code(self.rig)
            subprocess.run(command, env=environment, check=True, capture_output=True)

    def found(self, name: str) -> Any:
        if self._program.returncode is None:
            stdout, stderr = self._program.communicate()
            self._said = f"exit code {self._program.returncode}\n{stdout}\n{stderr}"
        file = self.out / f"{name}.json"
        assert file.exists(), f"{name} was not played:\n{self._said}"
        result = json.loads(file.read_text())
        assert "error" not in result, result["error"]
        return result["found"]

    def close(self) -> None:
        end(self._program)
        self._program.communicate()


UML = pytest.param("uml", marks=pytest.mark.patient)


@pytest.fixture(scope="module", params=[UML, "vm"])
def guest(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    rig = str(request.param)
    need("lsusb", "usbip", "tcpdump", "tshark", "setpriv", "gst-launch-1.0")
    need_aravis()
    ready_rig(rig)
    guest = Guest(rig, tmp_path_factory.mktemp(rig))
    yield guest
    guest.close()


def output(found: Any, complaints: str = "") -> str:
    assert (found["status"], found["stderr"]) == (0, complaints), found
    return str(found["stdout"])


def only(results: list[Any]) -> Any:
    (result,) = results
    return result


def test_enumerated_at_superspeed(guest: Guest) -> None:
    first, second = guest.found("enumerated")["cameras"]
    assert (first.pop("serial"), second.pop("serial")) == ("40000001", "40000002")
    assert int(first.pop("devnum")) + 1 == int(second.pop("devnum"))
    assert first == second
    del first["busnum"]
    assert first == {
        "speed": "5000",
        "version": "3.00",
        "bConfigurationValue": "1",
        "bMaxPower": "720mA",
        "product": MODEL,
    }


def test_the_kernel_has_nothing_to_complain_about(guest: Guest) -> None:
    kernel = guest.found("enumerated")["kernel"]
    assert sum("new SuperSpeed USB device" in line for line in kernel) == 2
    doubtful = re.compile(
        "warn|error|fail|invalid|unable|using minimum|too short|not respond|reset", re.IGNORECASE
    )
    assert [line for line in kernel if doubtful.search(line)] == []
    warning = 4  # not even while the clients run, nor when the cameras are unplugged
    everything = [line for line in guest.found("clients")["kernel"] if not HELD_UP.search(line)]
    assert [line for line in everything if int(line.split(",")[0]) & 7 <= warning] == []
    assert sum("USB disconnect" in line for line in everything) == 2


def test_unplugged_at_the_end(guest: Guest) -> None:
    found = guest.found("clients")
    assert (found["status"], found["ports"]) == (0, []), found


def test_u15_nothing_is_compiled_in_the_guest(guest: Guest) -> None:
    """U15: machine code is kept where the guest reads and writes it. This is what numba says of its cache."""
    said = guest.found("clients")["stdout"].splitlines()
    assert [line for line in said if not re.match(r"\[cache\] (index|data) loaded from ", line)] == []
    assert any(line.startswith("[cache] data loaded from ") for line in said)


def test_lsusb(guest: Guest) -> None:
    found = guest.found("lsusb")
    assert found["status"] == 0
    check_lsusb(found["stdout"], found["stderr"])


def test_aravis_lists_both(guest: Guest) -> None:
    lines = output(guest.found("listed")).splitlines()
    assert sorted(re.sub(r"-2676\w+-", "-", line) for line in lines) == [
        "Basler-40000001 (USB3)",
        "Basler-40000002 (USB3)",
    ]


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_aravis_frames(guest: Guest, mode: str) -> None:
    results = objects(output(guest.found(f"frames_{mode}")))
    for result, case in zip(results, cases(guest.rig), strict=True):
        assert (result["roi"], result["format"]) == (case["roi"], case["format"])
        check_aravis([result], case["count"])
        assert result["sizes"] == [result["payload"]]
        assert result["different"] == min(4, case["count"])


def test_aravis_is_killed_and_opens_again(guest: Guest) -> None:
    for found in guest.found("killed"):
        results = objects(output(found))
        assert len(results) >= 2 and {result["killed"] for result in results[::2]} == {-9}
        check_aravis(results[1::2], 10)


def test_pylon(guest: Guest) -> None:
    result = only(objects(output(guest.found("pylon"))))
    assert result["devices"] == 2
    check_pylon(result, 50)


# --- What User-Mode Linux alone plays.

only_uml = pytest.mark.parametrize("guest", [UML], indirect=True, scope="module")


@only_uml
def test_aravis_reads_every_feature(guest: Guest) -> None:
    listed, values = map(output, guest.found("features"))
    unavailable = {"UserSetSave", "SequencerSetLoad", "SequencerSetSave"}
    assert set(re.findall(r"'(\w+)' \(Not available\)", listed)) == unavailable
    names = re.findall(r"^ +(?:Integer|Float|Boolean|Enumeration|String) *: .*'(\w+)'", listed, re.MULTILINE)
    read = set(re.findall(r"'(\w+)' = \S", values))
    assert len(read) > 60
    assert {name for name in names if name not in read and not name.startswith(("Event", "Chunk"))} == set()


@only_uml
def test_aravis_starts_and_stops_many_times(guest: Guest) -> None:
    streams, restarts = guest.found("streams")
    results = objects(output(streams))
    assert [result["mode"] for result in results] == ["sync"] * (TIMES // 5) + ["async"] * (TIMES // 5)
    check_aravis(results, 2)
    check_aravis([only(objects(output(restarts)))], 2 * (TIMES + 1))


@only_uml
def test_two_cameras_at_once(guest: Guest) -> None:
    ids, *results = objects(output(guest.found("two_cameras")))
    assert len(set(ids["ids"])) == len(results) == 2
    for result in results:
        assert result["frames"] >= 40
        assert (result["bad"], result["gaps"], result["failures"]) == ([], 0, 0), result


@only_uml
def test_gstreamer(guest: Guest) -> None:
    found = guest.found("gstreamer")
    assert output(found) == ""
    assert found["bytes"] == 20 * 640 * 480


@only_uml
def test_viva(guest: Guest) -> None:
    """A strict host: it discards frames that come faster than the program takes them, and says how many."""
    result = only(objects(output(guest.found("viva"))))
    bad = [
        line for line in result["bad_nodes"] if "is a Register, not a feature with a text form" not in line
    ]
    assert (result["devices"], bad, result["skipped"]) == (2, [], []), result
    assert (result["frames"], result["shapes"]) == (20, [[480, 640]]), result
    assert (result["lost"], result["transfer_errors"]) == (0, 0), result
    assert result["gaps"] <= result["too_late"], result


@only_uml
def test_usbmon_capture(guest: Guest) -> None:
    """T1: a busy machine may lose records of a capture, but not unseen: then it is made once more."""
    found = guest.found("usbmon")
    assert found["lost"][-1] == 0, f"records lost by one capture after the other: {found['lost']}"
    assert found["grabbed"]["status"] == 0, found
    check_aravis(objects(found["grabbed"]["stdout"]), 10)
    check_capture(guest.out / "usbmon.pcap", 10)


@only_uml
def test_usbip_capture(guest: Guest) -> None:
    check_aravis(objects(output(guest.found("usbip_tool")["grabbed"])), 10)
    check_capture(guest.out / "usbip.pcap", 10, usbip=True)


@only_uml
def test_the_stock_usbip_tool(guest: Guest) -> None:
    found = guest.found("usbip_tool")
    for when in ("list", "listed again"):
        listed = output(found[when])
        assert re.findall(r"^ +(1-\d): .*\((\w+:\w+)\)", listed, re.MULTILINE) == [
            ("1-1", "2676:ba02"),
            ("1-2", "2676:ba02"),
        ]
        assert listed.count("(ef/05/00)") == listed.count("(ef/05/01)") == listed.count("(ef/05/02)") == 2
    assert output(found["attach"]) == ""
    assert [camera["speed"] for camera in found["cameras"]] == ["5000"]
    assert "usbip://127.0.0.1:3240/1-1" in output(found["port"])
    assert found["again"]["status"] != 0 and "busy" in found["again"]["stderr"]
    assert found["detach"]["status"] == 0


@only_uml
@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
def test_a_server_that_ends_frees_the_port(guest: Guest, how: str) -> None:
    found = guest.found("usbip_tool")[how]
    assert found["status"] == {"SIGTERM": 0, "SIGKILL": -9}[how]
    assert "Traceback" not in found["stderr"]


@only_uml
def test_h4_a_running_program_sees_the_camera_leave_and_return(guest: Guest) -> None:
    """H4: udevd runs in the guest and tells libusb of the camera that comes back after DeviceReset."""
    found = guest.found("device_reset")
    assert found["status"] == 0, found
    result = only(objects(found["stdout"]))
    assert (result["before"], result["after"]) == ([0, 1, 2], [0, 1, 2])
    assert found["stderr"].count("drops off the bus: DeviceReset") == 1


@only_uml
def test_a_high_speed_port(guest: Guest) -> None:
    found = guest.found("at_high_speed")
    camera = only(found["cameras"])
    assert (camera["speed"], camera["bMaxPower"]) == ("480", "500mA")
    assert re.fullmatch(r"hs \d+", only(found["ports"]))
    assert found["lsusb"]["status"] == 0
    check_lsusb(found["lsusb"]["stdout"], found["lsusb"]["stderr"], "high")
    check_aravis(objects(output(found["grabbed"])), 10)
    check_events(objects(output(found["events"])))


@only_uml
def test_a_port_with_too_little_current_is_told_and_refused(guest: Guest) -> None:
    found = guest.found("weak_port")
    assert guest.found("at_weak_port") == {"seen": ["2676"], "configured": []}
    told = f"u3v: {MODEL} 40000001 stays unconfigured: the port offers 500 mA, the camera needs 720 mA"
    assert found["stderr"].splitlines().count(told) == 1
    assert found["ports"] == []


@only_uml
def test_plug_ends(guest: Guest) -> None:
    """The scenario itself waits until the port is free and the command is gone."""
    endings = guest.found("plug_ends")
    assert [(found["how"], found["command"], found["status"]) for found in endings] == [
        ("SIGINT", False, 0),
        ("SIGTERM", True, 128 + 15),
        ("SIGKILL", True, -9),
    ]
    assert not any("Traceback" in found["stderr"] for found in endings)


@only_uml
def test_nobody_where_the_kernel_shows_no_usb(guest: Guest) -> None:
    found = guest.found("nobody")
    lines = found["stdout"].split("\n")
    assert found["status"] == 0, found
    assert lines[:6] == ["/dev/bus:", "", "/sys:", "65534", "CapEff:\t0000000000000000", lines[5]]
    assert "40000001 (USB3)" in lines[5]
    check_aravis(objects(found["stdout"]), 20)
