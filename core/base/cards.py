"""Card numbers, which are never taken in and never shown."""

import re
from typing import Final

_DIGIT_RUN: Final = re.compile(r"(?<![0-9A-Za-z])(?:[0-9][ -]?){12,18}[0-9](?![0-9A-Za-z])")
_LONG_NUMBER: Final = re.compile(r"[0-9](?:[ -]?[0-9]){12,}")
_CARD_PREFIX: Final = re.compile(r"^(?:3[0-9]|4|5[0-9]|6[0-9]|2[2-7])")
HIDDEN: Final = "[card number]"


def looks_like_card_number(value: str) -> bool:
    """13 to 19 digits, perhaps spaced, that begin like a payment card and pass the Luhn check."""
    return any(_is_card_number(run) for run in _DIGIT_RUN.findall(value))


def without_card_numbers(value: str) -> str:
    return _DIGIT_RUN.sub(lambda run: HIDDEN if _is_card_number(run[0]) else run[0], value)


def without_long_numbers(value: str) -> str:
    """For text that is not known to be cut where its values are: any 13 digits or more could hold a card number."""
    return _LONG_NUMBER.sub("[digits]", value)


def _is_card_number(run: str) -> bool:
    digits = re.sub(r"[ -]", "", run)
    return bool(_CARD_PREFIX.match(digits)) and _luhn(digits)


def _luhn(digits: str) -> bool:
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    return sum(number - 9 if number > 9 else number for number in doubled) % 10 == 0
