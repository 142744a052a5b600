"""What a person types: every mistake is one line on stderr and exit code 2; what is our fault looks like it."""

import json
import os
import subprocess
import sys

import pytest

from gadget.cli import lists
from gadget.cli.main import SECTIONS, cli
from tests.gadget.cli.shell import Shell

MISTAKES = {
    "grap": "no such command 'grap', did you mean 'grab'?",
    "serve acA4096-40um --set Widht=640": "acA4096-40um has no feature 'Widht', did you mean 'Width'?",
    "serve acA4096-40um:Widht=640": "acA4096-40um has no feature 'Widht', did you mean 'Width'?",
    "serve acA4096-40um --set Width=641": "Width = 641: must be 8 to 4112 px in steps of 4",
    "serve acA4096-40um --set PixelFormat=Mono12P": "did you mean 'Mono12p'?",
    "serve acA4096-40um --set Gain": "'Gain' is not of the form Feature=Value",
    "serve acA4096-40um --set PayloadSize=1": "PayloadSize cannot be set: it is read-only",
    "serve acA4096-40um --port 99999": "99999 is not in the range",
    "serve acA4096-40um --host 192.0.2.1 --port 0": "cannot listen on 192.0.2.1",
    "serve acA4096-40um --scene unifrom": "did you mean 'uniform'?",
    "serve acA4096-40um --scene image:path=/no/such.png": "/no/such.png: no such file",
    "serve acA4096-40um --state /no/such/file": "/no/such/file: no such folder",
    "serve acA4096-40um acA4096-40um --state file": "give one model",
    "serve acA4096-40um acA4096-40um --serial A": "give digits",
    "serve acA4096-40um --name Müller": "--name takes up to 63 ASCII characters",
    "grab acA4096-40um -n 0": "0 is not in the range",
    "grab acA4096-40um --pcap /no/such/file": "/no/such/file",
    "grab acA4096-40um --set Exposuretime=3": "did you mean 'ExposureTime'?",
    "grab usbip://127.0.0.1:1/1-1": "no USB/IP server at 127.0.0.1:1",
    "grab usb:12": "hexadecimal",
    "xml nope": "no such camera",
    "show": "MODEL is missing: one of IDS-IMX412, ",
    "features acA4096-40um:Gian=1": "acA4096-40um has no feature 'Gian', did you mean 'Gain'?",
    "completion tcsh": "'tcsh' is not one of 'bash', 'zsh', 'fish'",
    "completion": "Choose from: bash, zsh, fish",
    "plan": "MODEL is missing: one of IDS-IMX412, ",
    "power": "MODEL is missing: one of IDS-IMX412, ",
    "ptc": "MODEL is missing: one of IDS-IMX412, ",
    "scope": "MODEL is missing: one of IDS-IMX412, ",
    "scope acA4096-40um --model-file u3v/models/ids_imx412.toml": "its camera IDS-IMX412 is not used; give MODEL",
    "show --model-file /no/such.toml": "/no/such.toml: No such file or directory",
    "plan acA4096-40um --render-mpx nan": "'nan' is not a number of finite size",
    "plan acA4096-40um --supply-v nan": "'nan' is not a number of finite size",
    "grab acA4096-40um --timeout inf": "inf is not in the range",
    "grab acA4096-40um:ExposureTime=nan": "ExposureTime = ",
    "ctl wait-for unplugged --timeout nan": "'nan' is not a number of finite size",
    "ctl pulse Line1 --us inf": "'inf' is not a number of finite size",
}
U13 = {
    "run -- lsusb": "MODEL is missing: one of IDS-IMX412, ",
    "run": "MODEL is missing: one of IDS-IMX412, ",
    "run acA4096-40um": "CMD is missing: it stands behind --, as in u3v run acA4096-40um -- lsusb -v",
    "run acA4096-40um --": "CMD is missing: it stands behind --",
    "run acA4096-40umm -- true": "no such camera, did you mean 'acA4096-40um'?",
    "serve acA4096-40um --host nohost.invalid": "--host 'nohost.invalid' does not resolve to an address: ",
    "serve acA4096-40um --defects hot=1000000000": "defect hot = 1000000000: must be from 0 to 100000",
}
U12 = {
    "run acA4096-40um, acA4096-40um -- true": "'acA4096-40um,': write cameras as A B or as A,B, without a space",
    "serve acA4096-40um Gain=6": "'Gain=6': settings come after a colon: MODEL:Gain=6",
    "run acA4096-40um true": "CMD is missing: it stands behind --",
}
IGNORED = {
    "serve acA4096-40um --set Gain=1 --set Gain=2": "Gain is given twice: Gain=1 and Gain=2",
    "serve acA4096-40um --bus 480mbps --speed super": "all its ports are High-Speed: leave --speed super out",
    "serve acA4096-40um --bus 5gbps --speed high": "a High-Speed camera has other wires: use --bus 480mbps",
    "serve acA4096-40um --bus 5gbps,other=1MB/s,other=2MB/s": "--bus: other= is given twice",
    "serve acA4096-40um --bus 5gbps --no-pacing": "it does not go with --no-pacing",
    "serve acA4096-40um --defects hot_e_per_s=100": "hot_e_per_s is about hot pixels: say how many",
    "serve acA4096-40um --model-file u3v/models/ids_imx412.toml": "its camera IDS-IMX412 is not used; give MODEL",
    "xml acA4096-40um --model-file u3v/models/ids_imx412.toml": "its camera IDS-IMX412 is not used; give MODEL",
    "plan acA4096-40um --model-file u3v/models/ids_imx412.toml": "its camera IDS-IMX412 is not used; give MODEL",
    "power acA4096-40um --model-file u3v/models/ids_imx412.toml": "its camera IDS-IMX412 is not used; give MODEL",
    "ptc acA4096-40um --model-file u3v/models/ids_imx412.toml": "its camera IDS-IMX412 is not used; give MODEL",
    "show acA4096-40um:Gain=6": "a data sheet knows no settings: u3v show acA4096-40um, or u3v features acA4096-40um:",
    "features acA4096-40um,IDS-IMX412": "'acA4096-40um,IDS-IMX412' is 2 cameras, only one is possible here",
}


