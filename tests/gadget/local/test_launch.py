"""The launcher's own decisions: what it refuses to run, directories, the state it leaves behind."""

import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gadget.local import launch
from gadget.local.launch import LaunchError, private_directory, run_local, serve_until_end
from gadget.local.server import LocalServer
from gadget.time.loop import Loop
from gadget.usb.device import UsbDevice
from tests.gadget.toy import Toy


def elf(path: Path, bits: int = 2, interpreter: bool = True, mode: int = 0o755) -> str:
    """A program that has the two headers the launcher looks at and nothing else."""
    header = bytearray(64)
    header[:6] = b"\x7fELF" + bytes((bits, 1))
    struct.pack_into("<Q", header, 32, 64)
    struct.pack_into("<HH", header, 54, 56, 1)
    path.write_bytes(header + struct.pack("<I", 3 if interpreter else 1).ljust(56, b"\0"))
    path.chmod(mode)
    return str(path)


def refusal(*argv: str) -> tuple[str, int]:
    with pytest.raises(LaunchError) as caught:
        run_local([UsbDevice(Toy())], argv)
    return str(caught.value), caught.value.status


def test_refuses_what_cannot_be_preloaded_into(tmp_path: Path) -> None:
    static = elf(tmp_path / "static", interpreter=False)
    assert refusal(static) == (
        f"{static}: statically linked, so LD_PRELOAD is ignored: run it via usbip",
        126,
    )
    small = elf(tmp_path / "small", bits=1)
    assert refusal(small) == (f"{small}: a 32-bit program; only 64-bit ones can see a local camera", 126)
    script = tmp_path / "script"
    script.write_text(f"#!{static}\n")
    script.chmod(0o755)
    assert refusal(str(script))[0].startswith(f"{script}: statically linked")


def test_refuses_setuid_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = elf(tmp_path / "setuid", mode=0o4755)
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    assert refusal(program) == (
        f"{program}: setuid or setgid, so LD_PRELOAD is ignored: run it via usbip",
        126,
    )


def test_a_client_that_does_not_end_when_its_camera_is_gone_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "_PATIENCE_S", 0.05)
    deaf = "import signal; signal.signal(15, signal.SIG_IGN); print(flush=True); signal.pause()"
    client = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE)
    loop = Loop()
    with client:
        assert client.stdout is not None and client.stdout.readline()
        loop.stop()
        assert serve_until_end(loop, client) == 128 + signal.SIGKILL
    loop.close()


def test_refuses_what_is_not_there(tmp_path: Path) -> None:
    assert refusal() == ("no command to run", 2)
    assert refusal("no-such-program") == ("no-such-program: command not found", 127)
    (tmp_path / "data").write_text("")
    assert refusal(str(tmp_path / "data")) == (f"{tmp_path}/data: not executable", 126)
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF")
    broken.chmod(0o755)
    assert refusal(str(broken)) == (f"{broken}: Exec format error", 126)


def test_refuses_an_unknown_preload() -> None:
    with pytest.raises(LaunchError, match="preload 'both': use one of auto, own, umockdev"):
        run_local([UsbDevice(Toy())], ["true"], preload="both")


def test_exit_status_and_a_clean_loop() -> None:
    loop = Loop()
    device = UsbDevice(Toy())
    seen: list[Path] = []

    def on_start(server: LocalServer) -> None:
        seen.append(server.directory)

    assert run_local([device], ["sh", "-c", "exit 3"], loop=loop, on_start=on_start) == 3
    assert run_local([], ["sh", "-c", "kill -TERM $$"], loop=loop) == 128 + signal.SIGTERM
    assert loop.services == []
    assert not seen[0].exists()
    loop.close()


def test_signal_handlers_are_given_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    run_local([], ["true"])
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_loop_that_stops_ends_the_client() -> None:
    loop = Loop()
    loop.call_threadsafe(loop.stop)
    assert run_local([], ["sleep", "1000"], loop=loop) == 128 + signal.SIGTERM
    loop.close()


def test_private_directory() -> None:
    with private_directory() as directory:
        assert directory.stat().st_mode & 0o777 == 0o700
        assert len(str(directory)) < 40
    assert not directory.exists()


def test_leftovers_of_killed_runs_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "_YOUNG_S", 5.0)
    old = time.time() - 60
    dead, foreign, young = (tmp_path / f"{p}x" for p in (launch._PREFIX, "u3v-cache-", f"{launch._PREFIX}y"))
    for directory in (dead, foreign, young):
        (directory / "sys").mkdir(parents=True)
    for directory in (dead, foreign):
        os.utime(directory, (old, old))
    with private_directory() as held:
        os.utime(held, (old, old))
        launch._sweep(tmp_path)
        launch._sweep(held.parent)
        assert held.exists()
    assert not dead.exists()
    assert foreign.exists() and young.exists()
