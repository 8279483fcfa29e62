"""The detail of an audit event on one line. The trail itself keeps it as JSON."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from console.i18n import Words, marked
from console.i18n import gettext as _
from console.views.lists import LISTS
from console.views.people import ROLES
from console.views.recorded import retold
from console.views.settings import DENSITIES, THEMES
from console.views.verdicts import DISPOSITION_REASONS
from console.views.words import ENTITY_TITLES, LABEL_SOURCES, LABELS, OUTCOMES, RUN_STATUSES, STAGES, compact, inside

MOST_CHARACTERS: Final = 60
KEYS: Final = Words(
    {
        "after": marked("after"),
        "again": marked("again"),
        "alert": marked("alert"),
        "artifact": marked("artifact"),
        "at_most": marked("at most"),
        "attempts": marked("attempts"),
        "average_precision": marked("average precision"),
        "batch": marked("batch"),
        "before": marked("before"),
        "claimed_by": marked("claimed by"),
        "compared": marked("compared"),
        "control_probability": marked("chance of the control sample"),
        "count": marked("count"),
        "density": marked("height of rows"),
        "detail": marked("detail"),
        "differing": marked("differing"),
        "email": marked("e-mail address"),
        "entity": marked("entity"),
        "entity_id": marked("entity id"),
        "events": marked("events"),
        "failure": marked("failure"),
        "faults": marked("findings"),
        "features": marked("features"),
        "first": marked("first"),
        "first_seal": marked("first seal"),
        "folder": marked("folder"),
        "format": marked("format"),
        "from": marked("from"),
        "from_seal": marked("from seal"),
        "how": marked("how"),
        "label": marked("label"),
        "language": marked("language"),
        "last": marked("last"),
        "last_seal": marked("last seal"),
        "left": marked("left"),
        "list": marked("list"),
        "made": marked("made"),
        "manifest_sha256": marked("SHA-256 of the manifest"),
        "model": marked("model"),
        "months_ahead": marked("months ahead"),
        "name": marked("name"),
        "outcome": marked("outcome"),
        "payments": marked("payments"),
        "policy": marked("policy"),
        "query": marked("query"),
        "queue": marked("queue"),
        "reason": marked("reason"),
        "removed": marked("removed"),
        "replaced": marked("replaced"),
        "resolved_by": marked("resolved by"),
        "roc_auc": marked("ROC AUC"),
        "role": marked("role"),
        "run_events": marked("events of the run"),
        "run_faults": marked("findings of the run"),
        "score": marked("score"),
        "sessions": marked("sessions"),
        "sessions_ended": marked("sessions ended"),
        "signed_by": marked("signed by"),
        "single_keys": marked("single keys"),
        "source": marked("source"),
        "theme": marked("theme"),
        "time_zone": marked("time zone"),
        "to": marked("to"),
        "transaction": marked("transaction"),
        "version": marked("version"),
        "was": marked("was"),
        "watch": marked("look"),
    }
)
NOT_SHOWN: Final = frozenset({"filters", "found", "reasons", "refusals", "rules"})
"""Lists and groups of values: they stand in the whole detail."""
_OTHERS: Final = Words(
    {
        "complete": marked("complete"),
        "degraded": marked("degraded"),
        "absent": marked("absent"),
        "next": marked("next"),
        "opened": marked("opened"),
        "closed": marked("closed"),
        "updated": marked("updated"),
        "none": marked("none"),
        "scoring again": marked("scoring again"),
    }
)
_VALUES: Final[Mapping[str, tuple[Mapping[Any, str], ...]]] = {
    "alert": (_OTHERS,),
    "density": (DENSITIES,),
    "detail": (STAGES,),
    "entity": (ENTITY_TITLES,),
    "features": (_OTHERS,),
    "how": (_OTHERS,),
    "label": (LABELS,),
    "list": (LISTS,),
    "outcome": (OUTCOMES,),
    "reason": (DISPOSITION_REASONS,),
    "resolved_by": (_OTHERS,),
    "role": (ROLES,),
    "source": (LABEL_SOURCES,),
    "theme": (THEMES,),
    "was": (STAGES, RUN_STATUSES),
}
_SENTENCES: Final[Mapping[str, Callable[[str], str]]] = {"reason": retold, "detail": retold, "failure": retold}


def detail_line(detail: Mapping[str, object]) -> str:
    """`label: fraud, version: 2`: plain values only, without times and hashes, which the full detail shows."""
    plain = {
        key: value
        for key, value in detail.items()
        if isinstance(value, (str, int, float, bool))
        and not key.endswith(("_at", "_sha"))
        and len(str(value)) <= MOST_CHARACTERS
    }
    return ", ".join(f"{KEYS.get(key) or key.replace('_', ' ')}: {_value(key, value)}" for key, value in plain.items())


def _value(key: str, value: object) -> str:
    match value:
        case bool():
            return _("yes") if value else _("no")
        case float():
            return compact(value)
        case str():
            words = next((words[value] for words in _VALUES.get(key, ()) if value in words), "")
            return inside(words) if words else _SENTENCES.get(key, str)(value)
        case _:
            return str(value)
