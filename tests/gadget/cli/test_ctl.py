"""`u3v ctl`, and the sockets, reports and exit codes of the commands that run cameras."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gadget.cli.main import main
from gadget.control import places

U3V = (sys.executable, "-m", "gadget")


def u3v(*words: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*U3V, *words], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, cwd=cwd
    )


def said(done: "subprocess.CompletedProcess[str]") -> str:
    """Its stderr, without what a slow machine makes it say."""
    return "".join(line for line in done.stderr.splitlines(True) if not line.startswith("preparing "))


def typed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, line: str
) -> tuple[int, str, str]:
    """What `u3v ctl LINE` does, in this process: exit code, stdout, stderr."""
    monkeypatch.setattr(sys, "argv", ["u3v", "ctl", *line.split()])
    status: object = 0
    try:
        main()
    except SystemExit as end:
        status = end.code
    said = capsys.readouterr()
    assert isinstance(status, int)
    return status, said.out, said.err


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("run")
    before = {name: os.environ.get(name) for name in ("XDG_RUNTIME_DIR", places.VARIABLE)}
    os.environ["XDG_RUNTIME_DIR"] = str(directory)
    os.environ.pop(places.VARIABLE, None)
    yield directory
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@pytest.fixture(scope="module")
def served(runtime: Path) -> Iterator[Path]:
    """A camera under `u3v serve`, in lockstep; the path of its socket."""
    command = [*U3V, "serve", "acA4096-40um", "--port", "0", "--clock", "lockstep", "--set", "Width=64"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        assert lines[2].startswith("control: u3v ctl -c ")
        path = Path(lines[2].split()[-1])
        assert path.parent == runtime / "u3v"
        assert places.process_of(path) == str(process.pid)
        yield path
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
        assert not path.exists(), "it is removed at the end"


SAID = {
    "state": "state: plugged\n",
    "get Width": "64\n",
    "get TriggerMode TriggerSelector=FrameStart": "Off\n",
    "set ExposureTime=2000 Gain=6": "ExposureTime: 2000\nGain: 6\n",
    "features ExposureTime": "ExposureTime = ",
    "features PixelFormat": "one of Mono8, Mono10",
    "scene": "target\n",
    "scene bar:speed=100": "bar:speed=100\n",
    "supply": "camera_volts: 5\n",
    "supply load_ma=10": "load_ma: 10\n",
    "ambient 30": "ambient_c: 30\n",
    "counters": "lost: 0\n",
    "history": "writes:\n",
    "cameras": "acA4096-40um 40000001: plugged, ",
    "wait-for plugged": "what: plugged\n",
    "--json state": '"model": "acA4096-40um"',
    "--json cameras": '"control": ',
    "--json features Width": '"max": 4112',
    "--json history": '"happenings": ',
    "-c 40000001 advance 1ms": "",
}


@pytest.mark.parametrize("line", SAID)
def test_u16_a_running_camera_is_looked_at_and_changed(
    line: str, served: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    status, out, err = typed(capsys, monkeypatch, line)
    assert (status, err) == (0, "")
    assert SAID[line] in out


MISTAKES = {
    "stat": "no verb 'stat', did you mean 'state'?",
    "get Widht": "has no feature 'Widht', did you mean 'Width'?",
    "set Width": "'Width' is not of the form Feature=Value",
    "set Width=65": "Width = 65: must be 8 to 4112 px in steps of 4",
    "get TriggerMode FrameStart": "'FrameStart' is not of the form NAME=VALUE",
    "supply volt=3": "supply has no 'volt': one of volts, cable_ohm, load_ma, port_ma, did you mean 'volts'?",
    "supply volts=many": "volts = 'many': not a number",
    "wait-for ExposureEnt": "did you mean 'ExposureEnd'?",
    "advance soon": "'soon' is no duration",
    "advance 10": "'10' is no duration without a unit: 10ms or 10s?",
    "-c wrong state": "no camera 'wrong': acA4096-40um 40000001 at ",
    "-c /no/such.sock state": "/no/such.sock: no camera answers: No such file or directory",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_one_line_and_exit_code_2(
    line: str, served: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    status, out, err = typed(capsys, monkeypatch, line)
    assert (status, out) == (2, "")
    assert err.startswith("u3v: ")
    assert err.count("\n") == 1, err
    assert MISTAKES[line] in err


def test_help_needs_no_camera_and_shows_examples(runtime: Path) -> None:
    assert "u3v ctl set ExposureTime=2000" in u3v("ctl", "--help").stdout
    assert "FEATURE=VALUE" in u3v("ctl", "set", "--help").stdout


def test_waiting_too_long_is_exit_code_1(served: Path) -> None:
    done = u3v("ctl", "wait-for", "frame", "5", "--timeout", "0.05")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "u3v: acA4096-40um 40000001: no frame 5 within 0.05 s\n"


def test_watching_and_the_commands_that_do_something(served: Path) -> None:
    watch = subprocess.Popen(
        [*U3V, "ctl", "watch", "FrameStart", "-n", "2"], stdout=subprocess.PIPE, text=True
    )
    with watch:
        assert u3v("ctl", "execute", "AcquisitionStart").returncode == 0
        while watch.poll() is None:
            assert u3v("ctl", "advance", "100ms").returncode == 0
        assert watch.stdout is not None
        lines = watch.stdout.read().splitlines()
    assert len(lines) == 2
    assert all("s FrameStart (block 0)" in line for line in lines)
    assert u3v("ctl", "execute", "AcquisitionStop").returncode == 0
    assert u3v("ctl", "unplug").returncode == 0
    assert "state: unplugged" in u3v("ctl", "state").stdout
    assert u3v("ctl", "replug").returncode == 0
    assert u3v("ctl", "reset").returncode == 0
    assert u3v("ctl", "advance", "60ms").returncode == 0
    assert u3v("ctl", "wait-for", "unplugged").stdout == "what: unplugged\n"
    assert u3v("ctl", "advance", "1s").returncode == 0
    assert u3v("ctl", "wait-for", "plugged").returncode == 0


CHILD = """
import gadget
with gadget.connect() as camera:
    camera.features["Gain"] = 3
    print(camera.state()["model"], camera.features.Gain)
