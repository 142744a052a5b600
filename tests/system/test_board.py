"""scripts/board, which makes a board a camera: on a root file system made up here, as it is on an SD card."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.system.programs import REPOSITORY, need

pytestmark = pytest.mark.patient
KIT = REPOSITORY / "scripts/board"
OVERLAY = "dtoverlay=dwc2,dr_mode=peripheral"
FIRMWARE = (
    "# For more options see the documentation\ndtparam=audio=on\n\n[cm5]\ndtoverlay=dwc2,dr_mode=host\n"
)
UNIT = "etc/systemd/system/u3v-camera.service"
WANTS = "etc/systemd/system/multi-user.target.wants/u3v-camera.service"


def kit(script: str, *words: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([KIT / script, *words], capture_output=True, text=True, timeout=300)


def done(script: str, *words: str | Path) -> list[str]:
    """What it said it did, each line without its head."""
    ended = kit(script, *words)
    assert (ended.returncode, ended.stderr) == (0, ""), ended
    lines = ended.stdout.splitlines()
    assert all(line.startswith("board: ") for line in lines)
    return [line.removeprefix("board: ") for line in lines]


def snapshot(root: Path) -> dict[str, str]:
    """Each file with its content, each link with its target."""
    found = {}
    for path in sorted(root.rglob("*")):
        if path.is_symlink():
            found[str(path.relative_to(root))] = str(path.readlink())
        elif path.is_file():
            found[str(path.relative_to(root))] = path.read_text()
    return found


def sd_card(
    root: Path, model: str = "Raspberry Pi Zero 2 W Rev 1.0", firmware: str = "boot/firmware"
) -> Path:
    (root / "proc/device-tree").mkdir(parents=True)
    (root / "proc/device-tree/model").write_text(model + "\0")
    if firmware:
        (root / firmware).mkdir(parents=True)
        (root / firmware / "config.txt").write_text(FIRMWARE)
    return root


@pytest.fixture
def card(tmp_path: Path) -> Path:
    return sd_card(tmp_path / "root")


def test_shellcheck_has_nothing_to_say() -> None:
    need("shellcheck")
    scripts = [KIT / name for name in ("install", "uninstall", "common.sh", "check-wheels")]
    ended = subprocess.run(["shellcheck", "-x", *scripts], cwd=REPOSITORY, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, "")


@pytest.mark.parametrize("firmware", ["boot/firmware", "boot"])
@pytest.mark.parametrize(
    "model", ["Raspberry Pi Zero 2 W Rev 1.0", "Raspberry Pi 4 Model B", "Raspberry Pi 5 Model B"]
)
def test_a_raspberry_pi(tmp_path: Path, model: str, firmware: str) -> None:
    card = sd_card(tmp_path / "root", model, firmware)
    done(
        "install",
        "--root",
        card,
        "--model",
        "acA4096-40um:Gain=6",
        "--options",
        "--scene bar --scene-cache 8",
    )
    files = snapshot(card)
    config = files[f"{firmware}/config.txt"]
    assert config.startswith(FIRMWARE)
    assert re.search(rf"^\[all\]\n{OVERLAY}$", config, re.MULTILINE)
    assert files["etc/modules-load.d/u3v.conf"].split() == ["dwc2", "libcomposite"]
    settings = files["etc/u3v/camera.conf"].splitlines()
    assert "U3V_CAMERA=acA4096-40um:Gain=6" in settings
    assert 'U3V_OPTIONS="--scene bar --scene-cache 8"' in settings
    assert "ExecStart=/opt/u3v/bin/u3v gadget $U3V_CAMERA " in files[UNIT]
    assert (card / WANTS).parent / files[WANTS] == (card / WANTS).parent / "../u3v-camera.service"
    assert (card / WANTS).resolve() == (card / UNIT).resolve()
    assert files["usr/local/bin/u3v"] == "/opt/u3v/bin/u3v"


def test_another_board(tmp_path: Path) -> None:
    card = sd_card(tmp_path / "root", "Radxa ROCK 5B", firmware="")
    done("install", "--root", card)
    files = snapshot(card)
    assert files["etc/modules-load.d/u3v.conf"].split() == ["libcomposite"]
    assert "U3V_CAMERA=U3V-Color" in files["etc/u3v/camera.conf"].splitlines()


def test_the_second_time_changes_nothing(card: Path) -> None:
    done("install", "--root", card)
    (card / "etc/u3v/camera.conf").write_text(
        "U3V_CAMERA=IDS-IMX412\n"
    )  # what its user has written there stays
    before = snapshot(card)
    said = done("install", "--root", card)
    assert snapshot(card) == before
    assert not [line for line in said if line.startswith(("writes", "links"))]
    assert f"kept: {card}/etc/u3v/camera.conf" in said


def test_an_overlay_that_was_there_stays(card: Path) -> None:
    config = card / "boot/firmware/config.txt"
    config.write_text(f"{FIRMWARE}[all]\n{OVERLAY}\n")
    before = config.read_text()
    done("install", "--root", card)
    assert config.read_text() == before
    done("uninstall", "--root", card)
    assert config.read_text() == before


def test_a_dry_run_only_says(card: Path) -> None:
    before = snapshot(card)
    said = done("install", "--root", card, "--dry-run")
    assert snapshot(card) == before
    assert f"writes: {card}/{UNIT}" in said and f"links: {card}/{WANTS}" in said


@pytest.mark.parametrize("purge", [[], ["--purge"]])
def test_uninstall(card: Path, purge: list[str]) -> None:
    before = snapshot(card)
    done("install", "--root", card)
    done("install", "--root", card, "--host")
    assert "etc/udev/rules.d/70-u3v-cameras.rules" in snapshot(card)
    dry = snapshot(card)
    done("uninstall", "--root", card, "--dry-run", *purge)
    assert snapshot(card) == dry
    done("uninstall", "--root", card, *purge)
    left = snapshot(card)
    assert ("etc/u3v/camera.conf" in left) is (not purge)
    left.pop("etc/u3v/camera.conf", None)
    assert left == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model", "a b"], "--model 'a b': the name of a camera"),
        (["--model", "$(reboot)"], "the name of a camera"),
        (["--options", 'a"b'], "--options 'a\"b': letters, digits"),
        (["--board", "x"], "--board x: pi or other"),
        (["--bord", "x"], "--bord: no such option; see --help"),
        (["--model"], "--model: its value is missing"),
    ],
)
def test_mistakes(card: Path, words: list[str], said: str) -> None:
    before = snapshot(card)
    ended = kit("install", "--root", card, *words)
    assert ended.returncode == 2 and said in ended.stderr and ended.stderr.count("\n") == 1
    assert snapshot(card) == before


def test_what_is_no_board(tmp_path: Path) -> None:
    assert "say --board pi or --board other" in kit("install", "--root", tmp_path).stderr
    assert "no config.txt" in kit("install", "--root", tmp_path, "--board", "pi").stderr
    assert "no such directory" in kit("install", "--root", tmp_path / "none").stderr


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    """With the program that it starts in its place; in this repository's environment it is somewhere else."""
    need("systemd-analyze")
    program = shutil.which("true")
    text = (KIT / "u3v-camera.service").read_text().replace("/opt/u3v/bin/u3v", str(program))
    unit = tmp_path / "u3v-camera.service"
    unit.write_text(text)
    ended = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
    assert [line for line in ended.stderr.splitlines() if "u3v-camera" in line] == []
