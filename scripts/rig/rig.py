"""What `scripts/uml` and `scripts/vm` have in common: options, the job, and one run of a guest.

A run owns a control directory in the host's temp directory (fstab, job, FIFOs, results), three pipes
out of the guest (stdout and stderr of the command, and the kernel's console, where guest.sh reports the
exit status), and a keeper: a forked process in its own session which is the parent of the guest and of
nothing else. The keeper waits for the guest to end, or for its line to this process to be cut, which
happens when this process ends for whatever reason, SIGKILL included. Then it kills what is left of the
guest's process group, reaps it, and removes the control directory. So this process never needs the
guest's process id, and whoever waits for the keeper knows that everything is gone.
"""

import argparse
import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, NoReturn

from building import RigError, say

HERE = Path(__file__).resolve().parent
EXIT_USAGE = 2
EXIT_TIMEOUT = 124
EXIT_RIG = 125
USBFS_MEMORY_MB = 1000
SHUTDOWN_GRACE_S = 5.0
BOOT_PATIENCE_S = (60.0, 180.0, None)
"""How long a guest may take to begin with the command: it is killed then, and the next boot gets more. QEMU's
processors, if the host gives them no time, may wait for each other for ever (seen once in some hundred boots)."""
NEEDED_INSIDE = {"ip": "iproute2", "mount": "mount", "/lib/systemd/systemd-udevd": "udev"}
CODE_INSIDE = Path("/run/machine-code")
HIDDEN = [("tmp",), ("run",), ("dev",)]
REPOSITORY = Path(__file__).resolve().parents[2]
PASSED_ON = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "VIRTUAL_ENV",
    "XDG_CACHE_HOME",
)
_EXIT_LINE = re.compile(rb"u3v-rig: exit (\d+)")
_BEGUN = b"u3v-rig: the command begins"
_NO_MAPPINGS = b"vm.max_map_count has been reached"


STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
Ends = tuple[int, int, int]


class Stopped(Exception):
    """A signal asked this process to end."""

    def __init__(self, signum: int) -> None:
        self.signum = signum


@dataclass
class Job:
    """What to run, and what it may see and write."""

    command: list[str]
    cwd: Path
    env: dict[str, str]
    out: Path | None
    see: list[Path]
    timeout_s: float | None
    dmesg: Path | None
    machine_code: Path | None = None

    def keep_machine_code(self, folder: Path, **env: str) -> None:
        """Let `folder` of the host be writable inside, for the machine code that numba makes of the sensor engine:
        it takes seconds, and is the same in the next guest. `env`: what else numba must know. Every user of the
        guest may read it, which does not hold where it lies on the host: a home directory is private."""
        folder.mkdir(exist_ok=True)
        self.machine_code = folder
        self.env = {"NUMBA_CACHE_DIR": str(CODE_INSIDE), **env} | self.env


@dataclass
class Boot:
    """How one guest is started.

    `argv` gets the control directory and the write ends of stdout, stderr and console. `host_mount` is the
    fstab line that mounts the host's root on /tmp; `share_mount` the one for a directory that is writable
    (named `out` and `code`), if that root is read-only.
    """

    argv: Callable[[Path, Ends], list[str]]
    host_mount: str
    share_mount: str | None
    env: dict[str, str] = field(default_factory=dict)
    cpu: int | None = None


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        unknown = re.match(r"unrecognized arguments: (-[^\s=]+)", message)
        if unknown:
            import difflib

            near = difflib.get_close_matches(unknown[1], self._option_string_actions, n=1)
            message = f"unknown option {unknown[1]}" + (f", did you mean {near[0]!r}?" if near else "")
        elif message.startswith("unrecognized arguments: "):
            message = f"the command has to come after --, for example: {self.prog} -- lsusb"
        raise RigError(message)


