"""docs/features.md, written from the catalogue: `python -m models.features.page > docs/features.md`. A test holds the two together."""

import sys
from collections.abc import Iterator
from typing import Final

from core.base.terms import Language
from models.features.catalogue import (
    CATALOGUE_VERSION,
    DAY_S,
    FEATURES,
    GROUPS,
    HOUR_S,
    LANGUAGES,
    MEMORY,
    PAIRS,
    RISKED,
    Feature,
)

_UNITS: Final = {
    "payments": "payments",
    "hundredths": "hundredths of the currency",
    "s": "seconds",
    "times": "times",
    "deviations": "standard deviations",
    "flag": "0 or 1",
    "hour": "hours, 0 to 24",
    "weekday": "0 (Monday) to 6",
    "share": "0 to 1",
    "count": "count",
    "km": "km",
    "km/h": "km/h",
    "code": "code",
}


def page() -> str:
    return "\n".join([*_head(), *(line for group in GROUPS for line in _group(group)), *_memory()]) + "\n"


def _head() -> Iterator[str]:
    yield "# Features"
    yield ""
    yield "<!-- Written by `python -m models.features.page`; do not edit. -->"
    yield ""
    yield f"Catalogue version {CATALOGUE_VERSION}: {len(FEATURES)} features in {len(GROUPS)} groups. Each is a function of event time and of label"
    yield "arrival, never of the clock on the wall: a replay gives the values that were scored. `models/features/online.py` states the rule;"
    yield "`models/features/catalogue.py` is the one place that defines them. A feature that is not known is empty (NaN), never zero."
    yield ""


def _group(group: str) -> Iterator[str]:
    yield f"## {GROUPS[group][0].upper()}{GROUPS[group][1:]}"
    yield ""
    yield "| feature | of | window | unit | what it is | in words (en) | in words (pt-BR) | since |"
    yield "|---|---|---|---|---|---|---|---|"
    for feature in FEATURES:
        if feature.group == group:
            yield _row(feature)
    yield ""


def _row(feature: Feature) -> str:
    sentences = [
        feature.said[language].sentence if language in LANGUAGES else "" for language in (Language.EN, Language.PT_BR)
    ]
    cells = (
        f"`{feature.name}`",
        feature.entity.value if feature.entity else "payment",
        _span(feature.window_s),
        _UNITS[feature.unit],
        feature.title,
        *sentences,
        str(feature.version),
    )
    return f"| {' | '.join(cells)} |"


def _span(window_s: int | None) -> str:
    if window_s is None:
        return ""
    return f"{window_s // HOUR_S} h" if window_s <= DAY_S else f"{window_s // DAY_S} d"


def _memory() -> Iterator[str]:
    """Upper bounds from the sizes of the records in `lua/*.lua`."""
    days = MEMORY.retention_s // DAY_S
    yield "## Memory"
    yield ""
    yield "What Redis keeps is bounded for each entity, whatever it does. Records are dropped by halves, so twice the limit is the most."
    yield ""
    yield "| what | bytes a record | records kept | most, kB |"
    yield "|---|---|---|---|"
    for what, size, most, kept in (
        ("payments of a customer", 32, MEMORY.most_payments, f"{days} days, at most {MEMORY.most_payments:,}"),
        ("payments of a card, merchant, device, address, or of a customer in a category", 16, MEMORY.most_payments,
         f"{days} days, at most {MEMORY.most_payments:,}"),
        ("labels of a customer, merchant or device", 40, MEMORY.most_labels,
         f"{MEMORY.retention_labels_s // DAY_S} days, at most {MEMORY.most_labels:,}"),
    ):  # fmt: skip
        yield f"| {what} | {size} | {kept} | {2 * most * size / 1000:,.0f} |"
    yield f"| each of {len(PAIRS)} lists of whom an owner was seen with | 18 | the {MEMORY.known} latest | {MEMORY.known * 18 / 1000:,.1f} |"
    yield f"| labels by day of a {', '.join(RISKED)}; payments by day of a category | 24 | {MEMORY.retention_days} days | {4 * MEMORY.retention_days * 24 / 1000:,.1f} |"
    yield "| where a customer was | 48 | 1 | 0.05 |"
    yield "| readings of a payment, for a redelivery | about 500 | 9 days | 0.5 a payment |"
    yield ""
    yield f"An entity that is silent for {MEMORY.forget_s // DAY_S} days is new again. Keys expire by themselves after 120 days without a change."


if __name__ == "__main__":
    sys.stdout.write(page())
