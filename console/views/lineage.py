"""Where a model comes from: JSON of any depth as titles and values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from console.i18n import Words, marked
from console.i18n import gettext as _
from console.views.recorded import retold
from console.views.words import LABEL_SOURCES, LABELS, compact, inside, middle, minute

_LISTED: Final = 8
"""Longer lists are counted; the JSON holds them."""
_ORDER: Final = ("data", "labels", "slices", "train", "calibration", "test", "libraries")
_VERBATIM: Final = ("libraries", "options", "chosen")
"""Groups whose keys are names that are looked up elsewhere: they stand as they are written there."""
_FOLDED: Final = ("options", "chosen")
_DIGITS: Final = 19
"""Of longer words, such as hashes, both ends are shown."""
TITLES: Final = Words(
    {
        "alerts": marked("Alerts"),
        "asked": marked("Asked for"),
        "average_precision": marked("Average precision"),
        "by_source": marked("By source"),
        "calibration": marked("Calibration"),
        "candidate": marked("Candidate"),
        "catalogue_version": marked("Catalogue version"),
        "chosen": marked("Chosen"),
        "code_sha256": marked("Code SHA-256"),
        "code_version": marked("Code version"),
        "control_drawn": marked("Control sample drawn"),
        "control_frauds": marked("Frauds in the control sample"),
        "control_labelled": marked("Control sample labelled"),
        "data": marked("Data"),
        "dataset_sha256": marked("Dataset SHA-256"),
        "feature_share": marked("Feature share"),
        "fraud_weight": marked("Fraud weight"),
        "frauds": marked("Frauds"),
        "frauds_told": marked("Frauds told without a look"),
        "from": marked("From"),
        "iterations": marked("Iterations"),
        "l2": marked("L2"),
        "labelled": marked("Labelled"),
        "labels": marked("Labels"),
        "learning_rate": marked("Learning rate"),
        "least_in_leaf": marked("Least in leaf"),
        "leaves": marked("Leaves"),
        "legitimate": marked("Legitimate"),
        "libraries": marked("Libraries"),
        "logged_vectors": marked("Logged vectors"),
        "missed_fraud_rate": marked("Missed fraud rate"),
        "missed_fraud_rate_error": marked("Missed fraud rate, standard error"),
        "options": marked("Options"),
        "payments": marked("Payments"),
        "reported_until": marked("Reported until"),
        "recall_at_review": marked("Recall at review"),
        "replayed_vectors": marked("Replayed vectors"),
        "round": marked("Round"),
        "slices": marked("Slices"),
        "test": marked("Test"),
        "train": marked("Training"),
        "until": marked("Until"),
        "used": marked("Used"),
        "why": marked("Why"),
    }
)


@dataclass(frozen=True)
class Fact:
    """verbatim: the title is a name that is looked up elsewhere."""

    title: str
    value: str
    note: str = ""
    verbatim: bool = False


@dataclass(frozen=True)
class LineagePart:
    """folded: settings in full, to be looked up, not read: their title is the way to them."""

    title: str
    facts: list[Fact]
    folded: bool = False


def lineage(found: Mapping[str, Any], title: str = "", group: str = "") -> list[LineagePart]:
    """Single values under `title`, then each group of values under its own. group: the key of the outermost one."""
    verbatim, folded = group in _VERBATIM, group in _FOLDED
    single = [
        Fact(key if verbatim else titled(key), plain(value), verbatim=verbatim)
        for key, value in found.items()
        if not isinstance(value, Mapping)
    ]
    parts = [LineagePart(title or _("In short"), single, folded)] if single else []
    for key in sorted(found, key=_rank):
        if isinstance(found[key], Mapping):
            parts += lineage(found[key], _below(title, key, group or key), group or key)
    return parts


def _below(title: str, key: str, group: str) -> str:
    if group in _FOLDED:
        return f"{title}.{key}" if title else key
    return f"{title}: {inside(titled(key))}" if title else titled(key)


def _rank(key: str) -> tuple[int, str]:
    """PostgreSQL keeps no order of keys: what a person asks first comes first."""
    return (_ORDER.index(key) if key in _ORDER else len(_ORDER), key)


def titled(key: str) -> str:
    """Also of label sources and labels, by which labels are counted."""
    known = TITLES.get(key) or LABEL_SOURCES.get(key) or LABELS.get(key)  # type: ignore[call-overload]
    return str(known or key.replace("_", " ").capitalize())


def plain(value: Any) -> str:
    """A JSON value in words; times as people write them."""
    match value:
        case None:
            return _("none")
        case bool():
            return _("yes") if value else _("no")
        case int() | float():
            return compact(value)
        case list() | tuple():
            if len(value) > _LISTED or any(isinstance(part, Mapping) for part in value):
                return _("%(count)s entries", count=len(value))
            return ", ".join(plain(part) for part in value) or _("none")
        case Mapping():
            return _("%(count)s entries", count=len(value))
        case _:
            return _time(str(value))


def _time(text: str) -> str:
    if len(text) < 19 or text[10:11] != "T":
        return retold(text) if " " in text else middle(text, _DIGITS)
    try:
        return minute(datetime.fromisoformat(text))
    except ValueError:
        return text
