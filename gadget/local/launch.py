"""Runs a program on this machine that sees the cameras: a private directory, the server, the client.

The server runs in the calling thread's loop. Terminal signals (Ctrl-C) reach the client by themselves when it
shares our terminal; all others are passed on, and we end when the client has.
"""

import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from gadget.local.build import PreloadError, choose
from gadget.local.server import LocalServer
from gadget.time.loop import READ, Loop
from gadget.time.sigkill_guard import Keeper
from gadget.time.signals import handled
from gadget.usb.device import UsbDevice
from u3v.errors import U3VError

_PREFIX = f"u3v-{os.getuid()}-"
_FORWARDED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
_FROM_TERMINAL = (signal.SIGINT, signal.SIGQUIT)
_PR_SET_TIMERSLACK = 29
_YOUNG_S = 10.0
_PATIENCE_S = 5.0
_PT_INTERP = 3


class LaunchError(U3VError):
    """The client cannot be run; `status` is the exit status a shell would give (126, 127) or 2."""

    def __init__(self, message: str, status: int = 2) -> None:
        super().__init__(message)
        self.status = status


def run_local(
    devices: Iterable[UsbDevice],
    argv: Sequence[str],
    preload: str = "auto",
    loop: Loop | None = None,
    *,
    usbfs_memory_bytes: int = 0,
    on_start: Callable[[LocalServer], None] | None = None,
) -> int:
    """Run `argv` with `devices` plugged in; its exit status, or 128 + N where signal N ended it.

    `preload`: "auto", "own" or "umockdev". `on_start(server)` is called when the client is about to start
    (keep the server to plug and unplug from the loop's thread). Raises LaunchError.
    """
    program = find_program(argv)
    _refuse_unpreloadable(argv[0], program)
    try:
        library = choose(preload)
    except PreloadError as error:
        raise LaunchError(str(error)) from error
    _no_timer_slack()
    own_loop = loop is None
    loop = loop or Loop()
    try:
        with (
            forwarded_signals(loop) as forward_to,
            private_directory() as directory,
            Keeper(directory) as keeper,
        ):
            server = LocalServer(loop, directory, devices, usbfs_memory_bytes=usbfs_memory_bytes)
            try:
                if on_start is not None:
                    on_start(server)
                environment = os.environ | server.environment(library.path, library.own)
                try:
                    client = subprocess.Popen(argv, executable=program, env=environment)
                except OSError as error:
                    raise LaunchError(f"{argv[0]}: {error.strerror}", 126) from error
                keeper.client(client.pid)
                forward_to(client)
                return serve_until_end(loop, client)
            finally:
                server.close()
    finally:
        if own_loop:
            loop.close()


@contextlib.contextmanager
def private_directory() -> Iterator[Path]:
    """A directory of ours alone with a short path, removed at the end. Leftovers of killed runs go too."""
    base = Path("/tmp") if os.access("/tmp", os.W_OK) else Path(tempfile.gettempdir())
    _sweep(base)
    directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))
    lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)  # lives as long as we do, however we end
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        os.close(lock)


def _sweep(base: Path) -> None:
    """Remove directories of ours that nobody holds."""
    for directory in base.glob(f"{_PREFIX}*"):
        try:
            info = directory.lstat()
            if info.st_uid != os.getuid() or time.time() - info.st_mtime < _YOUNG_S:
                continue
            lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(directory, ignore_errors=True)
        except OSError:
            pass  # in use
        finally:
            os.close(lock)


def serve_until_end(loop: Loop, client: "subprocess.Popen[bytes]") -> int:
    """Run the loop as long as the client does; its exit status, or 128 + N where signal N ended it."""
    pidfd = os.pidfd_open(client.pid)
    loop.watch(pidfd, READ, lambda _mask: loop.stop())
    try:
        loop.run()
    finally:
        loop.unwatch(pidfd)
        os.close(pidfd)
        if client.poll() is None:  # the loop ended for another reason
            client.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                client.wait(_PATIENCE_S)
            client.kill()  # it may wait for a camera that nobody serves any more
        status = client.wait()
    return status if status >= 0 else 128 - status


