"""What happened to each payment and label, counted; the truth of each posted payment, kept as plain arrays."""

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from backend.replay.client import Item, LabelItem
from backend.replay.feed import key_of

SHOWN_ERRORS = 5


@dataclass
class Truths:
    """One entry a posted payment: 25 bytes."""

    keys: "array[int]" = field(default_factory=lambda: array("q"))
    occurred_ms: "array[int]" = field(default_factory=lambda: array("q"))
    cards: "array[int]" = field(default_factory=lambda: array("q"))
    """Key of the card, or of the customer where the payment names no card."""
    fraud: "array[int]" = field(default_factory=lambda: array("b"))
    """1, 0, or -1 = not labelled"""

    def add(self, key: int, occurred_ms: int, card: str, fraud: int) -> None:
        self.keys.append(key)
        self.occurred_ms.append(occurred_ms)
        self.cards.append(key_of(card))
        self.fraud.append(fraud)


@dataclass
class Tally:
    payments: Counter[str] = field(default_factory=Counter)
    """By status: accepted, replayed, conflict, invalid."""
    labels: Counter[str] = field(default_factory=Counter)
    """By status: recorded, replayed, unknown_transaction, invalid."""
    errors: list[str] = field(default_factory=list)
    truths: Truths = field(default_factory=Truths)
    posting_s: float = 0.0

    @property
    def posted(self) -> int:
        return self.payments.total()

    def count_payment(self, body: dict[str, Any], item: Item, key: int, occurred_ms: int, fraud: int) -> bool:
        """Whether the API holds this payment now, as it stands in the file."""
        self.payments[item.status] += 1
        if item.status in ("accepted", "replayed"):
            self.truths.add(key, occurred_ms, body.get("card_id", body["customer_id"]), fraud)
            return True
        self._remember(f"payment {body['id']}: {item.status}", item.error)
        return False

    def count_labels(self, labels: Sequence[dict[str, Any]], items: Sequence[LabelItem]) -> None:
        for label, item in zip(labels, items, strict=True):
            self.labels[item.status] += 1
            if item.status == "invalid":
                self._remember(f"label of {label['transaction_id']}: invalid", item.error)

    def _remember(self, words: str, error: object) -> None:
        if len(self.errors) < SHOWN_ERRORS:
            self.errors.append(f"{words}: {error}" if error else words)
