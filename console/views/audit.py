"""Audit events in words."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from console.i18n import Words, marked
from console.i18n import gettext as _
from console.views.details import detail_line
from console.views.words import Moment, ago, count, inside, middle, moment
from core.acts.audit import recomputed_leaf
from core.base.terms import Action, ActorType, Result
from core.stores.seals import Unsealed
from core.tables.ledger import AuditCheckpoint, AuditEvent, AuditSeal

ACTIONS: Final = Words(
    {
        Action.TRANSACTIONS_ACCEPT: marked("Accepted transactions"),
        Action.TRANSACTION_CONFLICT: marked("Refused a transaction whose id was taken"),
        Action.DECISION_MAKE: marked("Decided"),
        Action.DECISION_RESCORE: marked("Decided again"),
        Action.DECISIONS_EXPORT: marked("Exported decisions"),
        Action.ALERT_OPEN: marked("Opened the alert"),
        Action.ALERT_VIEW: marked("Looked at the alert"),
        Action.ALERT_DOSSIER: marked("Took the case dossier"),
        Action.ALERT_CLAIM: marked("Claimed the alert"),
        Action.ALERT_RELEASE: marked("Released the alert"),
        Action.ALERT_HAND_OVER: marked("Handed the alert over"),
        Action.ALERT_CLOSE: marked("Closed the alert"),
        Action.ALERT_UNDO: marked("Took the decision back"),
        Action.ALERT_REOPEN: marked("Opened the alert again"),
        Action.NOTE_ADD: marked("Added a note"),
        Action.LABEL_RECORD: marked("Recorded a label"),
        Action.LABEL_WITHDRAW: marked("Withdrew a label"),
        Action.MODEL_TRAIN_REQUEST: marked("Asked for a training"),
        Action.MODEL_TRAIN_PROPOSE: marked("Proposed a training"),
        Action.MODEL_TRAIN_CANCEL: marked("Asked to stop a training"),
        Action.MODEL_REGISTER: marked("Registered a model"),
        Action.MODEL_SHADOW_START: marked("Let a model shadow"),
        Action.MODEL_SHADOW_STOP: marked("Ended a shadow"),
        Action.MODEL_PROMOTE: marked("Promoted a model"),
        Action.MODEL_ROLLBACK: marked("Took a promotion back"),
        Action.MODEL_REFUSE: marked("Refused a model"),
        Action.MODEL_LOAD: marked("Loaded a model"),
        Action.MODEL_WATCH_FORGET: marked("Removed old looks at models"),
        Action.POLICY_PUBLISH: marked("Published a policy"),
        Action.SIGN_IN: marked("Signed in"),
        Action.SIGN_OUT: marked("Signed out"),
        Action.SESSION_END: marked("Ended other sessions"),
        Action.PASSWORD_CHANGE: marked("Changed the password"),
        Action.PROFILE_CHANGE: marked("Changed their settings"),
        Action.ACCESS_DENY: marked("Was denied access"),
        Action.USER_ADD: marked("Added a user"),
        Action.KEY_ADD: marked("Added an API key"),
        Action.KEY_REVOKE: marked("Revoked an API key"),
        Action.SOURCE_ADD: marked("Added a source"),
        Action.DEAD_LETTER_STORE: marked("Stored a dead letter"),
        Action.DEAD_LETTER_REDRIVE: marked("Redrove a dead letter"),
        Action.DEAD_LETTER_DISCARD: marked("Discarded a dead letter"),
        Action.PARTITIONS_MAKE: marked("Made partitions"),
        Action.FEATURES_REBUILD: marked("Rebuilt the features"),
        Action.FEATURES_DIFFER: marked("Found features that differ"),
        Action.AUDIT_EXPORT: marked("Exported the audit trail"),
        Action.AUDIT_VERIFY: marked("Checked the audit trail"),
        Action.HISTORY_IMPORT: marked("Imported history"),
        Action.VIEW_SAVE: marked("Saved a view of the queue"),
        Action.VIEW_RENAME: marked("Renamed a view of the queue"),
        Action.VIEW_SHARE: marked("Shared a view of the queue"),
        Action.VIEW_UNSHARE: marked("Stopped sharing a view of the queue"),
        Action.VIEW_DELETE: marked("Deleted a view of the queue"),
        Action.LIST_ADD: marked("Put an entry on a list"),
        Action.LIST_EXTEND: marked("Extended a list entry"),
        Action.LIST_END: marked("Ended a list entry"),
    }
)
RESULTS: Final = Words({Result.DONE: marked("Done"), Result.REFUSED: marked("Refused")})
ACTOR_TYPES: Final = Words(
    {ActorType.USER: marked("User"), ActorType.API_KEY: marked("API key"), ActorType.SYSTEM: marked("System")}
)


OBJECTS: Final = Words(
    {
        "alert": marked("Alert"),
        "transaction": marked("Payment"),
        "model": marked("Model"),
        "training_run": marked("Training"),
        "dead_letter": marked("Dead letter"),
        "user": marked("User"),
        "source": marked("Source"),
        "source_key": marked("API key"),
        "policy": marked("Policy"),
        "list_entry": marked("List entry"),
        "audit_seal": marked("Seal"),
        "audit_event": marked("Audit events"),
        "database": marked("Database"),
        "features": marked("Features"),
        "view": marked("View of the queue"),
        "api_key": marked("API key"),
    }
)


def object_word(kind: str) -> str:
    return OBJECTS.get(kind) or kind.replace("_", " ").capitalize()


@dataclass(frozen=True)
class AuditRow:
    id: int
    at: Moment
    actor: str
    actor_title: str
    action: str
    action_key: str
    subject: str
    subject_short: str
    subject_href: str
    """The subject's own page; empty when it has none."""
    timeline_href: str
    result: str
    refused: bool
    detail: str
    """Indented JSON; empty when there is none."""
    summary: str
    """The detail on one line, for lists."""
    intact: bool
    """The stored hash fits the stored columns."""
    seal: str
    """Number of the seal that closes over it; empty while it waits for one."""
    proof_href: str


