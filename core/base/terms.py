"""Every enum of the product, stored by value. docs/terms.md explains the words; a test holds the two together."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Outcome(StrEnum):
    """What Ronda tells the source to do with a payment, mildest first."""

    APPROVE = "approve"
    REVIEW = "review"
    DECLINE = "decline"


class Label(StrEnum):
    """What a payment turned out to be."""

    FRAUD = "fraud"
    LEGITIMATE = "legitimate"
    UNSURE = "unsure"


class LabelSource(StrEnum):
    """Who says so. Later in this list outweighs earlier when two disagree."""

    IMPORT = "import"
    ANALYST = "analyst"
    CUSTOMER = "customer"
    CHARGEBACK = "chargeback"


class DispositionReason(StrEnum):
    """Why an analyst says so. Each belongs to one label: see REASONS."""

    ACCOUNT_TAKEOVER = "account_takeover"
    STOLEN_CARD = "stolen_card"
    CARD_TESTING = "card_testing"
    FALSE_IDENTITY = "false_identity"
    SCAM = "scam"
    FRIENDLY_FRAUD = "friendly_fraud"
    OTHER_FRAUD = "other_fraud"
    KNOWN_CUSTOMER = "known_customer"
    CONFIRMED = "confirmed"
    TRAVEL = "travel"
    ONE_OFF = "one_off"
    TEST_PAYMENT = "test_payment"
    OTHER_LEGITIMATE = "other_legitimate"
    NOT_ENOUGH = "not_enough"
    NOT_REACHED = "not_reached"
    CONTRADICTORY = "contradictory"


REASONS: Final[Mapping[Label, tuple[DispositionReason, ...]]] = {
    Label.FRAUD: (
        DispositionReason.ACCOUNT_TAKEOVER,
        DispositionReason.STOLEN_CARD,
        DispositionReason.CARD_TESTING,
        DispositionReason.FALSE_IDENTITY,
        DispositionReason.SCAM,
        DispositionReason.FRIENDLY_FRAUD,
        DispositionReason.OTHER_FRAUD,
    ),
    Label.LEGITIMATE: (
        DispositionReason.KNOWN_CUSTOMER,
        DispositionReason.CONFIRMED,
        DispositionReason.TRAVEL,
        DispositionReason.ONE_OFF,
        DispositionReason.TEST_PAYMENT,
        DispositionReason.OTHER_LEGITIMATE,
    ),
    Label.UNSURE: (DispositionReason.NOT_ENOUGH, DispositionReason.NOT_REACHED, DispositionReason.CONTRADICTORY),
}
"""Every reason under the label it is for, in the order they are offered."""


class EntityKind(StrEnum):
    """The things a payment names whose history is kept."""

    CUSTOMER = "customer"
    CARD = "card"
    MERCHANT = "merchant"
    DEVICE = "device"
    IP = "ip"


class EntityList(StrEnum):
    """What people say about an entity's payments, weightiest first: each is a standing order to the scorer."""

    DENY = "deny"
    ALLOW = "allow"
    WATCH = "watch"
    SNOOZE = "snooze"


class Language(StrEnum):
    """Languages the product speaks."""

    EN = "en"
    PT_BR = "pt-BR"


class ScoreBand(StrEnum):
    """A score in words, lowest first."""

    NONE = "none"
    LOW = "low"
    ELEVATED = "elevated"
    HIGH = "high"
    VERY_HIGH = "very_high"


class DueState(StrEnum):
    """How near the time is by which an alert should be closed."""

    OK = "ok"
    SOON = "soon"
    OVERDUE = "overdue"


class Theme(StrEnum):
    """Colours of the console."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


class Density(StrEnum):
    """How high the console's rows are."""

    COMPACT = "compact"
    COMFORTABLE = "comfortable"


class AlertStatus(StrEnum):
    OPEN = "open"
    CLAIMED = "claimed"
    CLOSED = "closed"


class FeaturesStatus(StrEnum):
    """Whether a decision saw its features. A degraded decision is never a silent approval."""

    COMPLETE = "complete"
    DEGRADED = "degraded"
    ABSENT = "absent"


