"""docs/hil.md: what needs no board is run as it stands there."""

import itertools
import json
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.programs import REPOSITORY, SYSTEM_PYTHON, need, need_aravis, ready_rig, run

pytestmark = pytest.mark.patient
PAGE = (REPOSITORY / "docs/hil.md").read_text()
SHELL = [block.splitlines() for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)]
ON_THE_PC, REHEARSAL = SHELL
LATE_MS = 200.0
"""A camera's process hears of an edge when it has done what it is doing; on an overloaded machine that took 60 ms."""
LISTED = "".join(re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL))
U3V = f"{shlex.quote(sys.executable)} -m gadget "


BOARD = """
{start} >/tmp/board 2>&1 &
board=$!
until [ -e /dev/shm/camera.sock ] && lsusb -d 1209:0001 >/dev/null; do kill -0 $board || exit 1; sleep 0.1; done
{pc}
{u3v}ctl -c /dev/shm/camera.sock state
{hil}
kill $board
wait $board || exit 1
"""
"""What a board and its PC do, in one kernel. The engine may have to be compiled: the loop waits as long as it lives."""


def settings_on_the_page() -> tuple[str, str]:
    """U3V_CAMERA and U3V_OPTIONS of the example with triggers and strobes."""
    (model,) = re.findall(r"^    U3V_CAMERA=(\S+)$", PAGE, re.MULTILINE)
    (options,) = re.findall(r'^    U3V_OPTIONS="(.*)"$', PAGE, re.MULTILINE)
    return model, options


def shell(line: str) -> str:
    """A line as a person types it; `u3v` is this repository's."""
    done = run(["sh", "-c", re.sub(r"^u3v ", U3V, line)])
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.alone
@pytest.mark.parametrize("line", REHEARSAL)
def test_what_can_be_rehearsed(line: str) -> None:
    need_aravis()
    need("gst-launch-1.0")
    said = shell(line)
    if line.endswith("arv-tool-0.8"):
        assert [line for line in said.splitlines() if "USB3" in line] == [LISTED.strip()]
    if "hil_host" in line:
        frames = said.splitlines()
        assert [frame.split(":")[0] for frame in frames] == [f"frame {n}" for n in range(5)]
        assert all(": whole" in frame for frame in frames)


def test_the_commands_for_the_pc_are_those_of_the_rehearsal() -> None:
    """With the camera of the cable in the place of that of `u3v run`."""
    assert [line.partition(" -- ")[2] for line in REHEARSAL[:2]] == ON_THE_PC


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ("U3V-Color", "U3V-Color at full size gives {fps} frames/s"),
        ("acA4096-40um", "the acA4096-40um {fps} instead of 42.7"),
        ("acA4096-40um:Width=1024,Height=768", "and {fps} at 1024 x 768"),
    ],
)
def test_the_rates_on_the_page_are_those_of_the_plan(model: str, sentence: str) -> None:
    (planned,) = json.loads(shell(f"u3v plan {model} --bus 480mbps --json"))["cameras"]
    assert sentence.format(fps=f"{planned['fps']:.1f}") in PAGE.replace("\n", " ")


def test_the_settings_on_the_page_are_taken(tmp_path: Path) -> None:
    """The lines for camera.conf, as `install` would have them from its options."""
    model, options = settings_on_the_page()
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot/config.txt").write_text("")
    words = ["--root", tmp_path, "--board", "pi", "--model", model, "--options", options]
    assert run([REPOSITORY / "scripts/board/install", *words]).returncode == 0
    settings = (tmp_path / "etc/u3v/camera.conf").read_text().splitlines()
    assert {f"U3V_CAMERA={model}", f'U3V_OPTIONS="{options}"'} <= set(settings)