@contextlib.contextmanager
def forwarded_signals(loop: Loop) -> Iterator[Callable[["subprocess.Popen[bytes]"], None]]:
    """Pass signals on to the client; those that come before it runs are kept for it."""
    clients: list[subprocess.Popen[bytes]] = []
    early: list[int] = []

    def forward(number: int) -> None:
        if not clients:
            early.append(number)
        elif clients[0].poll() is None:
            clients[0].send_signal(number)

    def handler(number: int, _frame: object) -> None:
        if number in _FROM_TERMINAL and _in_foreground():
            return
        loop.call_threadsafe(lambda: forward(number))

    def forward_to(client: "subprocess.Popen[bytes]") -> None:
        clients.append(client)
        for number in early:
            forward(number)

    if threading.current_thread() is not threading.main_thread():
        yield forward_to
        return
    with handled(_FORWARDED, handler):
        yield forward_to


def _in_foreground() -> bool:
    """Did the terminal send the signal to the client as well?"""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def _no_timer_slack() -> None:
    """Short sleeps stay short, here and (inherited) in the client, whose preload may sleep at each ioctl."""
    ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)


def find_program(argv: Sequence[str]) -> str:
    """The path of the program. Raises LaunchError, with a shell's status, where there is none."""
    if not argv:
        raise LaunchError("no command to run")
    path = shutil.which(argv[0])
    if path is None:
        if os.path.exists(argv[0]):
            raise LaunchError(f"{argv[0]}: not executable", 126)
        raise LaunchError(f"{argv[0]}: command not found", 127)
    return path


def _refuse_unpreloadable(name: str, path: str) -> None:
    for _ in range(4):  # a script's interpreter may be a script
        info = os.stat(path)
        if info.st_mode & 0o6000 and os.getuid() != 0:
            raise LaunchError(f"{name}: setuid or setgid, so LD_PRELOAD is ignored: run it via usbip", 126)
        if _has_capabilities(path) and os.getuid() != 0:
            raise LaunchError(
                f"{name}: has file capabilities, so LD_PRELOAD is ignored: run it via usbip", 126
            )
        try:
            with open(path, "rb") as file:
                head = file.read(4096)
        except OSError:
            return  # executable but not readable
        if head.startswith(b"#!"):
            words = head[2:].split(b"\n")[0].split()
            if not words:
                return
            path = os.fsdecode(words[0])
            if os.path.basename(path) == "env" and len(words) > 1:
                path = shutil.which(os.fsdecode(words[-1])) or path
            if not os.path.exists(path):
                return
            continue
        break
    else:
        return
    if not head.startswith(b"\x7fELF") or len(head) < 64:
        return
    if head[4] != 2:
        raise LaunchError(f"{name}: a 32-bit program; only 64-bit ones can see a local camera", 126)
    if not _has_interpreter(head):
        raise LaunchError(f"{name}: statically linked, so LD_PRELOAD is ignored: run it via usbip", 126)


def _has_interpreter(head: bytes) -> bool:
    """Does an ELF file ask for the dynamic loader (PT_INTERP)?"""
    order = "little" if head[5] == 1 else "big"
    table = int.from_bytes(head[32:40], order)  # type: ignore[arg-type]
    size = int.from_bytes(head[54:56], order)  # type: ignore[arg-type]
    count = int.from_bytes(head[56:58], order)  # type: ignore[arg-type]
    entries = (head[table + i * size : table + i * size + 4] for i in range(count))
    return any(int.from_bytes(entry, order) == _PT_INTERP for entry in entries)  # type: ignore[arg-type]


def _has_capabilities(path: str) -> bool:
    try:
        return bool(os.getxattr(path, "security.capability"))
    except OSError:
        return False