class DeadLetterState(StrEnum):
    WAITING = "waiting"
    REDRIVEN = "redriven"
    DISCARDED = "discarded"


class ModelStage(StrEnum):
    """A registered model's place in its life."""

    CANDIDATE = "candidate"
    SHADOW = "shadow"
    CHAMPION = "champion"
    RETIRED = "retired"
    REFUSED = "refused"


class RunStatus(StrEnum):
    """A training run's state."""

    REQUESTED = "requested"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Role(StrEnum):
    """What a person may do, least first; each role may do all that the ones before it may."""

    VIEWER = "viewer"
    ANALYST = "analyst"
    LEAD = "lead"
    ADMIN = "admin"


class ActorType(StrEnum):
    """Who acted: the audit trail names one for every event."""

    USER = "user"
    API_KEY = "api_key"
    SYSTEM = "system"


class Result(StrEnum):
    """How an audited act ended."""

    DONE = "done"
    REFUSED = "refused"


class Action(StrEnum):
    """Every act the audit trail knows."""

    TRANSACTIONS_ACCEPT = "transactions.accept"
    TRANSACTION_CONFLICT = "transaction.conflict"
    DECISION_MAKE = "decision.make"
    DECISION_RESCORE = "decision.rescore"
    DECISIONS_EXPORT = "decisions.export"
    ALERT_OPEN = "alert.open"
    ALERT_VIEW = "alert.view"
    ALERT_DOSSIER = "alert.dossier"
    ALERT_CLAIM = "alert.claim"
    ALERT_RELEASE = "alert.release"
    ALERT_HAND_OVER = "alert.hand_over"
    ALERT_CLOSE = "alert.close"
    ALERT_UNDO = "alert.undo"
    ALERT_REOPEN = "alert.reopen"
    NOTE_ADD = "note.add"
    LABEL_RECORD = "label.record"
    LIST_ADD = "list.add"
    LIST_EXTEND = "list.extend"
    LIST_END = "list.end"
    LABEL_WITHDRAW = "label.withdraw"
    MODEL_TRAIN_PROPOSE = "model.train_propose"
    MODEL_TRAIN_REQUEST = "model.train_request"
    MODEL_TRAIN_CANCEL = "model.train_cancel"
    MODEL_REGISTER = "model.register"
    MODEL_SHADOW_START = "model.shadow_start"
    MODEL_SHADOW_STOP = "model.shadow_stop"
    MODEL_PROMOTE = "model.promote"
    MODEL_ROLLBACK = "model.rollback"
    MODEL_REFUSE = "model.refuse"
    MODEL_LOAD = "model.load"
    MODEL_WATCH_FORGET = "model.watch_forget"
    POLICY_PUBLISH = "policy.publish"
    SIGN_IN = "session.sign_in"
    SIGN_OUT = "session.sign_out"
    SESSION_END = "session.end"
    PASSWORD_CHANGE = "user.password"  # noqa: S105 # an act's name
    PROFILE_CHANGE = "user.profile"
    ACCESS_DENY = "access.deny"
    USER_ADD = "user.add"
    KEY_ADD = "key.add"
    KEY_REVOKE = "key.revoke"
    SOURCE_ADD = "source.add"
    DEAD_LETTER_STORE = "dead_letter.store"
    DEAD_LETTER_REDRIVE = "dead_letter.redrive"
    DEAD_LETTER_DISCARD = "dead_letter.discard"
    PARTITIONS_MAKE = "partitions.make"
    FEATURES_REBUILD = "features.rebuild"
    FEATURES_DIFFER = "features.differ"
    AUDIT_EXPORT = "audit.export"
    AUDIT_VERIFY = "audit.verify"
    HISTORY_IMPORT = "history.import"
    VIEW_SAVE = "view.save"
    VIEW_RENAME = "view.rename"
    VIEW_SHARE = "view.share"
    VIEW_UNSHARE = "view.unshare"
    VIEW_DELETE = "view.delete"
