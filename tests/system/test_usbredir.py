"""The camera on a virtual machine's own xHCI: QEMU's usb-redir against `u3v serve --usbredir`.

The guest (Debian's kernel in QEMU without KVM) boots once and plays the scenarios of usbredir_guest.py; each test
judges what one of them found. The camera runs outside; neither usbip nor vhci-hcd has a part in it.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.system.programs import (
    CASES,
    HALF_A_REGISTER,
    MODEL,
    REPOSITORY,
    U3V,
    check_aravis,
    check_lsusb,
    end,
    need,
    need_aravis,
    objects,
    ready_rig,
    run,
    start,
    tshark,
    u3v,
)

PATIENCE_S = 1500
STREAMS = 10
FRAMES = 20
WANTED = [CASES[name] | {"count": FRAMES} for name in ("640x480 Mono8", "odd Mono12p")]


class Played:
    """What the guest found, and how the camera's process said it went."""

    def __init__(self, out: Path) -> None:
        self.out = out
        socket = out / "camera.sock"
        cheap = ("--no-pacing", "--set", "TestImageSelector=Testimage2")
        serve = [*U3V, "serve", MODEL, *cheap, "--usbredir", f"unix:{socket}", "--control", out / "control"]
        camera = start([*serve, "--pcap", out / "pcap"], cwd=REPOSITORY)
        try:
            assert camera.stdout is not None and camera.stderr is not None
            self.said = [camera.stdout.readline() for _ in range(3)]
            names = [
                "enumerated",
                "lsusb",
                "frames",
                "streams",
                "killed",
                "port_reset",
                "device_reset",
                "kernel",
            ]
            inside = [sys.executable, REPOSITORY / "tests/system/usbredir_guest.py", str(STREAMS), *names]
            options = [
                "--timeout",
                str(PATIENCE_S),
                "--out",
                out,
                "--env",
                f"CASES={json.dumps(WANTED)}",
            ]
            vm = [REPOSITORY / "scripts/vm", "--usbredir", socket, *options, "--", *inside]
            self.guest = run(vm, patience_s=PATIENCE_S + 60)
            self.counters = u3v("ctl", "--json", "-c", out / "control", "counters")
            camera.terminate()
            _, self.complaints = camera.communicate(timeout=PATIENCE_S)
            self.status = camera.returncode
        finally:
            end(camera)

    def found(self, name: str) -> Any:
        file = self.out / f"{name}.json"
        assert file.exists(), f"{name} was not played:\n{self.guest}"
        result = json.loads(file.read_text())
        assert "error" not in result, result["error"]
        return result["found"]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    need("lsusb", "tshark")
    need_aravis()
    ready_rig("vm")
    return Played(tmp_path_factory.mktemp("usbredir"))


def output(found: Any) -> str:
    assert (found["status"], found["stderr"]) == (0, ""), found
    return str(found["stdout"])


def test_enumerated_by_the_guests_own_xhci(played: Played) -> None:
    found = played.found("enumerated")
    (camera,) = found["cameras"]
    assert found["driver"] == "xhci_hcd"
    assert (camera["speed"], camera["version"], camera["product"]) == ("5000", "3.00", MODEL)
    assert (camera["bMaxPower"], camera["serial"]) == ("720mA", "40000001")


def test_lsusb(played: Played) -> None:
    found = played.found("lsusb")
    assert found["status"] == 0
    check_lsusb(found["stdout"], found["stderr"])


def test_aravis_frames(played: Played) -> None:
    for found in played.found("frames"):
        results = objects(output(found))
        assert len(results) == len(WANTED)
        for result, case in zip(results, WANTED, strict=True):
            assert (result["roi"], result["format"]) == (case["roi"], case["format"])
            check_aravis([result], FRAMES)
            assert result["sizes"] == [result["payload"]]


def test_aravis_starts_and_stops(played: Played) -> None:
    check_aravis(objects(output(played.found("streams"))), 2 * (STREAMS + 1))


def test_aravis_is_killed_and_opens_again(played: Played) -> None:
    results = objects(output(played.found("killed")))
    assert {result["killed"] for result in results[::2]} == {-9}
    check_aravis(results[1::2], 10)


def test_a_port_reset_reaches_the_camera(played: Played) -> None:
    found = played.found("port_reset")
    assert output(found["reset"]) == "1\n"
    check_aravis(objects(output(found["grabbed"])), 10)


def test_a_running_program_sees_the_camera_leave_and_return(played: Played) -> None:
    found = played.found("device_reset")
    assert found["status"] == 0, found
    (result,) = objects(found["stdout"])
    assert (result["before"], result["after"]) == ([0, 1, 2], [0, 1, 2])
    assert played.complaints.count("drops off the bus: DeviceReset") == 1


def test_the_kernel_has_nothing_to_complain_about(played: Played) -> None:
    about = [line for line in played.found("kernel") if re.search(r";(usb \d+-\d|xhci_hcd)", line)]
    assert sum("new SuperSpeed USB device" in line for line in about) == 2  # once more after DeviceReset
    doubtful = re.compile("warn|error|fail|invalid|unable|using minimum|too short|not respond", re.IGNORECASE)
    assert [line for line in about if doubtful.search(line)] == []


def test_the_capture(played: Played) -> None:
    """What `--pcap` wrote, in the eyes of tshark: nothing malformed but what Aravis reads half of."""
    capture = played.out / "pcap"
    malformed = tshark(capture, "_ws.malformed", "_ws.col.Info", "u3v.gencp.payloadlength")
    assert {tuple(row) for row in malformed} <= {(HALF_A_REGISTER, "0x0004")}
    trailers = tshark(capture, "u3v.stream.trailer_size", "u3v.stream.block_id", "u3v.stream.status")
    assert [int(block) for block, _ in trailers[:FRAMES]] == list(range(FRAMES))
    assert {int(status, 0) for _, status in trailers} == {0}


def test_the_control_socket_and_the_end(played: Played) -> None:
    assert played.counters.returncode == 0, played.counters
    assert json.loads(played.counters.stdout)["lost"] == 0
    assert played.status == 0 and "Traceback" not in played.complaints
    assert "-device usb-redir,chardev=u3v1" in played.said[1]
