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
import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.core.caching import UserProvidedCacheLocator
from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile on first call for the argument types seen, without the GIL, and keep the machine code on disk.

    No fast-math: the bytes must not depend on how a loop was cut.
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
# Loops work on four vectors side by side: the steps of a pixel depend on each other, those of four do not.
binding.set_option("frames", "-force-vector-interleave=4")
