"""Amounts: decimals at the edge, integers in minor units inside (floats break equality)."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

EXPONENTS: Final[Mapping[int, tuple[str, ...]]] = {
    0: (
        "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF",
    ),
    3: ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"),
    4: ("CLF", "UYW"),
}  # fmt: skip
"""Currencies by their decimal digits where those are not two."""
_EXPONENT_OF: Final = {code: digits for digits, codes in EXPONENTS.items() for code in codes}

MAX_MINOR: Final = 10**15
"""Largest amount taken, in minor units; sums of a month of them stay exact in a float64 (< 2**53)."""


def exponent_of(currency: str) -> int:
    """Decimal digits of an ISO 4217 currency: 2 unless the standard says otherwise."""
    return _EXPONENT_OF.get(currency, 2)


def to_minor(amount: Decimal, currency: str) -> int:
    """Minor units of `amount`. Raises ValueError when it has more digits than the currency or is out of range."""
    scaled = amount.scaleb(exponent_of(currency))
    minor = int(scaled)
    if scaled != minor:
        raise ValueError(f"{currency} has {exponent_of(currency)} decimal digits")
    if not 0 <= minor <= MAX_MINOR:
        raise ValueError("the amount must be between 0 and 10^15 minor units")
    return minor


def to_hundredths(minor: int, currency: str) -> int:
    """Minor units as hundredths, so that 900 yen and 900.000 dinars are as many as 900.00 euros; further decimals are cut."""
    scale = int(10 ** abs(2 - exponent_of(currency)))
    return minor * scale if exponent_of(currency) <= 2 else minor // scale


def from_hundredths(hundredths: float, currency: str) -> int:
    """Nearest minor units."""
    return round(hundredths * 10.0 ** (exponent_of(currency) - 2))


def to_major(minor: int, currency: str) -> Decimal:
    """The decimal amount of `minor` units."""
    return Decimal(minor).scaleb(-exponent_of(currency))
