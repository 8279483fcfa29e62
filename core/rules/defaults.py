"""The rules in force on the first day: few, and each one an analyst would ask for. A newer policy replaces them as a whole."""

from typing import Any

from core.base.terms import Outcome

FIRST_RULES: tuple[dict[str, Any], ...] = (
    {
        "code": "card_testing",
        "text": "Ten or more payments with this device within an hour",
        "when": "has(features.device_velocity_1h_count) && features.device_velocity_1h_count >= 10.0",
        "outcome": Outcome.REVIEW.value,
    },
    {
        "code": "far_above_own_usual",
        "text": "At least ten times what this customer usually pays, from a device the customer never used before",
        "when": "has(features.amount_to_own_median) && features.amount_to_own_median >= 10.0 "
        "&& has(features.customer_device_payments) && features.customer_device_payments == 0.0",
        "outcome": Outcome.REVIEW.value,
    },
)
