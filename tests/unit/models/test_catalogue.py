from pathlib import Path
from string import Formatter

import numpy as np

from models.features.catalogue import FEATURES, GROUPS, MEMORY, NAMES, READINGS, WINDOWS
from models.features.facts import FACTS
from models.features.page import page
from models.features.script import HISTORY_TTL_S, script_text
from models.features.vector import FloatMatrix, assemble


def facts(*amounts: int) -> FloatMatrix:
    """Nothing known but the amounts."""
    rows = np.full((len(amounts), len(FACTS)), -1.0)
    rows[:, FACTS.index("amount")] = amounts
    rows[:, FACTS.index("just_under_limit")] = 0
    return rows


def test_names_differ_and_say_what_they_are() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert len(set(READINGS)) == len(READINGS)
    titles = [feature.title for feature in FEATURES]
    assert len(set(titles)) == len(titles)


def test_every_feature_can_be_told_in_words() -> None:
    for feature in FEATURES:
        assert feature.group in GROUPS
        fields = [field for _, field, _, _ in Formatter().parse(feature.sentence) if field is not None]
        assert fields == ([] if feature.unit in ("flag", "code") else ["value"]), feature.name
        assert feature.unit != "flag" or feature.when_zero
        for text in (feature.sentence, feature.when_zero or "", feature.when_unknown):
            assert "_" not in text.replace("{value}", "")


def test_every_group_has_features() -> None:
    assert {feature.group for feature in FEATURES} == set(GROUPS)


def test_memory_limits_fit_together() -> None:
    assert MEMORY.retention_s > max(WINDOWS.values())
    assert MEMORY.most_late < MEMORY.most_payments, (
        "a late payment must never be sorted in below the records that windows see"
    )
    assert MEMORY.forget_s + max(WINDOWS.values()) <= HISTORY_TTL_S, "a key must outlive what it may still say"


def test_the_script_carries_the_catalogue() -> None:
    script = script_text()
    assert "local WINDOWS = {3600000, 21600000, 86400000, 604800000, 2592000000}" in script
    assert f"local FORGET = {MEMORY.forget_s * 1000}" in script


def test_unknown_readings_become_unknown_features() -> None:
    matrix = assemble(np.full((1, len(READINGS)), -1.0), np.array([0]), facts(500))
    known = {name for name, value in zip(NAMES, matrix[0], strict=True) if not np.isnan(value)}
    assert known == {"amount", "amount_round", "amount_just_under_limit", "hour", "night", "weekend", "weekday"}


def test_time_features() -> None:
    saturday_0330 = 1_600_486_200_000 + 3 * 3_600_000 + 0  # 2020-09-19 is a Saturday
    matrix = assemble(np.full((2, len(READINGS)), -1.0), np.array([saturday_0330, 0]), facts(1, 1))
    first, epoch = (dict(zip(NAMES, row, strict=True)) for row in matrix)
    assert (first["hour"], first["night"], first["weekend"], first["weekday"]) == (6.5, 1, 1, 5)
    assert (epoch["hour"], epoch["night"], epoch["weekend"], epoch["weekday"]) == (0, 1, 0, 3)


def test_the_page_of_features_is_the_catalogue() -> None:
    written = (Path(__file__).parents[3] / "docs" / "features.md").read_text(encoding="utf-8")
    assert written == page(), "write it anew: python -m models.features.page > docs/features.md"
