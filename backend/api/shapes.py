"""What the API answers, as plain JSON values."""

from collections.abc import Sequence
from typing import Any

from core.base.clock import rfc3339
from core.base.money import to_major
from core.tables.casework import TransactionLabel
from core.tables.flow import Decision, Transaction
from models.features.catalogue import CATALOGUE_VERSION, NAMES

_OPTIONAL = (
    "card_id", "merchant_id", "merchant_category", "merchant_country", "channel", "device_id", "ip", "email_hash",
    "latitude", "longitude", "billing_country",
)  # fmt: skip


def transaction_json(row: Transaction) -> dict[str, Any]:
    """The transaction as its source posted it; absent fields are left out."""
    optional = {name: getattr(row, name) for name in _OPTIONAL if getattr(row, name) is not None}
    body = {
        "id": row.transaction_id,
        "source": row.source_id,
        "occurred_at": rfc3339(row.occurred_at),
        "amount": str(to_major(row.amount_minor, row.currency)),
        "currency": row.currency,
        "customer_id": row.customer_id,
        **optional,
    }
    return {**body, "attributes": row.attributes} if row.attributes else body


def decision_json(row: Decision) -> dict[str, Any]:
    return {
        "version": row.version,
        "outcome": row.outcome,
        "score": row.score,
        "anomaly": row.anomaly,
        "reasons": row.reasons,
        "rule_hits": row.rule_hits,
        "model": row.model_id,
        "policy_version": row.policy_version,
        "features_status": row.features_status,
        "decided_at": rfc3339(row.decided_at),
    }


def features_json(row: Decision) -> dict[str, float | None]:
    """Feature values by name. A decision under an older catalogue numbers them instead of misnaming them."""
    current = row.catalogue_version == CATALOGUE_VERSION and len(row.features) == len(NAMES)
    names = NAMES if current else [f"feature_{place}" for place in range(len(row.features))]
    return dict(zip(names, row.features, strict=True))


def labels_json(rows: Sequence[TransactionLabel]) -> list[dict[str, Any]]:
    return [
        {"label": row.label, "source": row.label_source, "reported_at": rfc3339(row.reported_at), "note": row.note}
        for row in rows
    ]
