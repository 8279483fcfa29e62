"""Audit events in words."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from console.views.words import Moment, ago, compact, middle, moment
from core.acts.audit import recomputed_leaf
from core.base.terms import Action, ActorType, Result
from core.stores.ledger import AuditFilter
from core.stores.seals import Unsealed
from core.tables.ledger import AuditCheckpoint, AuditEvent, AuditSeal

ACTIONS: Final = {
    Action.TRANSACTIONS_ACCEPT: "Accepted transactions",
    Action.TRANSACTION_CONFLICT: "Refused a transaction whose id was taken",
    Action.DECISION_MAKE: "Decided",
    Action.DECISION_RESCORE: "Decided again",
    Action.DECISIONS_EXPORT: "Exported decisions",
    Action.ALERT_OPEN: "Opened the alert",
    Action.ALERT_VIEW: "Looked at the alert",
    Action.ALERT_CLAIM: "Claimed the alert",
    Action.ALERT_RELEASE: "Released the alert",
    Action.ALERT_CLOSE: "Closed the alert",
    Action.NOTE_ADD: "Added a note",
    Action.LABEL_RECORD: "Recorded a label",
    Action.MODEL_TRAIN_REQUEST: "Asked for a training",
    Action.MODEL_TRAIN_PROPOSE: "Proposed a training",
    Action.MODEL_TRAIN_CANCEL: "Asked to stop a training",
    Action.MODEL_REGISTER: "Registered a model",
    Action.MODEL_SHADOW_START: "Let a model shadow",
    Action.MODEL_SHADOW_STOP: "Ended a shadow",
    Action.MODEL_PROMOTE: "Promoted a model",
    Action.MODEL_ROLLBACK: "Took a promotion back",
    Action.MODEL_REFUSE: "Refused a model",
    Action.MODEL_LOAD: "Loaded a model",
    Action.POLICY_PUBLISH: "Published a policy",
    Action.SIGN_IN: "Signed in",
    Action.SIGN_OUT: "Signed out",
    Action.SESSION_END: "Ended other sessions",
    Action.PASSWORD_CHANGE: "Changed the password",
    Action.PROFILE_CHANGE: "Changed their settings",
    Action.ACCESS_DENY: "Was denied access",
    Action.USER_ADD: "Added a user",
    Action.KEY_ADD: "Added an API key",
    Action.KEY_REVOKE: "Revoked an API key",
    Action.SOURCE_ADD: "Added a source",
    Action.DEAD_LETTER_STORE: "Stored a dead letter",
    Action.DEAD_LETTER_REDRIVE: "Redrove a dead letter",
    Action.DEAD_LETTER_DISCARD: "Discarded a dead letter",
    Action.PARTITIONS_MAKE: "Made partitions",
    Action.FEATURES_REBUILD: "Rebuilt the features",
    Action.FEATURES_DIFFER: "Found features that differ",
    Action.AUDIT_EXPORT: "Exported the audit trail",
    Action.HISTORY_IMPORT: "Imported history",
    Action.LIST_ADD: "Put an entry on a list",
    Action.LIST_EXTEND: "Extended a list entry",
    Action.LIST_END: "Ended a list entry",
}
RESULTS: Final = {Result.DONE: "Done", Result.REFUSED: "Refused"}
ACTOR_TYPES: Final = {ActorType.USER: "User", ActorType.API_KEY: "API key", ActorType.SYSTEM: "System"}


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
    return Sealing(
        seal=f"{seal.n:,}" if seal else "",
        at=moment(seal.at, now) if seal else None,
        waiting="Nothing waits"
        if unsealed.id is None
        else f"The oldest waits {waits}"
        if behind
        else "Less than half a minute",
        checkpoint=f"{checkpoint.size:,} seals, root {checkpoint.root.hex()[:12]}" if checkpoint else "None yet",
        behind=f"Sealing is behind: event {unsealed.id} has waited {waits}. Does the job seal run?" if behind else "",
    )


def actor_name(actor_type: str, actor_id: str, names: Mapping[UUID, str]) -> str:
    if actor_type == ActorType.USER.value:
        return names.get(UUID(actor_id), actor_id) if _is_uuid(actor_id) else actor_id
    return f"Ronda ({actor_id})" if actor_type == ActorType.SYSTEM.value else f"API key {actor_id}"


def user_ids(actors: Iterable[tuple[str, str]]) -> list[UUID]:
    """The users among (actor type, actor id) pairs."""
    return list({UUID(ident) for kind, ident in actors if kind == ActorType.USER.value and _is_uuid(ident)})


def _page_of(subject_type: str, subject_id: str) -> str:
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
    linked = row.subject_type not in {"alert", "dead_letter", "transaction"} or _is_uuid(row.subject_id)
    return AuditRow(
        id=row.id or 0,
        at=moment(row.at, now),
        actor=actor_name(row.actor_type, row.actor_id, names),
        actor_title=f"{row.actor_type}:{row.actor_id}",
        action=ACTIONS[Action(row.action)],
        action_key=row.action,
        subject=f"{row.subject_type.replace('_', ' ')} {row.subject_id}",
        subject_short=f"{row.subject_type.replace('_', ' ')} {middle(row.subject_id)}",
        subject_href=_page_of(row.subject_type, row.subject_id) if linked else "",
        timeline_href=trail_href(AuditFilter(subject_type=row.subject_type, subject_id=row.subject_id)),
        result=RESULTS[Result(row.result)],
        refused=row.result == Result.REFUSED.value,
        detail=json.dumps(detail, indent=2, ensure_ascii=False, sort_keys=True) if detail else "",
        summary=summary_of(detail),
        intact=recomputed_leaf(row) == row.leaf,
        seal=str(seals.get(row.xid, "")),
        proof_href=f"/audit/{row.event_id}/proof",
    )


def trail_href(chosen: AuditFilter, *, before: str = "") -> str:
    query = {name: value for name, value in {**vars(chosen), "before": before}.items() if value}
    return f"/audit?{urlencode(query)}" if query else "/audit"


def summary_of(detail: Mapping[str, object]) -> str:
    """`label: fraud, version: 2`: plain values only, without times and hashes, which the full detail shows."""
    plain = {
        key: value
        for key, value in detail.items()
        if isinstance(value, (str, int, float, bool)) and not key.endswith(("_at", "_sha")) and len(str(value)) <= 60
    }
    return ", ".join(f"{key.replace('_', ' ')}: {_short(value)}" for key, value in plain.items())


def _short(value: object) -> str:
    return compact(value) if isinstance(value, float) else str(value)
