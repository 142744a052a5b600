"""The camera as a USB gadget, on the kernel's dummy_hcd under User-Mode Linux: FunctionFS with scripts/f_fs's patch at
SuperSpeed, GadgetFS as it comes at High-Speed. Two guests play the scenarios of gadget_guest.py at the same time; each
test judges what one of them found.

Not a part of the complete command yet, because one of several runs finds something new; run it by its name:
`scripts/test tests/system/gadget_checks.py`.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.programs import (
    MODEL,
    REPOSITORY,
    SIZES,
    U3V,
    check_aravis,
    end,
    machine_code,
    need,
    need_aravis,
    objects,
    ready_rig,
    start,
    tshark,
)

STREAMS = 50
PATIENCE_S = 900
BOOTS = (
    ("functionfs", "gadgetfs", "paced"),
    ("troubles_functionfs", "troubles_gadgetfs", "two", "stock"),
)
CASES = [
    {"roi": SIZES["640x480"], "format": "Mono8", "count": 20},
    {"roi": SIZES["odd"], "format": "Mono12p", "count": 20},
    {"roi": SIZES["full"], "format": "Mono8", "count": 10},
]


class Guests:
    """`found(name)` is what a scenario saw."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self._said = ""
        for name in ("Mono8", "Mono12p"):  # machine code is made here, where it is quick
            command = [*U3V, "grab", MODEL, "-n", "1", "--clock", "simulated", "--set", f"PixelFormat={name}"]
            subprocess.run(command, env=os.environ | machine_code("uml"), check=True, capture_output=True)
        processors = sorted(os.sched_getaffinity(0))
        options = ["--timeout", str(PATIENCE_S), "--out", str(out), "--env", f"CASES={json.dumps(CASES)}"]
        self._programs: list[subprocess.Popen[str]] = []
        for index, names in enumerate(BOOTS):
            cpu = ["--cpu", str(processors[index % len(processors)])]
            guest = [sys.executable, REPOSITORY / "tests/system/gadget_guest.py", str(STREAMS), *names]
            program = start([REPOSITORY / "scripts/uml", *options, *cpu, "--", *guest], cwd=REPOSITORY)
            self._programs.append(program)

    def found(self, name: str) -> Any:
        for program in self._programs:
            if program.returncode is None:
                stdout, stderr = program.communicate()
                self._said += f"exit code {program.returncode}\n{stdout}\n{stderr}\n"
        file = self.out / f"{name}.json"
        assert file.exists(), f"{name} was not played:\n{self._said}"
        result = json.loads(file.read_text())
        assert "error" not in result, result["error"]
        return result["found"]

    def close(self) -> None:
        for program in self._programs:
            end(program)
            program.communicate()


@pytest.fixture(scope="module")
def guests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guests]:
    need("lsusb", "tshark")
    need_aravis()
    ready_rig("uml")
    guests = Guests(tmp_path_factory.mktemp("gadget"))
    yield guests
    guests.close()


def output(found: Any) -> str:
    assert found["status"] == 0, found
    return str(found["stdout"])


def only(results: list[Any]) -> Any:
    (result,) = results
    return result


def warnings(kernel: list[str]) -> list[str]:
    """What the kernel says with urgency, apart from what a host says of cameras that go."""
    ours = [
        line for line in kernel if "(arv_uv_stream) did not claim interface" not in line
    ]  # Aravis', after a reset
    return [line for line in ours if int(line.split(",")[0]) & 7 <= 4]


def check_frames(results: list[Any], count: int) -> None:
    """As on other transports, but for underruns: the camera may go on where a killed client stopped, or send what the
    kernel had queued, before Aravis has given its stream any buffers."""
    check_aravis([result | {"underruns": 0} for result in results], count)


def check_frames_after(results: list[Any], count: int) -> None:
    """After a host that ended in the middle of a frame: no kernel tells a gadget of it, so what is left of that frame
    may come first. Aravis says that it is not whole, and never shows it."""
    for result in results:
        assert set(result["bad"]) <= {"missing-packets"} and result["failures"] <= 1, result
        check_frames([result | {"bad": [], "failures": 0}], count)


both = pytest.mark.parametrize("backend", ["functionfs", "gadgetfs"])
SPEEDS = {"functionfs": ("5000", "3.20", "720mA"), "gadgetfs": ("480", "2.00", "500mA")}


@both
def test_enumerated(guests: Guests, backend: str) -> None:
    camera = only(guests.found(backend)["cameras"])
    assert (camera["speed"], camera["version"], camera["bMaxPower"]) == SPEEDS[backend]
    assert (camera["serial"], camera["product"]) == ("40000001", MODEL)


