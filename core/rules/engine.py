"""Rules: CEL expressions over `payment` and `features`, compiled once. Pure.

`payment` holds the transaction's fields that are present (amounts in major units as double), `features` the known ones by
name; ask `has(features.x)` before a value that may be missing. A rule whose evaluation fails does not hit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cel

from core.base.errors import InvalidInput
from core.base.money import to_major
from core.base.terms import Outcome
from core.contracts.messages import Payment

MAX_RULE_LENGTH = 1000


@dataclass(frozen=True)
class Rule:
    """`text` is what the analyst reads when it hits; `outcome` is the mildest answer it allows."""

    code: str
    text: str
    when: str
    outcome: Outcome


@dataclass(frozen=True)
class RuleHit:
    code: str
    text: str
    outcome: Outcome

    def as_json(self) -> dict[str, str]:
        return {"code": self.code, "text": self.text, "outcome": self.outcome.value}


class RuleSet:
    """Rules ready to run. Raises InvalidInput, naming the rule, when one does not compile."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._compiled = [(rule, _compile(rule)) for rule in rules]

    def hits(self, payment: Payment, features: Mapping[str, float]) -> list[RuleHit]:
        """`features`: known values only, by name."""
        if not self._compiled:
            return []
        facts = {"payment": _facts(payment), "features": dict(features)}
        return [
            RuleHit(rule.code, rule.text, rule.outcome) for rule, program in self._compiled if _holds(program, facts)
        ]


def parse_rules(rows: Sequence[Mapping[str, Any]]) -> RuleSet:
    """From a policy's stored rules."""
    return RuleSet([Rule(row["code"], row["text"], row["when"], Outcome(row["outcome"])) for row in rows])


def _compile(rule: Rule) -> Any:
    if len(rule.when) > MAX_RULE_LENGTH:
        raise InvalidInput(f"rule {rule.code}: longer than {MAX_RULE_LENGTH} characters")
    try:
        return cel.compile(rule.when)
    except ValueError as error:
        raise InvalidInput(f"rule {rule.code}: {str(error).splitlines()[0]}") from error


def _holds(program: Any, facts: dict[str, Any]) -> bool:
    try:
        return program.execute(facts) is True
    except (KeyError, RuntimeError, TypeError, ValueError):
        return False  # a field the payment does not have, or of another type: not a hit


def _facts(payment: Payment) -> dict[str, Any]:
    names = [name for name in payment.__struct_fields__ if not name.endswith(("_ms", "_minor")) and name != "uid"]
    present = {name: getattr(payment, name) for name in names if getattr(payment, name) is not None}
    return {**present, "amount": float(to_major(payment.amount_minor, payment.currency))}
