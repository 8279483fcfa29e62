"""What of the audit trail is asked for: the filters of its page and of its export, read alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from console.asked import read_days
from console.i18n import gettext as _
from core.base.errors import InvalidInput
from core.base.terms import Action, ActorType, Result
from core.infra.postgres import UnitOfWork
from core.stores import casework
from core.stores.ledger import AuditFilter

FIELDS: Final = ("action", "actor_type", "actor_id", "object", "result", "since", "until")
_LONG: Final = 200


@dataclass(frozen=True)
class Asked:
    """`given`: the fields as they were filled in. subject: (type, id) when a single object is asked for."""

    given: Mapping[str, str]
    chosen: AuditFilter
    subject: tuple[str, str] | None


def read_asked(query: Mapping[str, str]) -> Asked:
    """`object` is `alert:<id>`, or a type alone. Raises InvalidInput in words."""
    given = {name: query.get(name, "").strip()[:_LONG] for name in FIELDS}
    old_kind, old_ident = query.get("subject_type", "").strip(), query.get("subject_id", "").strip()
    if not given["object"] and (old_kind or old_ident):
        given["object"] = f"{old_kind}:{old_ident}" if old_ident else old_kind
    for name, known, problem in (
        ("action", set(Action), _("The trail knows no such act.")),
        ("actor_type", set(ActorType), _("The trail knows no such type of actor.")),
        ("result", set(Result), _("The trail knows no such result.")),
    ):
        if given[name] and given[name] not in known:
            raise InvalidInput(problem)
    kind, _colon, ident = given["object"].partition(":")
    since, until = read_days(given["since"], given["until"])
    chosen = AuditFilter(
        action=given["action"],
        actor_type=given["actor_type"],
        actor_id=given["actor_id"],
        subject_type=kind,
        subject_id=ident,
        result=given["result"],
        since=since,
        until=until,
    )
    return Asked(given, chosen, (kind, ident) if kind and ident else None)


async def with_payment(work: UnitOfWork, asked: Asked) -> AuditFilter:
    """An alert's timeline has its payment's events as well: it was accepted, decided and labelled under its own name."""
    if asked.subject is None or asked.subject[0] != "alert":
        return asked.chosen
    try:
        alert = await casework.alert(work, UUID(asked.subject[1]))
    except ValueError:
        return asked.chosen
    if alert is None:
        return asked.chosen
    return AuditFilter(**{**vars(asked.chosen), "also": ("transaction", str(alert.transaction_uid))})
