"""The one place that meets numba, whose decorators carry no types."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile on first call for the argument types seen, without the GIL, and keep the machine code on disk.

    numba keeps it in `__pycache__` beside the module, or in the user's cache directory where that is read-only;
    NUMBA_CACHE_DIR overrides both. Where nothing can be written, every process compiles anew. A changed module
    is compiled again, its callers in other modules are not: after changing `_packers`, touch `noise`.
    No fast-math: the bytes must not depend on how a loop was cut.
    """
    try:
        return cast(F, numba.njit(nogil=True, cache=True, error_model="numpy")(function))
    except RuntimeError:  # "cannot cache function: no locator available"
        return cast(F, numba.njit(nogil=True, error_model="numpy")(function))
