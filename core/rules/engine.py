"""Rules: CEL expressions over `payment` and `features`, compiled once. Pure.

`payment` holds the transaction's fields that are present (amounts in major units as double), `features` the known ones by
name; ask `has(features.x)` before a value that may be missing. A rule whose evaluation fails does not hit.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cel

from core.base.errors import InvalidInput
from core.base.money import to_major
from core.base.terms import Outcome
from core.contracts.messages import Payment

MAX_RULE_LENGTH = 1000
_NAMED = r"\b{}\b(?:\s*\.\s*([A-Za-z_]\w*)\b(?!\s*\())?"

_FIELDS = frozenset(
    name for name in Payment.__struct_fields__ if not name.endswith(("_ms", "_minor")) and name != "uid"
)


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
        self.features = _named("features", rules)
        """Those the rules read; None = any."""
        self._fields = _named("payment", rules)

    def hits(self, payment: Payment, features: Mapping[str, float]) -> list[RuleHit]:
        """`features`: known values only, by name; at least those that the rules read."""
        if not self._compiled:
            return []
        # Handing hundreds of values over to CEL takes a hundred times as long as the rules do: once, and only what they read.
        named = features if self.features is None else {n: features[n] for n in self.features & features.keys()}
        context = cel.Context(variables={"payment": _facts(payment, self._fields), "features": dict(named)})
        return [
            RuleHit(rule.code, rule.text, rule.outcome) for rule, program in self._compiled if _holds(program, context)
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


def _named(variable: str, rules: Sequence[Rule]) -> frozenset[str] | None:
    """What the rules read of it; None = one of them uses it otherwise than by `variable.name`, so it may read anything."""
    names = [name for rule in rules for name in re.findall(_NAMED.format(variable), rule.when)]
    return None if "" in names else frozenset(names)


def _holds(program: Any, context: cel.Context) -> bool:
    try:
        return program.execute(context) is True
    except (KeyError, RuntimeError, TypeError, ValueError):
        return False  # a field the payment does not have, or of another type: not a hit


def _facts(payment: Payment, wanted: frozenset[str] | None) -> dict[str, Any]:
    """The fields it has, of those wanted; None = all."""
    names = _FIELDS if wanted is None else _FIELDS & wanted
    facts = {name: value for name in names if (value := getattr(payment, name)) is not None}
    if wanted is None or "amount" in wanted:
        facts["amount"] = float(to_major(payment.amount_minor, payment.currency))
    return facts
