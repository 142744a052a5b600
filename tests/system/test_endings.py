"""However `u3v run`, `serve` and `grab` end, they leave no process, directory or socket (`u3v plug`: test_kernel)."""

import os
import select
import signal
import socket
import sys
from pathlib import Path

import pytest

from tests.system.programs import MODEL, PATIENCE_S, U3V, end, start, u3v

pytestmark = pytest.mark.patient
SAY = """
import os, sys
print(os.getpid(), os.environ["U3V_LOCAL_DIR"], flush=True)
sys.stdin.read()
"""
SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL]


def gone(pidfds: list[int]) -> bool:
    """Whether these processes end, in time."""
    poll = select.poll()
    for pidfd in pidfds:
        poll.register(pidfd, select.POLLIN)
    left = set(pidfds)
    while left and (ended := poll.poll(PATIENCE_S * 1000)):
        for pidfd, _ in ended:
            poll.unregister(pidfd)
            left.discard(pidfd)
    for pidfd in pidfds:
        os.close(pidfd)
    return not left


def descendants(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children] + [n for child in children for n in descendants(int(child))]


@pytest.mark.parametrize("how", SIGNALS)
def test_run(how: signal.Signals) -> None:
    program = start([*U3V, "run", MODEL, "--", sys.executable, "-c", SAY])
    try:
        assert program.stdout is not None
        pid, name = program.stdout.readline().split()
        directory = Path(name)
        assert directory.is_dir()
        processes = descendants(program.pid)
        assert int(pid) in processes
        pidfds = [os.pidfd_open(process) for process in processes]
        program.send_signal(how)
        program.wait(PATIENCE_S)
        assert gone(pidfds)
        assert not directory.exists()
        assert program.returncode == (-9 if how == signal.SIGKILL else 128 + how)
    finally:
        end(program)
        program.communicate()


def test_run_ends_when_the_client_does() -> None:
    done = u3v("run", MODEL, "--", "sh", "-c", "echo $U3V_LOCAL_DIR; exit 7")
    assert done.returncode == 7
    assert not Path(done.stdout.strip()).exists()


@pytest.mark.parametrize("how", SIGNALS)
def test_serve(how: signal.Signals) -> None:
    """With a client connected."""
    program = start([*U3V, "serve", MODEL, "--port", "0"])
    try:
        assert program.stdout is not None
        port = int(program.stdout.readline().split()[-1])
        assert descendants(program.pid) == []
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(bytes.fromhex("0111 8003 00000000") + b"1-1".ljust(32, b"\0"))  # OP_REQ_IMPORT
            assert client.recv(8) == bytes.fromhex("0111 0003 00000000")
            program.send_signal(how)
            assert program.wait(PATIENCE_S) == (-9 if how == signal.SIGKILL else 0)
            client.settimeout(PATIENCE_S)
            while client.recv(4096):
                pass
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
    finally:
        end(program)
        program.communicate()


@pytest.mark.parametrize("how", SIGNALS)
def test_grab(how: signal.Signals) -> None:
    """B2: the camera's process goes with it, also when it is this program alone that is killed."""
    program = start([*U3V, "grab", MODEL, "-n", "1000000", "--set", "Width=64", "--set", "Height=64"])
    try:
        while not descendants(program.pid):
            assert program.poll() is None
        pidfds = [os.pidfd_open(process) for process in descendants(program.pid)]
        program.send_signal(how)
        program.communicate(timeout=PATIENCE_S)
        assert gone(pidfds)
    finally:
        end(program)
        program.communicate()


def test_serve_refuses_a_port_that_is_taken_in_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = u3v("serve", MODEL, "--port", str(port))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1 and str(port) in done.stderr


def test_plug_without_a_usb_kernel_says_what_to_do_instead() -> None:
    done = u3v("plug", MODEL, "--", "true")
    if done.returncode == 0:
        return  # a machine with vhci-hcd, where we are root
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "vhci-hcd" in done.stderr and "u3v run" in done.stderr
