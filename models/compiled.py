"""Functions over arrays, compiled by numba. Import this where it is needed only: numba takes most of a second."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """njit, cached on disk where the folder lets us. Compiled at the first call, which takes about a second without a cache.

    Lets go of the interpreter's lock: an event loop beside a long call goes on renewing leases and answering heartbeats.
    """
    try:
        return cast(F, njit(cache=True, nogil=True)(function))
    except RuntimeError:
        return cast(F, njit(nogil=True)(function))
