"""The one place that meets numba, whose decorators carry no types."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile on first call for the argument types seen, without the GIL, and keep the machine code on disk.

    numba writes the cache to `__pycache__` beside the module, or to the user's cache directory where that is
    read-only; NUMBA_CACHE_DIR overrides both. No fast-math: the bytes must not depend on how a loop was cut.
    """
    return cast(F, numba.njit(nogil=True, cache=True, error_model="numpy")(function))
