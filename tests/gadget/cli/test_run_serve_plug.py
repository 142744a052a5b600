"""What `u3v run`, `serve` and `plug` make of their arguments, and how they end."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gadget.cli import run_serve_plug
from gadget.runner import CameraSpec
from gadget.time.signals import handled
from tests.gadget.cli.shell import Shell
from u3v.errors import Mistake

A, B = "acA4096-40um", "IDS-IMX412"
IDS_FILE = Path(__file__).parents[3] / "u3v/models/ids_imx412.toml"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[CameraSpec]:
    """The cameras that a command would make; it ends there."""
    specs: list[CameraSpec] = []

    def bench(wanted: list[CameraSpec], _pcap: Path | None) -> None:
        specs.extend(wanted)
        raise Mistake("enough")

    monkeypatch.setattr(run_serve_plug, "LoopBench", bench)
    return specs


@pytest.mark.parametrize("command", ["run", "serve", "plug"])
@pytest.mark.parametrize("words", [[f"{A}:Gain=6,Width=640", B], [f"{A}:Gain=6,Width=640,{B}"]])
def test_u12_cameras_are_written_one_way(
    u3v: Shell, made: list[CameraSpec], command: str, words: list[str]
) -> None:
    program = [] if command == "serve" else ["--", "true", "--set", "-x"]
    u3v(command, *words, "--set", "Gain=1", "--serial", "0099", *program)
    assert [(spec.model, dict(spec.settings), spec.serial) for spec in made] == [
        (A, {"Gain": "6", "Width": "640"}, "0099"),
        (B, {"Gain": "1"}, "0100"),
    ]


@pytest.mark.parametrize("command", ["run", "plug"])
def test_u12_what_stands_behind_the_dashes_is_another_programs(u3v: Shell, command: str) -> None:
    result = u3v(command, A, "--", "/no/such/program", "--help", "--", "-x")
    assert (result.status, result.err) == (127, "u3v: /no/such/program: command not found\n")


def test_u6_the_model_of_the_only_model_file_is_meant(u3v: Shell, made: list[CameraSpec]) -> None:
    u3v("run", "--model-file", str(IDS_FILE), "--", "true")
    assert [(spec.model, spec.model_files) for spec in made] == [(B, (IDS_FILE,))]


@pytest.mark.parametrize("command", ["run", "plug"])
def test_u13_a_program_that_cannot_be_run_ends_as_in_a_shell(
    u3v: Shell, command: str, tmp_path: Path
) -> None:
    missing = u3v(command, A, "--", "no-such-program")
    assert (missing.status, missing.err) == (127, "u3v: no-such-program: command not found\n")
    (tmp_path / "notes").write_text("")
    refused = u3v(command, A, "--", str(tmp_path / "notes"))
    assert (refused.status, refused.err) == (126, f"u3v: {tmp_path}/notes: not executable\n")


def test_u12_several_cameras_and_a_program(u3v: Shell) -> None:
    look = 'test $(ls "$U3V_LOCAL_DIR"/sys/bus/usb/devices | grep -c "^[0-9]*-[0-9]*$") = 2 && exit 7'
    assert u3v("run", A, B, "--", "sh", "-c", look).status == 7


@pytest.fixture
def nohup() -> Iterator[None]:
    """SIGHUP is ignored, as `nohup` has it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGHUP, before)


def test_b6_an_ignored_signal_stays_ignored(nohup: None) -> None:
    heard: list[int] = []
    with handled((signal.SIGHUP, signal.SIGTERM), lambda number, _frame: heard.append(number)):
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)
    assert heard == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def ignored(status: str) -> list[set[int]]:
    """The signals that processes ignore, of what /proc says of them."""
    masks = [int(line.split()[-1], 16) for line in status.splitlines() if "SigIgn:" in line]
    return [{number for number in range(1, 65) if mask >> (number - 1) & 1} for mask in masks]


def start(*arguments: str) -> "subprocess.Popen[str]":
    command = ["nohup", sys.executable, "-m", "gadget", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=subprocess.DEVNULL, text=True
    )


def test_b6_nohup_serve() -> None:
    with start("serve", A, "--port", "0") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("listening on ")
        (signals,) = ignored(Path(f"/proc/{process.pid}/status").read_text())
        process.terminate()
        process.communicate()
    assert signal.SIGHUP in signals and signal.SIGTERM not in signals
    assert process.returncode == 0


def test_b6_nohup_run_and_its_program() -> None:
    with start("run", A, "--", "sh", "-c", "grep SigIgn /proc/$PPID/status /proc/$$/status") as process:
        told, _ = process.communicate()
    ours, the_programs = ignored(told)
    assert signal.SIGHUP in ours and signal.SIGTERM not in ours
    assert signal.SIGHUP in the_programs


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([A, "--gpio", "Line1"], "--gpio Line1: give LINE=CHIP:PIN, such as Line1=gpiochip0:17"),
        ([A, B, "--gpio", "Line1=gpiochip0:1"], "--gpio wires one camera: give one model"),
        ([A, "--gpio", "Line1=0:1", "--clock", "simulated"], "which know no clock but the real one"),
        ([A, "--gpio", "Line1=nochip:1"], "--gpio Line1: pin 1 of /dev/nochip: "),
    ],
)
def test_lines_on_pins(u3v: Shell, words: list[str], said: str) -> None:
    result = u3v("run", *words, "--", "true")
    assert result.status != 0 and said in result.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ["run", "acA4096-11gm", "--wire", "gige", "--preload", "own", "--", "true"],
            "--preload has no effect",
        ),
        (["serve", "acA4096-11gm", "--wire", "gige", "--port", "3241"], "--port has no effect"),
        (["serve", "acA4096-11gm", "--interface", "127.0.0.9"], "it goes with --wire gige"),
    ],
)
def test_options_of_the_other_wire_are_mistakes(u3v: Shell, words: list[str], says: str) -> None:
    result = u3v(*words)
    assert (result.status, result.err.count("\n")) == (2, 1) and says in result.err