@dataclass(frozen=True)
class Sealing:
    """The state of sealing in words. `behind` is empty when it keeps up."""

    seal: str
    at: Moment | None
    waiting: str
    checkpoint: str
    behind: str


BEHIND_S: Final = 30.0


def sealing(seal: AuditSeal | None, checkpoint: AuditCheckpoint | None, unsealed: Unsealed, now: datetime) -> Sealing:
    waits = ago(timedelta(seconds=unsealed.seconds))
    behind = unsealed.seconds > BEHIND_S
    if unsealed.id is None:
        waiting = _("Nothing waits")
    else:
        waiting = _("The oldest waits %(time)s", time=waits) if behind else _("Less than half a minute")
    return Sealing(
        seal=count(seal.n) if seal else "",
        at=moment(seal.at, now) if seal else None,
        waiting=waiting,
        checkpoint=_("%(number)s seals, root %(root)s", number=count(checkpoint.size), root=checkpoint.root.hex()[:12])
        if checkpoint
        else _("None yet"),
        behind=_(
            "Sealing is behind: event %(number)s has waited %(time)s. Does the job seal run?",
            number=unsealed.id,
            time=waits,
        )
        if behind
        else "",
    )


def actor_name(actor_type: str, actor_id: str, names: Mapping[UUID, str]) -> str:
    if actor_type == ActorType.USER.value:
        return names.get(UUID(actor_id), actor_id) if _is_uuid(actor_id) else actor_id
    return f"Ronda ({actor_id})" if actor_type == ActorType.SYSTEM.value else _("API key %(key)s", key=actor_id)


def user_ids(actors: Iterable[tuple[str, str]]) -> list[UUID]:
    """The users among (actor type, actor id) pairs."""
    return list({UUID(ident) for kind, ident in actors if kind == ActorType.USER.value and _is_uuid(ident)})


def page_of(subject_type: str, subject_id: str) -> str:
    match subject_type:
        case "alert":
            return f"/alerts/{subject_id}"
        case "transaction":
            return f"/transactions/{subject_id}"
        case "dead_letter":
            return f"/dead-letters/{subject_id}"
        case "model" | "training_run":
            return "/models"
        case _:
            return ""


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def audit_row(row: AuditEvent, names: Mapping[UUID, str], now: datetime, seals: Mapping[int, int]) -> AuditRow:
    detail = json.loads(row.detail) if row.detail else {}
    kind = inside(object_word(row.subject_type))
    linked = row.subject_type not in {"alert", "dead_letter", "transaction"} or _is_uuid(row.subject_id)
    return AuditRow(
        id=row.id or 0,
        at=moment(row.at, now),
        actor=actor_name(row.actor_type, row.actor_id, names),
        actor_title=f"{row.actor_type}:{row.actor_id}",
        action=ACTIONS[Action(row.action)],
        action_key=row.action,
        subject=f"{kind} {row.subject_id}",
        subject_short=f"{kind} {middle(row.subject_id)}",
        subject_href=page_of(row.subject_type, row.subject_id) if linked else "",
        timeline_href=trail_href({"object": f"{row.subject_type}:{row.subject_id}"}),
        result=RESULTS[Result(row.result)],
        refused=row.result == Result.REFUSED.value,
        detail=json.dumps(detail, indent=2, ensure_ascii=False, sort_keys=True) if detail else "",
        summary=detail_line(detail),
        intact=recomputed_leaf(row) == row.leaf,
        seal=str(seals.get(row.xid, "")),
        proof_href=f"/audit/{row.event_id}/proof",
    )


def trail_href(given: Mapping[str, str], *, before: str = "") -> str:
    query = {name: value for name, value in {**given, "before": before}.items() if value}
    return f"/audit?{urlencode(query)}" if query else "/audit"
