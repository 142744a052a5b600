"""Compiles our preload library at first use and keeps it in the user's cache; finds umockdev's.

`python -m gadget.local.build` compiles it ahead of time and prints where it is.
"""

import hashlib
import os
import platform
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from u3v.errors import U3VError

_SOURCES = ("preload.c", "preload_udev.c")
_FILES = (*_SOURCES, "preload.h")
_OPTIONS = ("-O2", "-Wall", "-shared", "-fPIC", "-pthread")
_UMOCKDEV = "libumockdev-preload.so.0"
CHOICES = ("auto", "own", "umockdev")


class PreloadError(U3VError):
    """There is no library to preload; the message is one line for a person."""


class Preload(NamedTuple):
    """A library for LD_PRELOAD; `own`: ours, else umockdev's."""

    path: Path
    own: bool


def choose(wish: str = "auto") -> Preload:
    """The library for `wish` ("auto", "own" or "umockdev"). Raises PreloadError."""
    if wish not in CHOICES:
        raise PreloadError(f"preload {wish!r}: use one of {', '.join(CHOICES)}")
    why = ""
    if wish != "umockdev":
        try:
            return Preload(build(), own=True)
        except PreloadError as error:
            if wish == "own":
                raise
            why = f"{error}; "
    found = find_umockdev()
    if found is None:
        raise PreloadError(f"{why}{_UMOCKDEV} not found: install a C compiler or the package umockdev")
    return Preload(found, own=False)


def find_umockdev() -> Path | None:
    """The distribution's umockdev preload library."""
    directories = [Path(d) for d in os.environ.get("LD_LIBRARY_PATH", "").split(":") if d]
    for base in (Path("/usr/local/lib"), Path("/usr/lib"), Path("/lib")):
        directories += [*base.glob("*-linux-*"), Path(f"{base}64"), base]
    return next((d / _UMOCKDEV for d in directories if (d / _UMOCKDEV).is_file()), None)


def build() -> Path:
    """Our library, from the cache or freshly compiled. Raises PreloadError where there is no compiler."""
    sources = Path(__file__).parent
    digest = hashlib.sha256(" ".join((platform.machine(), platform.libc_ver()[1], *_OPTIONS)).encode())
    for name in _FILES:
        digest.update((sources / name).read_bytes())
    directory = _cache()
    library = directory / f"u3v-preload-{digest.hexdigest()[:16]}.so"
    if library.is_file():
        return library
    wish = shlex.split(os.environ.get("CC", ""))
    compiler = wish or [c for c in map(shutil.which, ("cc", "gcc", "clang")) if c][:1]
    if not compiler:
        raise PreloadError("no C compiler (cc, gcc or clang) to build the preload library")
    handle, fresh = tempfile.mkstemp(suffix=".so", dir=directory)
    os.close(handle)
    command = [*compiler, *_OPTIONS, "-o", fresh, *(str(sources / name) for name in _SOURCES), "-ldl"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = next((line for line in done.stderr.splitlines() if "error" in line), "failed")
            raise PreloadError(f"{compiler[0]} could not build the preload library: {reason}")
        os.chmod(fresh, 0o755)
        os.replace(fresh, library)
    except OSError as error:
        raise PreloadError(f"{compiler[0]}: {error.strerror or error}") from error
    finally:
        Path(fresh).unlink(missing_ok=True)
    return library


def _cache() -> Path:
    """A directory of ours that nobody else can write to: what lies there is loaded into programs."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    for directory in (Path(home) / "u3v", Path(tempfile.gettempdir()) / f"u3v-cache-{os.getuid()}"):
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            info = directory.lstat()
        except OSError:
            continue
        private = info.st_uid == os.getuid() and not info.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if stat.S_ISDIR(info.st_mode) and private and os.access(directory, os.W_OK):
            return directory
    raise PreloadError(
        f"no private cache directory: neither {home}/u3v nor one below {tempfile.gettempdir()}"
    )


if __name__ == "__main__":
    try:
        print(build())
    except PreloadError as error:
        sys.exit(f"u3v: {error}")
