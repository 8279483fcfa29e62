"""The Lua script's text: the catalogue's constants in front of the sources in lua/."""

import itertools
import struct
from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import Final

from core.base.terms import EntityKind
from models.features.catalogue import (
    CATEGORY_DAYS,
    DAY_S,
    DISTINCT_WINDOWS,
    LABEL_WINDOWS,
    LABELLED,
    LARGEST_IN,
    LIMIT_WINDOWS,
    MEMORY,
    NEAR_HOUR_S,
    PAIRS,
    RISK_DAYS,
    RISKED,
    SPIKE_WINDOWS,
    SUBJECTS,
    WINDOWS,
    Memory,
)

RUN_KEY: Final = "{rf}run"
"""Run id of the server on which the state was last made whole: another one may have lost its newest seconds."""
LETTERS: Final = "camdiyouz"
"""One for each of SUBJECTS, in order; g, k, l, p, q, r and s begin other keys."""
LAYOUT: Final = "2."
"""How a state begins its name that is laid out as the script expects; one of another layout is rebuilt."""
HISTORY_TTL_S: Final = 120 * 86_400
"""Longer than `Memory.forget_s` and a month of late events."""
PAYMENT, LEGITIMATE, FRAUD = 1, 2, 3
ITEM_FORMAT: Final = "<BB16sdddd" + "8s" * len(SUBJECTS)
_SCRIPTS: Final = ("histories", "payments", "labels", "stream")
_TAIL_RECORDS: Final = 60
_TAIL_DAYS: Final = 40
"""Newest records of a history, or days, that are read at once: enough for nearly all payments, and under 1 KB of most, above which
memory is slow to get.
"""


def script_text(memory: Memory = MEMORY) -> str:
    """The Lua source with the catalogue's constants in front: another catalogue or memory is another script."""
    windows = list(WINDOWS)
    pairs = [
        _places([owner, *(other for _, other in of_owner)], SUBJECTS)
        for owner, of_owner in itertools.groupby(PAIRS, key=lambda pair: pair[0])
    ]
    constants = {
        "ITEM_SIZE": struct.calcsize(ITEM_FORMAT),
        "ITEM": "'<BBc16dddd" + "c8" * len(SUBJECTS) + "'",
        "PAYMENT": PAYMENT,
        "FRAUD": FRAUD,
        "LETTERS": _lua([f"'{letter}'" for letter in LETTERS]),
        "ENTITIES": len(EntityKind),
        "CATEGORY": SUBJECTS.index("category") + 1,
        "WINDOWS": _ms(WINDOWS.values()),
        "LARGEST_IN": _places(LARGEST_IN, windows),
        "SPIKE_WINDOWS": _ms(SPIKE_WINDOWS.values()),
        "LIMIT_WINDOWS": _places(LIMIT_WINDOWS, windows),
        "DISTINCT_WINDOWS": _ms(DISTINCT_WINDOWS.values()),
        "LABEL_WINDOWS": _ms(LABEL_WINDOWS.values()),
        "RISK_DAYS": _lua(RISK_DAYS.values()),
        "CATEGORY_DAYS": CATEGORY_DAYS,
        "LABELLED": _places([kind.value for kind in LABELLED], SUBJECTS),
        "RISKED": _places(RISKED, SUBJECTS),
        "PAIRS": _lua(pairs),
        "DAY": DAY_S * 1000,
        "NEAR_HOUR": NEAR_HOUR_S * 1000,
        "HISTORY_TTL": HISTORY_TTL_S,
        "TAIL": _TAIL_RECORDS,
        "DAYS_TAIL": _TAIL_DAYS,
        "RUN": f"'{RUN_KEY}'",
        **_memory_constants(memory),
    }
    header = "".join(f"local {name} = {value}\n" for name, value in constants.items())
    return header + "".join(map(_source, _SCRIPTS))


def ask_text(memory: Memory = MEMORY) -> str:
    """The same script, which then takes nothing: it answers what it would answer, and what is part of the state."""
    return _source("ask_first") + script_text(memory).removesuffix("return answers\n") + _source("ask_last")


def publish_text() -> str:
    """Takes a generation into use."""
    return _source("publish")


def _source(name: str) -> str:
    return files("models.features").joinpath("lua", f"{name}.lua").read_text()


def _memory_constants(memory: Memory) -> dict[str, int]:
    return {
        "FORGET": memory.forget_s * 1000,
        "RETENTION": memory.retention_s * 1000,
        "RETENTION_LABELS": memory.retention_labels_s * 1000,
        "RETENTION_DAYS": memory.retention_days,
        "FRAUD_MEMORY": memory.fraud_memory_s * 1000,
        "MOST_PAYMENTS": memory.most_payments,
        "MOST_LABELS": memory.most_labels,
        "MOST_LATE": memory.most_late,
        "OWN_PAYMENTS": memory.own_payments,
        "KNOWN": memory.known,
        "SPIKE_QUARTERS": memory.spike_quarters,
        "SPIKE_AFTER": memory.spike_after,
        "LABEL_SHARE": memory.label_share,
        "HOME_PAYMENTS": memory.home_payments,
    }


def _lua(values: Iterable[object]) -> str:
    return "{" + ", ".join(map(str, values)) + "}"


def _ms(seconds: Iterable[int]) -> str:
    return _lua(second * 1000 for second in seconds)


def _places(chosen: Iterable[str], among: Sequence[str]) -> str:
    """Lua counts from 1."""
    return _lua(among.index(name) + 1 for name in chosen)
