"""The one place that meets numba, whose decorators carry no types, and decides where machine code is kept."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core.caching import UserProvidedCacheLocator
from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., Any])

_PACKAGE = Path(__file__).resolve().parent


def kernel(function: F) -> F:
    """Compile on first call for the argument types seen, without the GIL, and keep the machine code on disk.

    numba writes the cache to `__pycache__` beside the module, or to the user's cache directory where that is
    read-only; NUMBA_CACHE_DIR overrides both. No fast-math: the bytes must not depend on how a loop was cut.
    """
    return cast(F, numba.njit(nogil=True, cache=True, error_model="numpy")(function))


def inlined(function: F) -> F:
    """Compile into each kernel that calls it, so that the kernel's loops can still become vector instructions."""
    return cast(F, numba.njit(nogil=True, error_model="numpy", forceinline=True)(function))


def _fused(_context: Any, a: Any, b: Any, c: Any) -> Any:
    signature = types.float32(types.float32, types.float32, types.float32)
    return signature, lambda _, builder, __, values: builder.fma(*values)


def _to_bits(_context: Any, value: Any) -> Any:
    return types.int32(types.float32), lambda _, builder, __, values: builder.bitcast(
        values[0], ir.IntType(32)
    )


def _from_bits(_context: Any, bits: Any) -> Any:
    return types.float32(types.int32), lambda _, builder, __, values: builder.bitcast(
        values[0], ir.FloatType()
    )


multiply_add: Any = intrinsic(_fused)
"""float32 a * b + c, rounded once: in vectors and in what is left over of a loop alike, unlike fast-math."""
bits_of: Any = intrinsic(_to_bits)
"""The bits of a float32, as int32."""
float_of: Any = intrinsic(_from_bits)
"""The float32 that has these bits (int32)."""

if numba.config.DISABLE_JIT:
    multiply_add = lambda a, b, c: np.float32(float(a) * float(b) + float(c))  # noqa: E731
    bits_of = lambda value: np.float32(value).view(np.int32)  # noqa: E731
    float_of = lambda bits: np.int32(bits).view(np.float32)  # noqa: E731


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
