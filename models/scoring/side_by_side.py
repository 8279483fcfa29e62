"""Parts of a training that need nothing of each other, a few at a time."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

T = TypeVar("T")


def side_by_side(parts: Iterable[Callable[[], T]], threads: int) -> Iterator[T]:
    """Answers in the parts' order; the first error ends it, and parts that have not begun are left out.

    Each part has one OpenMP thread. Two that share the trees of one growth wait for each other actively: beside a busy neighbour that
    took twenty times as long as one thread. Parts of their own only take their turns.
    """
    with ThreadPoolExecutor(threads, "training", initializer=lambda: threadpool_limits(limits=1)) as pool:
        yield from pool.map(lambda part: part(), parts)