def parser(name: str, summary: str, examples: str) -> Parser:
    """Options of both rigs; each adds its own."""
    made = Parser(
        prog=name,
        usage=f"{name} [OPTIONS] -- CMD [ARG...]",
        description=summary,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("--mem", default="3G", help="memory of the guest (default 3G; taken as it is used)")
    made.add_argument(
        "--env",
        action="append",
        default=[],
        metavar="K[=V]",
        help="set a variable inside, or pass on the caller's; may be repeated. "
        f"Always passed on: {', '.join(PASSED_ON)}",
    )
    made.add_argument(
        "--out",
        metavar="DIR",
        help="a directory of the host which is writable inside too, under the same path and as $U3V_RIG_OUT "
        "(default: one that is thrown away)",
    )
    made.add_argument(
        "--see",
        action="append",
        default=[],
        metavar="DIR",
        help="show this directory inside, read-only, although it lies under /tmp or /run, which start empty; "
        "the working directory is always shown; may be repeated",
    )
    made.add_argument(
        "--timeout", type=float, metavar="SECONDS", help="kill the guest after this time and exit with 124"
    )
    made.add_argument(
        "--dmesg", metavar="FILE", help="store all kernel messages of the guest here, as they come"
    )
    made.add_argument(
        "--build", action="store_true", help="only make the kernel ready, e.g. to fill a CI cache"
    )
    return made


def parse(made: Parser, argv: list[str]) -> tuple[argparse.Namespace, Job]:
    """Split at `--`, check everything a person can get wrong."""
    split = argv.index("--") if "--" in argv else len(argv)
    options = made.parse_args(argv[:split])
    command = argv[split + 1 :]
    if not command and not options.build:
        raise RigError(f"no command; write it after --, for example: {made.prog} -- lsusb")
    if not re.fullmatch(r"[1-9]\d*[MG]", options.mem):
        raise RigError(f"--mem {options.mem}: a number and M or G is needed, for example 3G")
    if options.timeout is not None and not options.timeout > 0:
        raise RigError(f"--timeout {options.timeout}: seconds above 0 are needed")
    out = None
    if options.out is not None:
        out = Path(options.out).absolute()
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RigError(f"--out {options.out}: {error.strerror}; a directory is needed") from None
    if options.dmesg is not None:
        try:
            Path(options.dmesg).write_bytes(b"")
        except OSError as error:
            raise RigError(
                f"--dmesg {options.dmesg}: {error.strerror}; a file that can be written is needed"
            ) from None
    see = [Path(name).absolute() for name in options.see]
    for path in see:
        if not path.is_dir():
            raise RigError(f"--see {path}: not a directory")
    job = Job(
        command=command,
        cwd=Path.cwd(),
        env=_environment(made.prog, options.env),
        out=out,
        see=see,
        timeout_s=options.timeout,
        dmesg=None if options.dmesg is None else Path(options.dmesg).absolute(),
    )
    return options, job


def _environment(rig: str, given: Sequence[str]) -> dict[str, str]:
    env = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    env |= {"TERM": "dumb", "PYTHONDONTWRITEBYTECODE": "1", "U3V_RIG": rig}
    for item in given:
        name, equals, value = item.partition("=")
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise RigError(f"--env {item}: NAME=VALUE is needed, or NAME to pass on the caller's")
        if equals:
            env[name] = value
        elif name in os.environ:
            env[name] = os.environ[name]
    return env


def run(name: str, boot: Boot, job: Job) -> int:
    """Boot, run the job, return its exit status; everything of the run is gone afterwards.

    A guest that hangs before the command begins is booted once more. Only the kernel's messages tell of it.
    """
    ends_s = float("inf") if job.timeout_s is None else time.monotonic() + job.timeout_s
    with Messages(job.dmesg) as messages:
        for patience_s in BOOT_PATIENCE_S:
            status = _run_once(name, boot, job, messages, ends_s, patience_s)
            if status is not None:
                return status
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
            messages.add(
                f"u3v-rig: the command had not begun after {patience_s:g} s; the guest is booted again"
            )
    raise AssertionError("the last boot has all the time")


def _run_once(
    name: str, boot: Boot, job: Job, messages: "Messages", ends_s: float, patience_s: float | None
) -> int | None:
    """One guest from start to end. None: the command had not begun after `patience_s`."""
    out, err, console = os.pipe(), os.pipe(), os.pipe()
    line = os.pipe()
    keeper_pid = os.fork()
    if keeper_pid == 0:
        try:
            for fd in (out[0], err[0], console[0], line[1]):
                os.close(fd)
            _keep(boot, job, (out[1], err[1], console[1]), line[0])
        finally:
            os._exit(0)
    for fd in (out[1], err[1], console[1], line[0]):
        os.close(fd)

    def cut() -> None:
        with suppress(BrokenPipeError):
            os.write(line[1], b"x")

    try:
        with Console(console[0], messages) as guest:
            copiers = [Copier(out[0], 1, cut), Copier(err[0], 2, cut)]
            return _attend(name, job, guest, copiers, cut, ends_s, patience_s)
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
        cut()
        os.waitpid(keeper_pid, 0)
        os.close(line[1])


def _keep(boot: Boot, job: Job, ends: Ends, line: int) -> None:
    """The keeper's life, see the top of this file."""
    os.setsid()
    for signum in STOPS:
        signal.signal(signum, lambda _signum, _frame: None)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    ctl = Path(tempfile.mkdtemp(prefix="u3v-rig-"))
    try:
        _write_control(ctl, boot, job)
        guest = subprocess.Popen(
            boot.argv(ctl, ends),
            stdin=null,
            stdout=ends[2],
            stderr=ends[2],
            env=boot.env,
            pass_fds=ends,
            start_new_session=True,
            preexec_fn=None if boot.cpu is None else lambda: os.sched_setaffinity(0, {boot.cpu or 0}),
        )
        for fd in ends:
            os.close(fd)
        _adopt_orphans()
        pidfd = os.pidfd_open(guest.pid)
        select.select([pidfd, line], [], [])
        # Nobody has reaped the guest yet, so its number still means its group.
        os.killpg(guest.pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            while True:
                os.waitpid(-guest.pid, 0)
    except OSError as error:
        os.write(ends[2], f"the guest could not be started: {error}\n".encode())
    finally:
        shutil.rmtree(ctl, ignore_errors=True)


def _adopt_orphans() -> None:
    """Processes inside User-Mode Linux are children of its kernel; when that is killed they become ours."""
    import ctypes

    pr_set_child_subreaper = 36
    ctypes.CDLL(None).prctl(pr_set_child_subreaper, 1, 0, 0, 0)


def _attend(
    name: str,
    job: Job,
    console: "Console",
    copiers: "list[Copier]",
    cut: Callable[[], None],
    ends_s: float,
    patience_s: float | None,
) -> int | None:
    """Read the console until the guest is gone, or until it should be; say what there is to say."""
    begins_s = float("inf") if patience_s is None else time.monotonic() + patience_s
    ending = ""
    while True:
        if console.ended_s is not None:
            deadline_s = SHUTDOWN_GRACE_S + max(console.ended_s, *(copier.active_s for copier in copiers))
        else:
            deadline_s = ends_s if console.begun else min(begins_s, ends_s)
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            ending = "stuck" if console.ended_s is not None else "timeout" if deadline_s == ends_s else "hung"
            cut()
            break
        if (
            select.select([console.fd], [], [], None if left_s == float("inf") else left_s)[0]
            and not console.read()
        ):
            break
    for copier in copiers:
        copier.join(1.0 if ending in ("timeout", "hung") else None)
    if any(copier.broken for copier in copiers):
        return 128 + signal.SIGPIPE
    if ending == "hung":
        return None
    if ending == "timeout":
        say(name, f"{shlex.join(job.command)}: not done after {job.timeout_s:g} s, killed")
        return EXIT_TIMEOUT
    if ending == "stuck":
        say(name, f"the guest did not power off within {SHUTDOWN_GRACE_S:g} s of the command's end, killed")
    if console.lacks_mappings:
        say(
            name,
            "a program was killed (SIGSEGV): it needed more mappings than this machine gives a process; let it use "
            "less memory, or as root: sysctl -w vm.max_map_count=1000000",
        )
    if console.status is None:
        say(name, "the guest ended before the command did; its last messages:")
    if console.status in (None, EXIT_RIG):
        for line in console.tail:
            say(name, "  " + line.decode(errors="replace"))
    return EXIT_RIG if console.status is None else console.status


class Messages:
    """What the kernels say, line by line, in a file if one is wanted."""

    def __init__(self, path: Path | None) -> None:
        self._file: IO[bytes] | None = None if path is None else path.open("wb", buffering=0)

    def add(self, line: bytes | str) -> None:
        if self._file is not None:
            self._file.write((line.encode() if isinstance(line, str) else line) + b"\n")

    def __enter__(self) -> "Messages":
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()


class Console:
    """One kernel's console: the last lines kept, the begin of the command and its exit status found."""

    def __init__(self, fd: int, messages: Messages) -> None:
        self.fd = fd
        self.begun = False
        self.lacks_mappings = False
        self.status: int | None = None
        self.ended_s: float | None = None
        self.tail: deque[bytes] = deque(maxlen=60)
        self._rest = b""
        self._messages = messages

    def read(self) -> bool:
        """Take what is there; False at the end."""
        chunk = os.read(self.fd, 65536)
        if not chunk:
            return False
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            line = line.rstrip(b"\r")
            self._messages.add(line)
            found = _EXIT_LINE.search(line)
            if found and self.status is None:
                self.status = int(found[1])
                self.ended_s = time.monotonic()
            elif _BEGUN in line:
                self.begun = True
            elif _NO_MAPPINGS in line:
                self.lacks_mappings = True
            elif line:
                self.tail.append(line)
        return True

    def __enter__(self) -> "Console":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)
        if self._rest:
            self._messages.add(self._rest)


class Copier(threading.Thread):
    """Copies one stream of the guest to one of ours. A reader who left ends the guest, as SIGPIPE would."""

    def __init__(self, source: int, sink: int, cut: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self.active_s = 0.0
        self.broken = False
        self._source, self._sink, self._cut = source, sink, cut
        self.start()

    def run(self) -> None:
        while chunk := os.read(self._source, 65536):
            view = memoryview(chunk)
            while view:
                try:
                    view = view[os.write(self._sink, view) :]
                except OSError:
                    self.broken = True
                    self._cut()
                    return
                self.active_s = time.monotonic()


def _write_control(ctl: Path, boot: Boot, job: Job) -> None:
    ctl.chmod(0o755)
    for fifo in ("stdout", "stderr"):
        os.mkfifo(ctl / fifo, 0o666)
    (ctl / "dev").mkdir()
    links = {"fd": "fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}
    for link, target in links.items():
        (ctl / "dev" / link).symlink_to(f"/proc/self/{target}")
    out = job.out or ctl / "out"
    out.mkdir(exist_ok=True)
    out_inside = job.out or Path("/run/u3v/out")
    writable = {out: "out"} | ({job.machine_code: "code"} if job.machine_code else {})
    hidden = [
        path for path in (REPOSITORY, job.cwd, *job.see) if path.parts[1:2] in HIDDEN and len(path.parts) > 2
    ]
    # The host's tree is on /tmp only until the tmpfs hides it; what shall be seen of it goes by way of /run.
    shown = [(ctl, Path("/run/u3v")), *((path, path) for path in hidden), (out, out_inside)]
    if job.machine_code is not None:
        shown.append((job.machine_code, CODE_INSIDE))
    lines = [
        "proc /proc proc",
        "sysfs /sys sysfs",
        "devpts /dev/pts devpts X-mount.mkdir",
        "tmpfs /dev/shm tmpfs mode=1777,X-mount.mkdir",
        "configfs /sys/kernel/config configfs",
        "tmpfs /run tmpfs mode=755",
        boot.host_mount,
    ]
    for index, (path, _) in enumerate(shown):
        if path in writable and boot.share_mount is not None:
            lines.append(boot.share_mount.format(tag=writable[path], mount_point=f"/run/.{index}"))
        else:
            mode = "rw" if path in writable else "ro"
            lines.append(f"{_quoted(f'/tmp{path}')} /run/.{index} none bind,{mode},X-mount.mkdir")
    lines.append("tmpfs /tmp tmpfs mode=1777")
    for index, (_, inside) in enumerate(shown):
        lines.append(f"/run/.{index} {_quoted(inside)} none bind,X-mount.mkdir")
    (ctl / "fstab").write_text("\n".join(lines) + "\n")

    env = job.env | {"U3V_RIG_OUT": str(out_inside)}
    script = [f"export {name}={shlex.quote(value)}" for name, value in env.items()]
    script.append(f"cd {shlex.quote(str(job.cwd))} || exit {EXIT_RIG}")
    script.append("exec " + shlex.join(job.command))
    (ctl / "job").write_text("\n".join(script) + "\n")


def _quoted(path: Path | str) -> str:
    return re.sub(r"[\s\\#]", lambda found: f"\\{ord(found[0]):03o}", str(path))


def _stop(signum: int, _frame: FrameType | None) -> None:
    raise Stopped(signum)


def main(name: str, body: Callable[[list[str]], int]) -> NoReturn:
    """Run `body` on the command line; a person's mistake is one line and exit code 2."""
    for signum in STOPS:
        signal.signal(signum, _stop)
    os.environ["PATH"] = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"
    try:
        status = body(sys.argv[1:])
    except RigError as error:
        say(name, str(error))
        status = EXIT_USAGE
    except Stopped as stopped:
        status = 128 + stopped.signum
    sys.stdout.flush()
    os._exit(status)  # a thread may hang in a write that nobody reads
