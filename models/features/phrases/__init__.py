"""What features are called and how they are told, by language. Each language's module has the same functions."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Phrase:
    """`sentence` reads as a clause with {value} in words; `when_zero` and `when_unknown` replace it where a number would read badly."""

    title: str
    sentence: str
    when_zero: str | None = None
    when_unknown: str = ""


SUBJECTS: Final = ("customer", "card", "merchant", "device", "ip", "category", "country", "currency", "place")
"""What a payment names and whose past is kept: the entities, then the attributes."""
