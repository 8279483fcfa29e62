"""What a payment says of itself, as numbers: the part of a vector that needs no memory."""

import hashlib
import math
from typing import Final

FACTS: Final = ("amount", "just_under_limit", "category_code", "abroad", "latitude", "longitude")
"""Columns, -1 = not known. amount: hundredths of the currency. latitude, longitude: 1e-5 degrees from the south pole and from 180 W."""
LIMITS: Final = tuple(10**power * first * 100 for power in range(2, 9) for first in (1, 2, 5))
"""Round limits in hundredths: 100, 200, 500, 1,000, ... of the currency."""
JUST_UNDER: Final = 20
"""Within one twentieth below a limit."""
ROUND: Final = 5_000
_PER_DEGREE: Final = 100_000


def is_just_under(amount: int) -> bool:
    """Hundredths. Within 5% below one of LIMITS."""
    return any(limit - limit // JUST_UNDER <= amount < limit for limit in LIMITS)


def category_code(category: str | None) -> int:
    """A merchant category code is its own number; any other word gets a fixed number from 10,000 on."""
    if category is None:
        return -1
    if category.isascii() and category.isdigit() and len(category) <= 4:
        return int(category)
    return 10_000 + int.from_bytes(hashlib.blake2b(category.encode(), digest_size=2).digest())


def is_abroad(country: str | None, billing: str | None) -> int:
    return -1 if country is None or billing is None else int(country != billing)


def position(latitude: float | None, longitude: float | None) -> tuple[int, int]:
    """(-1, -1) unless both are known."""
    if latitude is None or longitude is None or not (math.isfinite(latitude) and math.isfinite(longitude)):
        return -1, -1
    return round((latitude + 90) * _PER_DEGREE), round((longitude + 180) * _PER_DEGREE)


def place_of(latitude: int, longitude: int) -> str | None:
    """The square degree of a position, about 111 km high."""
    return None if latitude < 0 else f"{latitude // _PER_DEGREE}:{longitude // _PER_DEGREE}"
