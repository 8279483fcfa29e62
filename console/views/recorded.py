"""What jobs and models write in English into the record, as the reader's language tells it. The record stays as it was written."""

import re
from collections.abc import Iterator
from datetime import date
from typing import Final

from console.i18n import Words, marked, stored
from console.i18n import gettext as _
from console.retelling import Sentences
from console.views.features import title_of, with_titles
from console.views.sentences import DEAD, FINDINGS, GATES, REASONS, REFUSED, SCHEMES, STEPS, WATCHED
from console.views.slices import SEGMENTS, segment_name
from console.views.words import day_month, digits, span

_NAMES: Final = Words(
    {
        "enough_evidence": marked("Enough evidence"),
        "ranks_fraud_first": marked("Ranks fraud first"),
        "calibrated": marked("Calibrated"),
        "no_leaking_feature": marked("No leaking feature"),
        "fast_enough": marked("Fast enough"),
        "not_worse_than_champion": marked("Not worse than champion"),
        "not_worse_calibrated": marked("Not worse calibrated"),
        "not_worse_in_any_segment": marked("Not worse in any segment"),
    }
)
"""Of gates."""
_SLICES: Final = Words(
    {"training": marked("training"), "calibration": marked("calibration"), "test": marked("test")},
)
_RECORDS: Final = Words(
    {
        "event": marked("event"),
        "seal": marked("seal"),
        "checkpoint": marked("checkpoint"),
        "anchor": marked("anchor"),
    }
)
_SUMS: Final = Words(
    {"golden payments": marked("golden payments"), "golden anomalies": marked("golden anomalies")},
)
_NUMBER: Final = re.compile(r"(?<![\w.])[+-]?\d[\d,]*(?:\.\d+)?(?![\w.]\w)")
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_BOUNDS: Final = re.compile(r"\[([^,\]]+), ([^\]]+)\]")


def gate_name(name: str) -> str:
    return _NAMES.get(name) or name.replace("_", " ").capitalize()


def retold(text: str) -> str:
    """One sentence or several with `; ` between. What is no sentence of ours stays, with the titles of the features it names."""
    whole = _SENTENCES.told(text)
    return "; ".join(_each(text)) if whole is None else whole


def _each(text: str) -> Iterator[str]:
    """Each the shortest piece that is a sentence: some hold a semicolon themselves."""
    parts = text.split("; ")
    while parts:
        pieces = (("; ".join(parts[:number]), number) for number in range(1, len(parts) + 1))
        told = next(((said, number) for piece, number in pieces if (said := _SENTENCES.told(piece))), None)
        words, number = told or (with_titles(stored(parts[0])), 1)
        yield words
        parts = parts[number:]


def _value(text: str) -> str:
    """`0.412 [0.380, 0.444]`, `2026-11-23`, `35%` as the reader writes them."""
    if _DAY.fullmatch(text):
        found = date.fromisoformat(text)
        return f"{day_month(found)} {found.year}"
    bounds = _BOUNDS.search(text)
    if bounds:
        return f"{_value(text[: bounds.start()])}({span(_value(bounds[1]), _value(bounds[2]))})"
    return _NUMBER.sub(lambda number: digits(number[0]), stored(text))


def _feature(name: str) -> str:
    return f"“{title_of(name)}”"


def _features(text: str) -> str:
    """`a, b, c and 4 more`."""
    names, _and, more = text.partition(" and ")
    told = ", ".join(_feature(name) for name in names.split(", "))
    return " ".join((told, _("and %(number)s more", number=_value(more.removesuffix(" more"))))) if more else told


def _segment(text: str) -> str:
    """`ecommerce (channel)`."""
    name, _open, by = text.rpartition(" (")
    by = by.rstrip(")")
    return f"{segment_name(name)} ({SEGMENTS[by]})" if by in SEGMENTS else text


def _all(text: str) -> str:
    return "; ".join(_each(text))


_SENTENCES: Final = Sentences(
    [*STEPS, *GATES, *WATCHED, *SCHEMES, *REFUSED, *DEAD, *REASONS, *FINDINGS],
    {
        "error": str,
        "kind": str,
        "artifact": str,
        "place": str,
        "sums": lambda text: _SUMS.get(text) or text,
        "queue": str,
        "failure": retold,
        "why": retold,
        "record": lambda text: _RECORDS.get(text) or text,
        "slice": lambda text: _SLICES.get(text) or text,
        "reasons": _all,
        "suspects": _all,
        "segments": _all,
        "segment": _segment,
        "feature": _feature,
        "features": _features,
    },
    _value,
)
