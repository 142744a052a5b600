"""What a person types: every mistake is one line on stderr and exit code 2."""

import json
import subprocess
import sys

import pytest

MISTAKES = {
    "run acA4096-40um": "Missing argument",
    "run acA4096-40um -- no-such-program": "no-such-program: command not found",
    "run acA4096-40umm -- true": "did you mean acA4096-40um?",
    "grap": "no such command 'grap'; did you mean grab?",
    "serve acA4096-40um --set Widht=640": "acA4096-40um has no feature 'Widht'; did you mean Width?",
    "serve acA4096-40um --set Width=641": "Width = 641: not 8..4112 in steps of 4",
    "serve acA4096-40um --set PixelFormat=Mono12P": "did you mean Mono12p?",
    "serve acA4096-40um --set Gain": "'Gain' is not of the form Feature=Value",
    "serve acA4096-40um --set PayloadSize=1": "PayloadSize cannot be set",
    "serve acA4096-40um --port 99999": "99999 is not in the range",
    "serve acA4096-40um --host 192.0.2.1 --port 0": "cannot listen on 192.0.2.1",
    "serve acA4096-40um --scene unifrom": "did you mean uniform?",
    "serve acA4096-40um --scene image:path=/no/such.png": "/no/such.png: no such file",
    "serve acA4096-40um --state /no/such/file": "/no/such/file: no such folder",
    "serve acA4096-40um acA4096-40um --state file": "give one model",
    "serve acA4096-40um acA4096-40um --serial A": "give digits",
    "grab acA4096-40um -n 0": "0 is not in the range",
    "grab acA4096-40um --pcap /no/such/file": "/no/such/file",
    "grab acA4096-40um --set Exposuretime=3": "did you mean ExposureTime?",
    "grab usbip://127.0.0.1:1/1-1": "no USB/IP server at 127.0.0.1:1",
    "grab usb:12": "hexadecimal",
    "xml nope": "no such camera",
    "show": "Missing argument 'MODEL'",
}


def u3v(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gadget", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_one_line_and_exit_code_2(line: str) -> None:
    result = u3v(*line.split())
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("u3v: ")
    assert result.stderr.count("\n") == 1, result.stderr
    assert MISTAKES[line] in result.stderr


def test_models_as_json_are_objects_with_names() -> None:
    models = json.loads(u3v("models", "--json").stdout)
    assert "acA4096-40um" in [m["name"] for m in models]
    assert all(m["maker"] and m["sensor"] for m in models)


def test_show_labels_every_figure() -> None:
    sheet = json.loads(u3v("show", "acA4096-40um", "--json").stdout)
    for figure in sheet["figures"].values():
        assert figure["kind"] in ("printed", "measured", "assumed")
        assert figure["source"]


@pytest.mark.parametrize("command", ["run", "serve", "plug", "grab"])
def test_help_has_examples(command: str) -> None:
    result = u3v(command, "--help")
    assert result.returncode == 0
    assert f"u3v {command} acA4096-40um" in result.stdout.replace("sudo ", "")


def test_grab_prints_one_json_object_that_adds_up() -> None:
    result = u3v("grab", "acA4096-40um", "-n", "5", "--set", "Width=640", "--set", "Height=480", "--json")
    assert result.returncode == 0, result.stderr
    summary = json.loads(result.stdout)
    assert summary["model"] == "acA4096-40um"
    assert summary["frames"] == summary["delivered"] == 5
    assert summary["incomplete"] == 0
    last, first = summary["last_block_id"], summary["first_block_id"]
    assert summary["delivered"] + summary["discarded"] == last - first + 1
    assert summary["fps"] > 0 < summary["mb_per_s"]
    assert summary["duration_s"] > 0
