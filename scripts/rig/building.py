"""Making kernels ready once: cache, missing packages, long commands with progress. All state is in files."""

import fcntl
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


class RigError(Exception):
    """One line for the person at the terminal."""


def say(name: str, text: str) -> None:
    print(f"{name}: {text}", file=sys.stderr, flush=True)


def cache_dir() -> Path:
    """Where built kernels are kept: ${XDG_CACHE_HOME:-~/.cache}/u3v."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    made = Path(base) / "u3v"
    made.mkdir(parents=True, exist_ok=True)
    return made


@contextmanager
def workshop(cache: Path, name: str) -> Iterator[tuple[Path, Path]]:
    """A directory to build in and a log, one builder at a time; both are gone when all went well.

    Without success the log stays. What somebody left who was killed is removed as well.
    """
    with open(cache / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for old in cache.glob(f"{name}.build-*"):
            shutil.rmtree(old, ignore_errors=True)
        room, log = Path(tempfile.mkdtemp(prefix=f"{name}.build-", dir=cache)), cache / f"{name}.log"
        log.unlink(missing_ok=True)
        try:
            yield room, log
            log.unlink(missing_ok=True)
        finally:
            shutil.rmtree(room, ignore_errors=True)


def need(name: str, wanted: dict[str, str]) -> None:
    """Install what is missing, if we may. `wanted`: command or absolute path -> the package that has it."""

    def there(probe: str) -> bool:
        return Path(probe).exists() if probe.startswith("/") else shutil.which(probe) is not None

    def missing() -> list[str]:
        return sorted({package for probe, package in wanted.items() if not there(probe)})

    packages = missing()
    if not packages:
        return
    line = "apt-get install --no-install-recommends " + " ".join(packages)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise RigError(f"packages are missing; as root: {line}")
    say(name, f"installing {' '.join(packages)}")
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]
    done = subprocess.run(install, env=env, capture_output=True, text=True)
    if done.returncode != 0:
        subprocess.run(["apt-get", "update", "-q"], env=env, capture_output=True)
        done = subprocess.run(install, env=env, capture_output=True, text=True)
    if done.returncode != 0 or missing():
        last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise RigError(f"could not do: {line} ({last})")


def steps(
    name: str, log: Path, commands: Sequence[tuple[str, Sequence[str], Path]], lines_expected: int = 0
) -> None:
    """Run (title, argv, directory) one after another, with their output in `log` and progress on stderr."""
    said = ""
    with log.open("ab", buffering=0) as sink:
        for title, argv, directory in commands:
            sink.write(f"$ {shlex.join(argv)}\n".encode())
            if title != said:
                say(name, title)
            said = title
            began_s = shown_s = time.monotonic()
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *argv],  # our own SIGKILL must not leave a build behind
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            last = "it said nothing"
            try:
                for count, line in enumerate(process.stdout or ()):
                    sink.write(line)
                    last = line.decode(errors="replace").strip() or last
                    if time.monotonic() - shown_s >= 10:
                        shown_s = time.monotonic()
                        share = (
                            f", about {min(99, 100 * count // lines_expected)} %" if lines_expected else ""
                        )
                        say(name, f"  {shown_s - began_s:.0f} s{share}")
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
            finally:
                status = process.wait()
            if status != 0:
                raise RigError(f"{title} failed ({last}); everything it said is in {log}")
