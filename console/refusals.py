"""What acts refuse, in the reader's language. They say it in English, as the API and the command line do."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from console.i18n import marked, stored
from console.retelling import Sentences, Teller
from console.views.dead_letters import STATES as LETTER_STATES
from console.views.lists import LISTS
from console.views.people import ROLES
from console.views.recorded import retold
from console.views.verdicts import DISPOSITION_REASONS
from console.views.words import ENTITY_TITLES, LABELS, RUN_STATUSES, inside
from core.base.terms import DeadLetterState, DispositionReason, EntityKind, EntityList, Label, Role, RunStatus

_WITH_VALUES: Final = (
    marked("this needs the role %(role)s; yours is %(own)s"),
    marked("there is no queue %(queue)s any more; it can only be discarded"),
    marked("it was %(how)s by %(who)s"),
    marked("this training is %(status)s already"),
    marked("allow and deny for more than %(days)s days, or without an end, need a lead"),
    marked("this %(kind)s is on the %(list)s list already"),
    marked("a view's name has 1 to %(most)s characters"),
    marked("you have a view named %(name)s already"),
    marked("you keep %(most)s views already. Delete one first"),
    marked("choose 1 to %(most)s alerts"),
    marked("there is no model %(model)s"),
    marked("model %(model)s is refused: %(reasons)s"),
    marked("only a candidate can begin to shadow; this model is %(stage)s"),
    marked("%(most)s models shadow already; stop one first"),
    marked("this model does not shadow; it is %(stage)s"),
    marked("this model is %(stage)s"),
    marked("the champion before, %(model)s, reads feature catalogue %(version)s and would not load"),
    marked("%(reason)s is no reason for %(label)s"),
    marked("a password has %(least)s to %(most)s characters"),
    marked("a note has 1 to %(most)s characters"),
    marked("something went wrong on our side. Quote incident %(incident)s"),
)
_WITHOUT: Final = (
    marked("a candidate"),
    marked("a shadow already"),
    marked("the champion"),
    marked("retired"),
    marked("refused already"),
    marked("no reason was recorded"),
    marked("The e-mail address or the password is not right."),
    marked("PostgreSQL does not answer"),
    marked("PostgreSQL does not take work now"),
    marked("PostgreSQL closed the connection"),
    marked("there is no seal yet"),
    marked("every seal there is has been checked"),
    marked("Not Found"),
    marked("Method Not Allowed"),
    marked("Bad Request"),
    marked("Request Entity Too Large"),
)
"""The servers' and the framework's own."""


def _of(kind: type[StrEnum], words: Mapping[Any, str]) -> Teller:
    """Of an enum's value; whatever else stood there stays."""
    return lambda value: inside(words[kind(value)]) if value in set(kind) else stored(value)


_SENTENCES: Final = Sentences(
    _WITH_VALUES,
    {
        "role": _of(Role, ROLES),
        "own": _of(Role, ROLES),
        "status": _of(RunStatus, RUN_STATUSES),
        "list": _of(EntityList, LISTS),
        "kind": _of(EntityKind, ENTITY_TITLES),
        "how": _of(DeadLetterState, LETTER_STATES),
        "label": _of(Label, LABELS),
        "reason": _of(DispositionReason, DISPOSITION_REASONS),
        "reasons": retold,
        "name": str,
        "who": str,
    },
    stored,
)


def told(detail: str) -> str:
    """A sentence, as a person reads it. What no catalogue knows stays as it was said."""
    plain = detail.rstrip(".")
    found = _SENTENCES.told(plain)
    if found is not None:
        return _sentence(found)
    for written in (detail, plain):
        known = stored(written)
        if known != written:
            return _sentence(known)
    return _sentence(detail)


def _sentence(text: str) -> str:
    text = f"{text[:1].upper()}{text[1:]}"
    return text if text.endswith((".", "?", "!")) else f"{text}."
