"""The one place that meets numba, whose decorators carry no types, and decides where machine code is kept."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core.caching import UserProvidedCacheLocator

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile on first call for the argument types seen, without the GIL, and keep the machine code on disk.

    No fast-math: the bytes must not depend on how a loop was cut.
    """
    return cast(F, numba.njit(nogil=True, cache=True, error_model="numpy")(function))


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def choose_cache() -> Path:
    """The directory for machine code: $NUMBA_CACHE_DIR, or `u3v/numba` in the user's cache directory.

    One place outside the package, so that a guest which sees this machine's files read-only (scripts/uml) needs
    only this one writable. Where it is not, a temporary copy takes its place.
    """
    chosen = numba.config.CACHE_DIR
    if not chosen:
        user_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        chosen = user_cache / "u3v" / "numba"
    kept = Path(chosen)
    if _writable(kept):
        return kept
    copy = Path(tempfile.mkdtemp(prefix="u3v-numba-"))
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    ours = UserProvidedCacheLocator.get_suitable_cache_subpath(__file__)
    with suppress(OSError):  # not even readable
        shutil.copytree(kept / ours, copy / ours)
    return copy


numba.config.CACHE_DIR = str(choose_cache())
