"""`u3v grab` as a person types it."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from gadget.cli.main import main

ROOT = Path(__file__).parents[3]
MODEL = "acA4096-40um"
SMALL = ("--set", "Width=648", "--set", "Height=480")


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


Grab = Callable[..., Done]


@pytest.fixture
def grab(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Grab:
    """`u3v grab` with arguments, in this process."""

    def run(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["u3v", "grab", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        return Done(end.value.code or 0, *capfd.readouterr())  # type: ignore[arg-type]

    return run


def u3v(*arguments: str, cwd: Path = ROOT, **options: Any) -> "subprocess.CompletedProcess[str]":
    """The program, started anywhere."""
    command = [sys.executable, "-m", "gadget", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"}
    return subprocess.run(command, cwd=cwd, env=environment, text=True, timeout=120, **options)


def model_file(folder: Path) -> Path:
    """A camera of one's own: the built-in one by another name."""
    path = folder / "m.toml"
    text = (ROOT / "u3v/models/aca4096_40um.toml").read_text()
    path.write_text(text.replace(f'name = "{MODEL}"', 'name = "mine"', 1))
    return path


def test_pictures_look_right(grab: Grab, tmp_path: Path) -> None:
    """U9: 12 bits as 8, a Bayer mosaic as colours that are grey where the scene is."""
    options = ("--clock", "simulated", "-o", str(tmp_path), *SMALL)
    assert grab(MODEL, *options, "--set", "PixelFormat=Mono12p").returncode == 0
    assert grab("IDS-IMX412", *options, "--scene", "uniform:photons=3e5").returncode == 0
    colour, grey = (
        Image.open(path) for path in sorted(tmp_path.glob("*.png"), key=lambda p: "IDS" not in p.name)
    )
    assert grey.mode == "L" and 30 < np.asarray(grey).mean() < 220
    assert colour.mode == "RGB"
    red, green, blue = np.asarray(colour).reshape(-1, 3).mean(axis=0)
    assert green > 20 and abs(red - green) < 3 and abs(blue - green) < 3


def test_raw_gives_the_numbers(grab: Grab, tmp_path: Path) -> None:
    """U9: 10 bits in 16, the mosaic as it is."""
    options = ("--clock", "simulated", "-o", str(tmp_path), "--format", "tiff", "--raw", *SMALL)
    assert grab("IDS-IMX412", *options).returncode == 0
    (path,) = tmp_path.iterdir()
    pixels = tifffile.imread(path)
    assert pixels.shape == (480, 648) and pixels.dtype == np.uint16 and 255 < pixels.max() < 1024


def test_the_only_model_file_is_the_camera_that_is_meant(grab: Grab, tmp_path: Path) -> None:
    """U6."""
    path = str(model_file(tmp_path))
    for clock in ("real", "simulated"):
        done = grab("--model-file", path, "--clock", clock, "--json", *SMALL)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["model"] == "mine"


@pytest.mark.parametrize(
    "option", [("--scene", "target"), ("--no-pacing",), ("--pcap", "x"), ("--ambient", "25")]
)
@pytest.mark.parametrize("target", ["usbip://127.0.0.1:1/1-1", "usb:1234:5678"])
def test_options_without_effect_are_refused(grab: Grab, target: str, option: tuple[str, ...]) -> None:
    """U6: a camera that is there already has its scene, even where it is the default one."""
    done = grab(target, *option)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert f"describes a virtual camera and has no effect on {target}" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--cable-ohm", "1", "--supply-v", "4.6"), "drops off the bus: brown-out: 4.43 V at the camera"),
        (("--port-ma", "100", "--clock", "simulated"), "stays unconfigured: the port offers 100 mA"),
        (("--set", "Widht=3"), "no feature 'Widht', did you mean 'Width'?"),
        (("--scene", "unifrom"), "did you mean 'uniform'?"),
        (("--set", "Width"), "is not of the form Feature=Value"),
        (("-o", "/dev/null/x"), "/dev/null/x: Not a directory"),
    ],
)
def test_an_error_is_words_and_one_json_object(grab: Grab, arguments: tuple[str, ...], words: str) -> None:
    """U3: what the camera says, not what the bus says of it."""
    done = grab(MODEL, *arguments, "--json")
    assert done.returncode == 2
    said = json.loads(done.stdout)
    assert said["ok"] is False and words in said["error"]
    assert done.stderr == f"u3v: {said['error']}\n"


def test_a_supply_that_fails_in_the_middle_is_said(grab: Grab) -> None:
    """U3: enough for an idle camera, not for one that streams."""
    done = grab(MODEL, "-n", "200", "--cable-ohm", "0.7", "--supply-v", "5", "--clock", "simulated", "--json")
    said = json.loads(done.stdout)
    assert done.returncode == 1 and said["delivered"] < 200
    assert "drops off the bus: brown-out" in said["error"]


def test_a_capture_that_is_cut_short_is_one_line(grab: Grab) -> None:
    """U4."""
    for clock in ("real", "simulated"):
        done = grab(MODEL, "--pcap", "/dev/full", "--clock", clock, *SMALL)
        assert done.returncode != 0
        assert done.stderr.count("\n") == 1 and "/dev/full: No space left on device" in done.stderr
    done = u3v("run", MODEL, "--pcap", "/dev/full", "--", "true", capture_output=True)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.endswith("u3v: /dev/full: No space left on device: the capture is cut short\n")


def test_a_full_disk_leaves_no_files_and_one_line(tmp_path: Path) -> None:
    """U4: here a limit of 64 KiB a file."""
    done = u3v(
        *(
            "grab",
            MODEL,
            "-n",
            "2000",
            "-o",
            str(tmp_path),
            "--format",
            "raw",
            "--clock",
            "simulated",
            *SMALL,
        ),
        capture_output=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16)),
    )
    assert done.returncode == 1
    assert done.stderr == "u3v: block 0 was not written: File too large\n"
    assert list(tmp_path.iterdir()) == []


def test_output_that_nobody_takes_is_one_line() -> None:
    """U4: and a reader that has seen enough is no error at all."""
    with open("/dev/full", "w") as full:
        done = u3v("models", stdout=full, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (2, "u3v: cannot write: No space left on device\n")
    reading, writing = os.pipe()
    os.close(reading)
    done = u3v("models", stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert done.stderr == ""


def test_a_folder_full_of_our_names_bricks_nothing(
    grab: Grab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """U1: pictures in `frames`, then grab again, beside a `numpy.py`."""
    (tmp_path / "numpy.py").write_text("raise SystemExit('bricked')")
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        done = grab(MODEL, "-o", "frames", *SMALL)
        assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "frames").iterdir())) == 1


@pytest.mark.parametrize("command", ["grab", "run"])
def test_a_scene_is_found_in_the_current_directory(command: str, tmp_path: Path) -> None:
    """U1: under every command (`serve`: tests/gadget/tools/test_served.py)."""
    (tmp_path / "lamp.py").write_text(
        "import numpy as np\ndef light(time_s, width, height):\n    return np.full((height, width), 1e5)\n"
    )
    scene = (MODEL, "--scene", "python:call=lamp:light")
    end = ("--", "true") if command == "run" else SMALL
    done = u3v(command, *scene, *end, cwd=tmp_path, capture_output=True)
    assert done.returncode == 0, done.stderr
