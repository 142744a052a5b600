"""The one place that meets numba, whose decorators carry no types, and decides where machine code is kept."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core.caching import UserProvidedCacheLocator

F = TypeVar("F", bound=Callable[..., Any])

_PACKAGE = Path(__file__).resolve().parent


def kernel(function: F) -> F:
    """Compile on first call for the argument types seen, without the GIL, and keep the machine code on disk.

    numba writes the cache to `__pycache__` beside the module, or to the user's cache directory where that is
    read-only; NUMBA_CACHE_DIR overrides both. No fast-math: the bytes must not depend on how a loop was cut.
    """
    return cast(F, numba.njit(nogil=True, cache=True, error_model="numpy")(function))


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _find_a_cache() -> None:
    """Where nothing is writable (a read-only root, no home), use a temporary copy of what was compiled before."""
    user_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    if numba.config.CACHE_DIR or _writable(_PACKAGE / "__pycache__") or _writable(user_cache / "numba"):
        return
    folder = Path(tempfile.mkdtemp(prefix="u3v-numba-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    numba.config.CACHE_DIR = str(folder)
    copy = folder / UserProvidedCacheLocator.get_suitable_cache_subpath(__file__)
    copy.mkdir()
    for pattern in ("*.nbi", "*.nbc"):
        for compiled in (_PACKAGE / "__pycache__").glob(pattern):
            shutil.copy(compiled, copy)


_find_a_cache()