@both
def test_lsusb_sees_the_device_information_and_equal_control_endpoints(guests: Guests, backend: str) -> None:
    text = output(guests.found(backend)["lsusb"])
    assert text.count("** UNRECOGNIZED:  14 24 01 ") == 1
    assert "iFunction               9 USB3 Vision Device" in text
    endpoints = re.findall(r"bEndpointAddress +0x(\w\w)", text)[-4:]
    assert endpoints[:2] == ["01", "81"] and endpoints[2:] == {
        "functionfs": ["86", "8b"],  # of the controller's choice
        "gadgetfs": ["82", "83"],
    }[backend]  # fmt: skip


@both
def test_aravis_lists_it(guests: Guests, backend: str) -> None:
    assert re.fullmatch(r"Basler-2676\w+-40000001 \(USB3\)\n", output(guests.found(backend)["listed"]))


@both
def test_aravis_frames(guests: Guests, backend: str) -> None:
    results = objects(output(guests.found(backend)["sync"]))
    assert len(results) == len(CASES)
    for result, case in zip(results, CASES, strict=True):
        assert (result["roi"], result["format"]) == (case["roi"], case["format"])
        check_frames([result], int(str(case["count"])))
        assert result["sizes"] == [result["payload"]]
        assert result["different"] == min(4, int(str(case["count"])))


@both
def test_aravis_starts_and_stops_fifty_times(guests: Guests, backend: str) -> None:
    results = objects(output(guests.found(backend)["streams"]))
    assert len(results) == STREAMS
    check_frames(results, 2)
    check_frames([only(objects(output(guests.found(backend)["restarts"])))], 2 * (STREAMS + 1))


@both
def test_aravis_is_killed_and_opens_again(guests: Guests, backend: str) -> None:
    """No kernel tells a gadget of halts: who opens the camera anew finds nothing locked all the same."""
    results = objects(output(guests.found(backend)["killed"]))
    assert [result["killed"] for result in results[::2]] == [-9, -9]
    check_frames_after(results[1::2], 10)


@both
def test_the_end_is_clean(guests: Guests, backend: str) -> None:
    found = guests.found(backend)
    assert found["ended"]["status"] == 0, found["ended"]
    assert "Traceback" not in found["ended"]["stderr"]
    assert found["left"] == []
    assert warnings(found["kernel"]) == []


@both
@pytest.mark.parametrize(
    "when",
    ["after a reset", "after a clear-halt", "after a device reset", "after kill -9"],
)
def test_a_client_grabs_after(guests: Guests, backend: str, when: str) -> None:
    check_frames_after([only(objects(output(guests.found(f"troubles_{backend}")[when])))], 10)


def test_a_client_grabs_after_a_rebind(guests: Guests) -> None:
    """Of a gadget in configfs; GadgetFS has nothing of the kind."""
    check_frames_after([only(objects(output(guests.found("troubles_functionfs")["after a rebind"])))], 10)


@both
def test_troubles_leave_nothing(guests: Guests, backend: str) -> None:
    found = guests.found(f"troubles_{backend}")
    assert (found["killed"], found["ended"]["status"], found["left"]) == (-9, 0, [])
    assert warnings(found["kernel"]) == []


def test_two_gadgets_at_once(guests: Guests) -> None:
    found = guests.found("two")
    ids, *results = objects(output(found["grabbed"]))
    assert len(set(ids["ids"])) == len(results) == 2
    for result in results:
        assert result["frames"] >= 40
        assert (result["bad"], result["gaps"], result["failures"]) == ([], 0, 0), result
    assert [ended["status"] for ended in found["ended"]] == [0, 0]
    told = "u3v: USB device controller dummy_udc.1 is in use by u3v.dummy_udc.1: unbind that first\n"
    assert (found["third"]["status"], found["third"]["stderr"]) == (2, told)


def test_stock_functionfs(guests: Guests) -> None:
    """What is lost is said, and who asks for it gets it."""
    found = guests.found("stock")
    lines = output(found["check"]).splitlines()
    assert any(line.startswith("FunctionFS: refuses the U3V descriptor 0x24; scripts/f_fs") for line in lines)
    assert lines[-1].startswith("backend: gadgetfs: served by GadgetFS, at High-Speed")
    assert only(found["auto"]["cameras"])["speed"] == "480"
    assert (
        "refuses the descriptor 0x24 of USB3 Vision: served by GadgetFS" in found["auto"]["ended"]["stderr"]
    )
    asked = found["asked for"]
    assert only(asked["cameras"])["speed"] == "5000"
    assert "14 24 01" not in asked["lsusb"]["stdout"]
    assert "hosts miss the camera's GUID and names" in asked["ended"]["stderr"]


def test_pacing_control_faults_and_captures(guests: Guests) -> None:
    found = guests.found("paced")
    result = only(objects(output(found["grabbed"])))
    assert result["frames"] >= 9 and result["gaps"] >= 1  # the fault: a frame without its trailer
    assert 15 < result["fps"] < 300
    for step in ("named", "unplugged", "plugged"):
        output(found[step])
    leaders = tshark(guests.out / "gadget.pcap", "u3v.stream.leader_size", "u3v.stream.block_id")
    assert [int(row[0]) for row in leaders[:3]] == [0, 1, 2]