"""


def test_a_program_under_run_reaches_its_camera(runtime: Path, tmp_path: Path) -> None:
    done = u3v("run", "acA4096-40um", "--control", "my.sock", "--", sys.executable, "-c", CHILD, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "acA4096-40um 3.0\n")
    assert said(done) == f"u3v: control: u3v ctl -c {tmp_path / 'my.sock'}\n"
    assert list(tmp_path.iterdir()) == []


def test_run_is_silent_about_a_socket_that_nobody_asked_for(runtime: Path) -> None:
    done = u3v("run", "acA4096-40um", "--", sys.executable, "-c", CHILD)
    assert (done.returncode, done.stdout, said(done)) == (0, "acA4096-40um 3.0\n", "")


def test_a_socket_that_cannot_be_made_is_said_if_it_was_asked_for(runtime: Path, tmp_path: Path) -> None:
    done = u3v("run", "acA4096-40um", "--control", "/no/such/place", "--", "true")
    assert (done.returncode, said(done)) == (2, "u3v: --control /no/such/place: No such file or directory\n")
    (tmp_path / "u3v").touch()
    environment = os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)}
    command = [*U3V, "run", "acA4096-40um", "--", "true"]
    without = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (without.returncode, said(without)) == (0, "")


def test_the_report_of_a_run_says_what_became_of_it(runtime: Path, tmp_path: Path) -> None:
    report = tmp_path / "run.json"
    done = u3v("run", "acA4096-40um", "--report", str(report), "--", "sh", "-c", "exit 7")
    assert done.returncode == 7
    about = json.loads(report.read_text())
    assert about["command"] == ["sh", "-c", "exit 7"]
    assert (about["exit_status"], len(about["cameras"])) == (7, 1)
    camera = about["cameras"][0]
    assert (camera["model"], camera["counters"]["lost"], camera["settings"]["Width"]) == (
        "acA4096-40um",
        0,
        4096,
    )
    no_place = u3v("run", "acA4096-40um", "--report", "/no/such/file", "--", "true")
    assert (no_place.returncode, said(no_place)) == (2, "u3v: /no/such/file: No such file or directory\n")


HOST = """
import contextlib, gadget
from gadget.tools.pyusb_bus import UsbBus
from u3v.host.client import U3VClient
from u3v.host.stream import StreamReader
with contextlib.closing(UsbBus.open(0x2676, 0xBA02, "")) as bus, gadget.connect() as camera:
    client = U3VClient(bus)
    client.open()
    reader = StreamReader(client)
    reader.start([bytearray(reader.buffer_bytes)])
    camera.features.execute("AcquisitionStart")
    while not camera.counters()["lost" if {slow} else "offered"]:
        pass
    camera.features.execute("AcquisitionStop")
"""


@pytest.mark.parametrize(("slow", "status", "height"), [("True", 3, 2168), ("False", 0, 8)])
def test_u16_a_run_that_loses_frames_fails_if_it_is_to(
    slow: str, status: int, height: int, runtime: Path
) -> None:
    program = HOST.replace("{slow}", slow)
    options = ("--fail-on-drops", "--set", f"Height={height}")
    done = u3v("run", "acA4096-40um", *options, "--", sys.executable, "-c", program)
    assert done.returncode == status, done.stderr
    assert ("frames lost, so this run has failed" in done.stderr) == (status == 3)
