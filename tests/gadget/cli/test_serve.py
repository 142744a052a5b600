"""What `u3v serve` says: when other machines may reach it, and to virtual machines."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gadget.cli.shell import Shell

SERVE = (sys.executable, "-m", "gadget", "serve", "acA4096-40um", "--port", "0")
LIST = bytes.fromhex("0111800500000000")  # OP_REQ_DEVLIST


def said(*options: str) -> tuple[list[str], list[str]]:
    """The two lines on stdout, and the warnings. The warning comes behind them, before anything is served."""
    with subprocess.Popen(
        [*SERVE, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        lines = [process.stdout.readline() for _ in range(2)]
        port = int(lines[0].split()[-1])
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(LIST)
            assert client.recv(1)  # it serves now
        process.terminate()
        return lines, [line for line in process.stderr if "warning" in line]


def test_b17_serving_on_all_addresses_warns_and_prints_one_that_works() -> None:
    lines, warnings = said("--host", "0.0.0.0")
    assert lines[0].startswith("listening on 0.0.0.0 port ")
    assert "attach -r " in lines[1] and "attach -r 0.0.0.0" not in lines[1]
    assert [line.partition(" port ")[0].rsplit(" ", 1)[0] for line in warnings] == [
        "u3v: warning: whoever reaches"
    ]


def test_b17_serving_this_machine_alone_warns_nobody() -> None:
    lines, warnings = said()
    assert "attach -r 127.0.0.1 " in lines[1]
    assert warnings == []


def test_usbredir_prints_what_qemu_takes(tmp_path: Path) -> None:
    path = tmp_path / "camera"
    command = [*SERVE[:-2], "acA4096-40um", "--usbredir", f"unix:{path}", "--usbredir", "0.0.0.0:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        lines = [
            process.stdout.readline().strip() for _ in range(5)
        ]  # the last one tells of the control socket
        warning = next(line for line in process.stderr if line.startswith("u3v: "))
        process.terminate()
        process.communicate()
    assert [line.rpartition("  ")[2] for line in lines[:4:2]] == ["serial 40000001", "serial 40000002"]
    options = f"-device qemu-xhci -chardev socket,path={path},id=u3v1 -device usb-redir,chardev=u3v1"
    assert lines[1] == f"qemu-system-x86_64 ... {options}"
    assert "id=u3v2" in lines[3] and warning.startswith("u3v: warning: whoever reaches 0.0.0.0 port ")
    assert process.returncode == 0 and not path.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--usbredir", "x"], "--usbredir x: give a port 0..65535, HOST:PORT or unix:PATH"),
        (
            ["--usbredir", "1", "--usbredir", "2"],
            "1 cameras and 2 times --usbredir: give it once for each camera",
        ),
        (["--usbredir", "4000", "--port", "3240"], "--host and --port are for USB/IP"),
        (["--usbredir", "no.such.host.invalid:4000"], "--usbredir 'no.such.host.invalid' does not resolve"),
    ],
)
def test_usbredir_mistakes(u3v: Shell, words: list[str], said: str) -> None:
    result = u3v("serve", "acA4096-40um", *words)
    assert result.status == 2 and said in result.err


@pytest.mark.parametrize(("model", "tells"), [("acA4096-11gm", True), ("acA4096-40um", False)])
def test_a_camera_of_ethernet_over_usb_says_which_wire_this_is(model: str, tells: bool) -> None:
    with subprocess.Popen([*SERVE[:-3], model, "--port", "0"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        process.terminate()
    own = "  acA4096-11gm: this is USB3 Vision; --wire gige serves GigE Vision, the camera's own wire\n"
    assert (lines[2] == own) is tells
