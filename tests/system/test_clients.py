"""Other programs with a camera of `u3v run`: GStreamer, pylon, lsusb, pyusb, libusb1, and users without rights."""

import json
import os
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.system.programs import (
    CLIENTS,
    MODEL,
    U3V,
    aravis,
    check_aravis,
    check_capture,
    check_events,
    check_lsusb,
    check_pylon,
    lacking,
    need,
    need_aravis,
    objects,
    run,
    with_camera,
)

VISITORS = {
    "lsusb": ["lsusb", "-v", "-d", "2676:"],
    "find": [*U3V, "find", "--json", "--wait", "0.01"],
    "pyusb": [sys.executable, CLIENTS / "pyusb_client.py"],
    "events": [sys.executable, CLIENTS / "event_client.py"],
}
"""Programs that come to the same camera, one after the other."""


@pytest.fixture(params=["own", "umockdev"], scope="module")
def preload(request: pytest.FixtureRequest) -> str:
    need("cc" if request.param == "own" else "umockdev-run")
    return f"--preload={request.param}"


@pytest.fixture(scope="module")
def visited(preload: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what each of the visitors said: NAME.out, NAME.err."""
    need("lsusb")
    out = tmp_path_factory.mktemp("visited")
    script = []
    for name, words in VISITORS.items():
        said = out / name
        script.append(
            f"{shlex.join(map(str, words))} >{said}.out 2>{said}.err || {{ cat {said}.err >&2; exit 1; }}"
        )
    with_camera(["sh", "-c", "\n".join(script)], preload)
    return out


def need_package(name: str) -> None:
    if find_spec(name) is None:
        lacking(f"the Python package {name}")


def test_gstreamer(preload: str, tmp_path: Path) -> None:
    need("gst-launch-1.0")
    file = tmp_path / "frames"
    caps = "video/x-raw,format=GRAY8,width=640,height=480"
    pipeline = f"aravissrc num-buffers=50 ! {caps} ! filesink location={file}"
    done = with_camera(["gst-launch-1.0", "-q", *pipeline.split()], preload)
    assert done.stdout == ""
    data = file.read_bytes()
    assert len(data) == 50 * 640 * 480
    frames = {data[start : start + 640 * 480] for start in range(0, len(data), 640 * 480)}
    assert len(frames) == 50


def test_pylon(preload: str) -> None:
    need_package("pypylon")
    client = [sys.executable, CLIENTS / "pylon_client.py", "--count", "100"]
    (result,) = objects(with_camera(client, preload, "--no-pacing").stdout)
    check_pylon(result, 100)
    assert result["devices"] == 1 and result["serial"] == "40000001"


def test_pylon_at_full_size() -> None:
    """The largest frames, with the rule of the small ones. By hand: 300 of them, and 1000 of 640 x 480."""
    need_package("pypylon")
    client = [sys.executable, CLIENTS / "pylon_client.py", "--count", "60", "--roi", "4096", "2168"]
    (result,) = objects(with_camera(client, "--no-pacing", "--scene-cache", "4").stdout)
    check_pylon(result, 60)
    assert result["shapes"] == [[2168, 4096]]


def test_pylon_comes_and_goes() -> None:
    """20 times opened, grabbed and closed; then the cable is pulled in a grab, and pylon says so within a second."""
    need_package("pypylon")
    (result,) = objects(with_camera([sys.executable, CLIENTS / "pylon_life.py", "20"]).stdout)
    assert len(result["cycles"]) == 20 and min(result["cycles"]) >= 2, result
    removal = result["removal"]
    assert removal["told"] and removal["removed"] and removal["seconds"] < 1.0, result
    assert result["back"] == 1 and result["again"] >= 2, result


def test_lsusb(visited: Path) -> None:
    check_lsusb((visited / "lsusb.out").read_text(), (visited / "lsusb.err").read_text())


def test_lsusb_at_high_speed(preload: str) -> None:
    need("lsusb")
    done = with_camera(VISITORS["lsusb"], preload, "--speed", "high")
    check_lsusb(done.stdout, done.stderr, "high")


def test_find_lists_what_libusb_sees(visited: Path) -> None:
    (found,) = json.loads((visited / "find.out").read_text())
    assert (found["address"], found["wire"], found["model"]) == (
        "usb:2676:ba02:40000001",
        "USB3 Vision",
        MODEL,
    )


def test_pyusb(visited: Path) -> None:
    (said,) = objects((visited / "pyusb.out").read_text())
    assert (said["manufacturer"], said["product"], said["serial"]) == ("Basler", MODEL, "40000001")
    assert (said["speed"], said["interfaces"]) == (4, [0, 1, 2])
    assert said["ack"] == [0x43563355, 0, 0x0801, 64, 7]
    assert said["model"] == MODEL
    assert said["vendor_request"] == "Pipe error"
    assert said["silence"] == "timeout"


def test_events_of_a_libusb_program(visited: Path) -> None:
    check_events(objects((visited / "events.out").read_text()))


def test_a_port_with_too_little_current_leaves_the_camera_unconfigured(preload: str) -> None:
    client = [sys.executable, "-c", "import usb.core; usb.core.find(idVendor=0x2676).set_configuration()"]
    done = run([*U3V, "run", MODEL, preload, "--port-ma", "500", "--", *client])
    assert done.returncode != 0
    assert "USBError" in done.stderr
    first = done.stderr.splitlines()[0]
    assert "stays unconfigured" in first and "720 mA" in first


def test_as_a_user_without_any_right(preload: str) -> None:
    """uid 65534, no groups, no capabilities, no new privileges, no home, a read-only working tree."""
    need("setpriv", "arv-tool-0.8")
    need_aravis()
    drop = ["setpriv", "--no-new-privs"]
    if os.getuid() == 0:
        drop += ["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"]
    if subprocess.run(
        [*drop, sys.executable, "-c", "import gadget.cli.main"], capture_output=True
    ).returncode:
        lacking("a Python and a working tree that every user can read")
    look = 'id -u; grep CapEff /proc/self/status; arv-tool-0.8; exec "$@"'
    client = ["sh", "-c", look, "sh", *aravis("--count", "50", "--roi", "0", "0", "640", "480")]
    command = [*drop, *U3V, "run", MODEL, preload, "--no-pacing", "--", *client]
    done = run(command, env={"HOME": "/nonexistent"})
    assert done.returncode == 0, done.stderr
    uid, capabilities, camera, *_ = done.stdout.splitlines()
    assert (int(uid), capabilities.split()) == (os.getuid() or 65534, ["CapEff:", "0000000000000000"])
    assert re.fullmatch(r"Basler-\w+-40000001 \(USB3\)", camera)
    check_aravis(objects(done.stdout), 50)


def test_capture_of_u3v_run(preload: str, tmp_path: Path) -> None:
    need("tshark")
    need_aravis()
    trace = tmp_path / "trace.pcap"
    client = aravis("--count", "10", "--roi", "0", "0", "640", "480")
    with_camera(client, preload, "--pcap", trace)
    check_capture(trace, 10)
