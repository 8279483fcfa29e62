"""What a payment and its decision say, for the alert and the transaction page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from console.i18n import gettext as _
from console.i18n import reader
from console.views.charts import Step, Waterfall, waterfall
from console.views.features import feature_value, title_of
from console.views.lists import LISTS, hit_words
from console.views.payments import entity_of
from console.views.reasons import Reason, reason
from console.views.words import (
    FEATURES_STATUSES,
    OUTCOMES,
    EntityLink,
    Moment,
    Score,
    count,
    entity,
    entity_href,
    moment,
    money,
    score,
    signed,
)
from core.base.terms import EntityKind, EntityList, FeaturesStatus, Outcome
from core.tables.flow import Decision, Transaction
from models.features.catalogue import CATALOGUE_VERSION, FEATURES, LANGUAGES

REASONS_SHOWN: Final = 3


@dataclass(frozen=True)
class Fact:
    title: str
    value: str
    mono: bool = False
    link: EntityLink | None = None
    moment: Moment | None = None


@dataclass(frozen=True)
class Payment:
    uid: str
    id: str
    source: str
    amount: str
    occurred: Moment
    customer: EntityLink | None
    merchant: EntityLink | None
    facts: list[Fact]


def payment(row: Transaction, now: datetime) -> Payment:
    facts = [Fact(_("Time"), "", moment=moment(row.occurred_at, now))]
    for kind in EntityKind:
        link = entity(kind, entity_of(row, kind))
        if link:
            facts.append(Fact(link.title, link.id, mono=True, link=link))
    plain = [
        (_("Merchant category"), row.merchant_category),
        (_("Merchant country"), row.merchant_country),
        (_("Billing country"), row.billing_country),
        (_("Channel"), row.channel),
        (_("Place"), _place(row)),
        *((name.replace("_", " ").capitalize(), _attribute(value)) for name, value in row.attributes.items()),
    ]
    facts += [Fact(title, value) for title, value in plain if value]
    facts += [Fact(_("Source"), row.source_id), Fact(_("Payment id"), row.transaction_id, mono=True)]
    return Payment(
        uid=str(row.uid),
        id=row.transaction_id,
        source=row.source_id,
        amount=money(row.amount_minor, row.currency),
        occurred=moment(row.occurred_at, now),
        customer=entity(EntityKind.CUSTOMER, row.customer_id),
        merchant=entity(EntityKind.MERCHANT, row.merchant_id),
        facts=facts,
    )


def _attribute(value: Any) -> str:
    return (_("yes") if value else _("no")) if isinstance(value, bool) else str(value)


def _place(row: Transaction) -> str:
    if row.latitude is None or row.longitude is None:
        return ""
    return f"{row.latitude:.3f}, {row.longitude:.3f}"


@dataclass(frozen=True)
class FeatureRow:
    title: str
    name: str
    group: str
    value: str
    contribution: str
    direction: str


@dataclass(frozen=True)
class RuleHitView:
    code: str
    text: str
    outcome: str
    kind: str
    href: str = ""
    """Of the listed entity's page, where a list hit."""


@dataclass(frozen=True)
class Judgement:
    """A decision, ready to be shown."""

    outcome: str
    outcome_kind: str
    score: Score
    degraded: str
    """A sentence when features were missing; empty otherwise."""
    up: list[Reason]
    down: list[Reason]
    shown: int
    """Reasons of a direction shown at once; the others fold away."""
    rules: list[RuleHitView]
    model: str
    policy: str
    version: str
    decided: Moment
    waterfall: Waterfall | None
    features: list[FeatureRow]
    features_note: str
    missing: str
    """How many features were not known; empty when all were."""


def judgement(row: Decision, transaction: Transaction, now: datetime) -> Judgement:
    scored = row.features_status != FeaturesStatus.ABSENT.value
    # That scoring failed is told by `degraded`: it raises no risk.
    reasons = [reason(stored, transaction) for stored in row.reasons] if scored else []
    same_catalogue = row.catalogue_version == CATALOGUE_VERSION and len(row.features) == len(FEATURES)
    return Judgement(
        outcome=OUTCOMES[Outcome(row.outcome)],
        outcome_kind=row.outcome,
        score=score(row.score),
        degraded=""
        if row.features_status == FeaturesStatus.COMPLETE.value
        else FEATURES_STATUSES[FeaturesStatus(row.features_status)],
        up=[found for found in reasons if found.direction == "up"],
        down=[found for found in reasons if found.direction == "down"],
        shown=REASONS_SHOWN,
        rules=[_rule_hit(hit) for hit in row.rule_hits],
        model=row.model_id or "",
        policy=count(row.policy_version),
        version=count(row.version),
        decided=moment(row.decided_at, now),
        waterfall=_waterfall(row, transaction) if same_catalogue else None,
        features=_feature_rows(row, transaction) if same_catalogue and scored else [],
        features_note=_features_note(row, scored=scored, same_catalogue=same_catalogue),
        missing=_missing(row) if same_catalogue and scored else "",
    )


def _features_note(row: Decision, *, scored: bool, same_catalogue: bool) -> str:
    """Why there are none to show."""
    if not scored:
        return _("None was read when this was decided.")
    if same_catalogue:
        return ""
    return _(
        "Decided with feature catalogue %(theirs)s; this console shows catalogue %(ours)s.",
        theirs=row.catalogue_version,
        ours=CATALOGUE_VERSION,
    )


def _missing(row: Decision) -> str:
    """Most of them ask for what a payment need not name, or for a past there was not."""
    unknown = sum(1 for value in row.features if value is None)
    if not unknown:
        return ""
    return _("%(unknown)s of %(all)s features were not known.", unknown=count(unknown), all=count(len(row.features)))


def _rule_hit(hit: Mapping[str, Any]) -> RuleHitView:
    outcome = Outcome(hit["outcome"])
    if "list" not in hit:
        return RuleHitView(hit["code"], hit_words(hit["text"]), OUTCOMES[outcome], outcome)
    entity_list, kind = EntityList(hit["list"]), EntityKind(hit["entity"])
    colour = "none" if entity_list is EntityList.SNOOZE else outcome.value
    href = entity_href(kind, hit["entity_id"])
    return RuleHitView(hit["code"], hit_words(hit["text"]), LISTS[entity_list], colour, href)


def _waterfall(row: Decision, transaction: Transaction) -> Waterfall | None:
    if row.contributions is None or row.base_margin is None or row.margin is None:
        return None
    steps = [
        Step(title_of(feature.name), feature_value(feature.name, value, transaction.currency), contribution)
        for feature, value, contribution in zip(FEATURES, row.features, row.contributions, strict=True)
    ]
    return waterfall(row.base_margin, row.margin, steps)


def _feature_rows(row: Decision, transaction: Transaction) -> list[FeatureRow]:
    contributions: Sequence[float | None] = row.contributions or [None] * len(FEATURES)
    groups = LANGUAGES[reader().language].GROUPS
    return [
        FeatureRow(
            title=title_of(feature.name),
            name=feature.name,
            group=groups[feature.group],
            value=feature_value(feature.name, value, transaction.currency),
            contribution="" if contribution is None else signed(contribution),
            direction="" if not contribution else "up" if contribution > 0 else "down",
        )
        for feature, value, contribution in zip(FEATURES, row.features, contributions, strict=True)
    ]
