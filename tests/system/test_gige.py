"""GigE Vision judged by Aravis and tshark, on loopback: no root, no network card.

Cameras at addresses of their own. The client is a plain Aravis program that receives on an ordinary UDP socket.

No frame may be lost, however busy the machine is for a moment: 10 small frames per second fit into that socket one by
one, full frames come with a delay between their packets, and what is lost all the same can be had again for a while.
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

from tests.system.programs import CLIENTS, SYSTEM_PYTHON, U3V, end, lacking, need, need_aravis, start, u3v

BASLER, BAUMER, LARGER = "127.0.0.1", "127.0.0.2", "127.0.0.3"
FRAMES = 20
SLOW = ["--set", "AcquisitionFrameRateEnable=true", "--set", "AcquisitionFrameRate=10"]
UNREAD = {"GevSecondURL", "GevPrimaryApplicationSwitchoverKey"}
"""An empty string; what can only be written."""


@pytest.fixture(scope="module")
def cameras() -> Iterator[subprocess.Popen[str]]:
    need_aravis()
    served = start([*U3V, "serve", "acA4096-11gm", "VCXG-124M", "acA4112-8gm", "--wire", "gige", *SLOW])
    assert served.stdout is not None
    lines = []
    while not (lines and lines[-1].startswith("control: ")):
        line = served.stdout.readline()
        assert line, served.communicate()
        lines.append(line)
    assert [line.split()[0] for line in lines[:3]] == [BASLER, BAUMER, LARGER]
    yield served
    end(served)
    served.communicate()


def client(*options: object) -> Any:
    argv = [SYSTEM_PYTHON, CLIENTS / "gige_client.py", *map(str, options)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_aravis_lists_all(cameras: subprocess.Popen[str]) -> None:
    need("arv-tool-0.8")
    done = subprocess.run(["arv-tool-0.8"], capture_output=True, text=True, timeout=120)
    assert sorted(done.stdout.split("\n")) == [
        "",
        f"Basler-acA4096-11gm-40000001 ({BASLER})",
        f"Basler-acA4112-8gm-40000003 ({LARGER})",
        f"Baumer-VCXG-124M-40000002 ({BAUMER})",
    ]


@pytest.mark.parametrize("address", [BASLER, BAUMER, LARGER])
def test_aravis_reads_every_feature(cameras: subprocess.Popen[str], address: str) -> None:
    tool = ["arv-tool-0.8", "--address", address]
    run = {"capture_output": True, "text": True, "timeout": 120, "check": True}
    listed = subprocess.run([*tool, "features"], **run).stdout  # type: ignore[call-overload]
    names = re.findall(r"^ +(?:Integer|Float|Boolean|Enumeration|String) *: .*'(\w+)'", listed, re.MULTILINE)
    values = subprocess.run([*tool, "values"], **run).stdout  # type: ignore[call-overload]
    read = set(re.findall(r"'(\w+)' = \S", values))
    assert len(read) > 80 and "GevSCPSPacketSize" in read
    assert ("GevIEEE1588Status" in read) == ("ExposureTimeAbs" in read) == (address != BAUMER)
    assert {n for n in names if n not in read and "Event" not in n and not n.startswith("Chunk")} <= UNREAD


@pytest.mark.parametrize(
    ("address", "options"),
    [
        (BASLER, ["--size", 640, 480]),
        (BASLER, ["--size", 640, 480, "--format", "Mono12p", "--packet-size", 9000]),
        (BAUMER, ["--size", 640, 480]),
        (BAUMER, ["--size", 1008, 601, "--packet-size", 8192]),
    ],
)
def test_aravis_frames(cameras: subprocess.Popen[str], address: str, options: list[object]) -> None:
    result = client("--camera", address, "--count", FRAMES, "--frame-retention", 1000, *options)
    assert result["status"] == {"success": FRAMES} and result["gaps"] == 0
    assert (result["first"], result["images"], result["n_size_mismatch_errors"]) == (1, 3, 0)


def test_full_frames(cameras: subprocess.Popen[str]) -> None:
    patience = ["--packet-delay", 300_000, "--frame-retention", 5000]
    result = client("--camera", BASLER, "--count", 5, "--packet-size", 9000, "--size", 4096, 2168, *patience)
    assert (result["payload"], result["status"], result["gaps"]) == (4096 * 2168, {"success": 5}, 0)


def test_tshark_understands_the_control_channel(cameras: subprocess.Popen[str], tmp_path: Path) -> None:
    need("tcpdump", "tshark")
    file = tmp_path / "gvcp.pcap"
    if os.geteuid() != 0:
        lacking("root, which tcpdump needs")
    dump = [
        "tcpdump",
        "-i",
        "lo",
        "--immediate-mode",
        "-U",
        "-Z",
        "root",
        "-w",
        str(file),
        "udp",
        "port",
        "3956",
    ]
    capture = subprocess.Popen(dump, stderr=subprocess.PIPE, text=True)
    assert capture.stderr is not None and "listening" in capture.stderr.readline()
    client("--camera", BASLER, "--count", 2, "--size", 64, 48)
    capture.terminate()
    capture.communicate()
    fields = ["-T", "fields", "-e", "gvcp.cmd.command", "-e", "_ws.malformed"]
    told = subprocess.run(["tshark", "-r", str(file), *fields], capture_output=True, text=True, check=True)
    rows = [row.split("\t") for row in told.stdout.splitlines()]
    assert len(rows) > 50 and not any(row[1:] and row[1] for row in rows)


def test_a_machine_without_that_address_says_so() -> None:
    argv = [*U3V, "serve", "acA4096-11gm", "--wire", "gige", "--interface", "192.0.2.1"]
    done = subprocess.run(argv, capture_output=True, text=True, env=os.environ)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "192.0.2.1 is no address of this machine" in done.stderr


def test_usb_models_have_no_ethernet() -> None:
    argv = [sys.executable, "-m", "u3v", "serve", "acA4096-40um", "--wire", "gige"]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1) and "no Ethernet" in done.stderr


@pytest.mark.parametrize("address", [BASLER, BAUMER])
def test_our_own_host(cameras: subprocess.Popen[str], address: str, tmp_path: Path) -> None:
    settings = ["--set", "Width=640", "--set", "Height=480", "--timeout", "60"]
    done = u3v("grab", f"gige://{address}", "-n", "20", *settings, "--json", "-o", tmp_path, "--keep", "1")
    result = json.loads(done.stdout)
    assert (result["width"], result["height"], result["error"]) == (640, 480, "")
    assert (result["delivered"], result["incomplete"]) == (20, 0)
    assert [Path(file).stat().st_size > 1000 for file in result["files"]] == [True]


def test_find_lists_them(cameras: subprocess.Popen[str]) -> None:
    found = {one["address"]: one for one in json.loads(u3v("find", "--json").stdout)}
    assert found[f"gige://{BASLER}"] == {
        "address": f"gige://{BASLER}",
        "wire": "GigE Vision",
        "maker": "Basler",
        "model": "acA4096-11gm",
        "serial": "40000001",
        "name": "",
    }
    assert found[f"gige://{BAUMER}"]["maker"] == "Baumer"


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("gige://127.0.4.99", "no camera answers at 127.0.4.99"),
        ("gige://camera", "'camera' is no IPv4 address"),
        ("gige://", "says no address"),
    ],
)
def test_where_no_camera_is(target: str, says: str) -> None:
    done = u3v("grab", target)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1) and says in done.stderr