def test_what_install_says_on_the_page(tmp_path: Path) -> None:
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/device-tree/model").write_text("Raspberry Pi Zero 2 W Rev 1.0\0")
    (tmp_path / "boot/firmware").mkdir(parents=True)
    (tmp_path / "boot/firmware/config.txt").write_text("")
    said = run([REPOSITORY / "scripts/board/install", "--root", tmp_path]).stdout.replace(str(tmp_path), "")
    shown = re.findall(r"^    (board: .*)$", PAGE, re.MULTILINE)
    assert shown and [line for line in said.splitlines() if line in shown] == shown


def test_the_scripts_on_the_page_exist_and_take_their_options() -> None:
    for script, option in re.findall(r"(scripts/board/[\w-]+)(?: (--[\w-]+))?", PAGE):
        assert (REPOSITORY / script).exists(), script
        if option:
            assert option in run([REPOSITORY / script, "--help"]).stdout, option


@pytest.mark.patient
def test_a_board_and_its_pc() -> None:
    """What the systemd unit starts, at a device controller that is software (dummy_hcd); the PC's part beside it."""
    need("lsusb", "gst-launch-1.0")
    need_aravis()
    uml = ready_rig("uml")
    unit = (REPOSITORY / "scripts/board/u3v-camera.service").read_text()
    (line,) = re.findall(r"^ExecStart=/opt/u3v/bin/u3v (.*)$", unit, re.MULTILINE)
    line = line.replace("$U3V_CAMERA", "U3V-Color").replace("$U3V_OPTIONS", "--scene-cache 8")
    line = line.replace("/run/u3v/", "/dev/shm/")
    hil = f"{SYSTEM_PYTHON} docs/examples/hil_host.py 5 --source Software"
    script = BOARD.format(start=U3V + line, pc="\n".join(ON_THE_PC), u3v=U3V, hil=hil)
    done = run([uml, "--timeout", "300", "--", "sh", "-c", script], patience_s=330)
    assert done.returncode == 0, done
    listed, *rest = done.stdout.splitlines()
    assert listed == LISTED.strip()
    assert "state: configured" in rest and "scene_cache: 8" in rest
    assert [row.partition(":")[0] for row in rest if row.startswith("frame ")] == [
        f"frame {n}" for n in range(5)
    ]


@pytest.mark.alone
def test_triggers_and_strobes_on_pins() -> None:
    """The page's settings with the kernel's simulated pins (gpio-sim), through libgpiod: a frame for each edge, in its
    time, and each exposure shows on the other pin."""
    need_aravis()
    uml = ready_rig("uml")
    model, options = settings_on_the_page()
    guest = [sys.executable, REPOSITORY / "tests/system/hil_guest.py", "10", model, *shlex.split(options)]
    # For busy machines: small frames, and strobes that nobody can miss who looks each millisecond.
    guest += ["--set", "Width=640", "--set", "Height=480", "--set", "ExposureTime=20000"]
    done = run([uml, "--timeout", "300", "--", *guest], patience_s=330)
    assert done.returncode == 0, done
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["status"], found["ended"]["status"]) == (0, 0), found
    frames = found["said"].splitlines()
    assert [frame.partition(":")[0] for frame in frames] == [f"frame {n}" for n in range(10)]
    assert all(": whole" in frame for frame in frames), frames
    assert found["strobes"] >= len(frames)
    times_ms = [0.0, *itertools.accumulate(float(frame.split()[3]) for frame in frames[1:])]
    edges_ms = [at_ns / 1e6 for at_ns, _ in found["rises_ns"]]
    assert min(spreads(times_ms, edges_ms)) < LATE_MS, (times_ms, edges_ms)


def spreads(times_ms: list[float], edges_ms: list[float]) -> Iterator[float]:
    """By how much frames are late for as many edges in a row, the latest against the earliest: for all such rows."""
    for first in range(len(edges_ms) - len(times_ms) + 1):
        row = edges_ms[first : first + len(times_ms)]
        late_ms = [at - edge for at, edge in zip(times_ms, row, strict=True)]
        yield max(late_ms) - min(late_ms)