@pytest.mark.parametrize(
    ("line", "says"),
    [pytest.param(line, says, id=line) for line, says in MISTAKES.items()]
    + [pytest.param(line, says, id=f"U13 {line}") for line, says in U13.items()]
    + [pytest.param(line, says, id=f"U12 {line}") for line, says in U12.items()]
    + [pytest.param(line, says, id=f"U6 {line}") for line, says in IGNORED.items()],
)
def test_a_mistake_is_one_line_and_exit_code_2(u3v: Shell, line: str, says: str) -> None:
    result = u3v(*line.split())
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("u3v: ")
    assert result.err.count("\n") == 1, result.err
    assert says in result.err


def test_s12_an_error_of_ours_is_not_a_persons_mistake(u3v: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> list[str]:
        return [str(int("not a number"))]

    monkeypatch.setattr(lists, "model_names", broken)
    result = u3v("models")
    assert result.status == 70
    assert result.err.startswith("Traceback (most recent call last):\n")
    assert "invalid literal for int() with base 10: 'not a number'" in result.err
    assert result.err.endswith("\nu3v: internal error, please report the lines above: ValueError\n")


def test_output_that_cannot_be_written_is_one_line() -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "gadget", "models"]
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=600)
    assert (result.returncode, result.stderr) == (2, "u3v: cannot write: No space left on device\n")


def test_output_that_nobody_reads_to_its_end() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "gadget", "xml", "acA4096-40um"]
    result = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=600)
    os.close(writing)
    assert (result.returncode, result.stderr) == (1, "")


@pytest.mark.parametrize("command", [(), ("ctl",)])
def test_without_a_command_the_help_is_shown(u3v: Shell, command: tuple[str, ...]) -> None:
    result = u3v(*command)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("Usage: u3v ")


@pytest.mark.parametrize("module", ["gadget", "u3v"])
def test_u14_python_m(module: str) -> None:
    command = [sys.executable, "-m", module, "show", "nope"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("u3v: nope: no such camera")
    shown = subprocess.run(
        [sys.executable, "-m", module, "--help"], capture_output=True, text=True, timeout=600
    )
    assert shown.stdout.startswith("Usage: u3v ")


@pytest.mark.parametrize("command", ["run", "serve", "plug", "grab", "features", "show"])
def test_help_has_examples(u3v: Shell, command: str) -> None:
    result = u3v(command, "--help")
    assert result.status == 0
    assert f"u3v {command} acA4096-40um" in result.out.replace("sudo ", "")


def test_help_lists_every_command_once_by_purpose(u3v: Shell) -> None:
    shown = u3v("--help").out
    for title, names in SECTIONS.items():
        assert f"{title}:\n" in shown
        assert set(names) <= set(cli.commands)
    for name in cli.commands:
        assert shown.count(f"\n  {name} ") == 1


def test_grab_prints_one_json_object_that_adds_up(u3v: Shell) -> None:
    result = u3v("grab", "acA4096-40um", "-n", "5", "--set", "Width=640", "--set", "Height=480", "--json")
    assert result.status == 0, result.err
    summary = json.loads(result.out)
    assert summary["model"] == "acA4096-40um"
    assert summary["frames"] == summary["delivered"] == 5
    assert summary["incomplete"] == 0
    last, first = summary["last_block_id"], summary["first_block_id"]
    assert summary["delivered"] + summary["discarded"] == last - first + 1
    assert summary["fps"] > 0 < summary["mb_per_s"]
    assert summary["duration_s"] > 0


def test_the_compiler_is_loaded_with_the_first_frame_and_not_before() -> None:
    """numba takes longer to import than all the rest: who asks for help or a list does not wait for it."""
    asked = "import sys, gadget.cli.main; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
