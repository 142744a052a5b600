"""The camera's process that `u3v grab MODEL` starts: what it imports, what is heard of it, how it ends."""

import os
import select
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from gadget.tools.grab import GrabOptions, grab
from gadget.tools.served import served
from gadget.tools.targets import open_target
from u3v.errors import U3VError

MODEL = "acA4096-40um"
PATIENCE_S = 60
LEADERLESS = """
import sys
from gadget.tools.served import served
with served("acA4096-40um", [], []) as camera:
    print(camera.pid, flush=True)
    sys.stdin.read()
"""


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2].partition("/")[0])


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL, signal.SIGINT])
def test_it_ends_however_its_parent_does(how: signal.Signals) -> None:
    """B2."""
    pipe = subprocess.PIPE
    parent = subprocess.Popen(
        [sys.executable, "-c", LEADERLESS], stdin=pipe, stdout=pipe, stderr=pipe, text=True
    )
    with parent:
        assert parent.stdout is not None
        pidfd = os.pidfd_open(int(parent.stdout.readline()))
        try:
            parent.send_signal(how)
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            assert poll.poll(PATIENCE_S * 1000), "the camera's process goes on"
        finally:
            os.close(pidfd)
            parent.communicate(timeout=PATIENCE_S)


def test_what_it_says_is_read_all_the_time() -> None:
    """B2: 1500 bad connections make more complaints than a pipe holds; the camera serves on."""
    words: list[str] = []
    with served(MODEL, [], words) as camera:
        port = port_of(camera.address)
        for _ in range(1500):
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(struct.pack(">HHI", 0x0111, 0x7777, 0))
                client.settimeout(PATIENCE_S)
                while client.recv(64):
                    pass
        bus = open_target(camera.address)
        try:
            assert grab(bus, GrabOptions(settings={"Width": "64", "Height": "64"})).ok
        finally:
            bus.close()
    assert camera.exit_code == 0 and not camera.failed


def test_it_imports_nothing_from_where_it_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """U1: here each of these files would end it."""
    for name in ("gadget", "frames", "u3v", "numpy", "click", "random"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('bricked by {name}')")
    (tmp_path / "numba").mkdir()
    monkeypatch.chdir(tmp_path)
    words: list[str] = []
    with served(MODEL, [], words) as camera:
        assert port_of(camera.address) > 0
    assert (camera.exit_code, words) == (0, [])


def test_a_scene_of_the_users_is_found_where_it_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """U1: the scene's module, and what it imports itself when it is called."""
    (tmp_path / "lamp.py").write_text(
        "import numpy as np\ndef light(time_s, width, height):\n"
        "    import level\n    return np.full((height, width), level.LIGHT)\n"
    )
    (tmp_path / "level.py").write_text("LIGHT = 1e5")
    monkeypatch.chdir(tmp_path)
    with served(MODEL, ["--scene", "python:call=lamp:light"], []) as camera:
        bus = open_target(camera.address)
        try:
            assert grab(bus, GrabOptions(settings={"Width": "64", "Height": "64"})).ok
        finally:
            bus.close()


def test_why_it_does_not_start() -> None:
    with (
        pytest.raises(U3VError, match=r"^unknown scene 'unifrom', did you mean 'uniform'\?$"),
        served(MODEL, ["--scene", "unifrom"], []),
    ):
        pass


def test_what_becomes_of_the_camera_is_heard() -> None:
    """U3: a camera without enough current says so."""

    def connect_until_it_is_gone() -> None:
        for _ in range(10_000):
            open_target(camera.address).close()

    words: list[str] = []
    with served(MODEL, ["--cable-ohm", "1", "--supply-v", "4.6"], words) as camera, pytest.raises(U3VError):
        connect_until_it_is_gone()
    assert "drops off the bus: brown-out" in words[0]
