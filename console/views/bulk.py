"""What an act on many alerts would do, and what it did."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from console.i18n import gettext as _
from console.i18n import ngettext
from console.views.desk import sentence
from console.views.words import count, entity, middle, money, score
from core.acts.bulk import BulkAct, Outcome
from core.base.errors import RondaError
from core.base.terms import EntityKind
from core.tables.casework import Alert

MOST_ROWS: Final = 200
"""Rows of what was done that are shown; whatever was refused is shown whole."""


def title(act: BulkAct, number: int) -> str:
    if act is BulkAct.CLAIM:
        return ngettext("Claim %(num)s alert", "Claim %(num)s alerts", number)
    if act is BulkAct.RELEASE:
        return ngettext("Release %(num)s alert", "Release %(num)s alerts", number)
    return ngettext("Close %(num)s alert", "Close %(num)s alerts", number)


@dataclass(frozen=True)
class Sum:
    currency: str
    alerts: str
    amount: str
    expected_loss: str


def sums(alerts: Sequence[Alert]) -> list[Sum]:
    """By currency, the one with most alerts first: amounts of several currencies have no sum."""
    by_currency: dict[str, list[Alert]] = {}
    for alert in alerts:
        by_currency.setdefault(alert.currency, []).append(alert)
    ordered = sorted(by_currency.items(), key=lambda item: (-len(item[1]), item[0]))
    return [
        Sum(
            currency,
            count(len(those)),
            money(sum(alert.amount_minor for alert in those), currency),
            money(sum(alert.expected_loss_minor for alert in those), currency),
        )
        for currency, those in ordered
    ]


@dataclass(frozen=True)
class Row:
    id: str
    href: str
    amount: str
    score: str
    customer: str
    problem: str
    """Empty where the act is possible, or was done."""


def row(outcome: Outcome) -> Row:
    alert = outcome.alert
    problem = sentence(outcome.problem) if outcome.problem else ""
    if alert is None:
        return Row(str(outcome.alert_id), "", "", "", middle(str(outcome.alert_id)), problem)
    customer = entity(EntityKind.CUSTOMER, alert.customer_id)
    return Row(
        id=str(alert.id),
        href=f"/alerts/{alert.id}",
        amount=money(alert.amount_minor, alert.currency),
        score=score(alert.score).percent,
        customer=customer.id if customer else "",
        problem=problem,
    )


@dataclass(frozen=True)
class Why:
    words: str
    alerts: str


def why_not(problems: Sequence[RondaError]) -> list[Why]:
    """Most frequent first."""
    return [Why(words, count(times)) for words, times in Counter(map(sentence, problems)).most_common()]


@dataclass(frozen=True)
class Result:
    said: str
    refused: list[Row]
    done: list[Row]
    more: str
    """How many more were done than are listed; empty when none."""


def result(act: BulkAct | None, outcomes: Sequence[Outcome]) -> Result:
    """act: None = the undoing of decisions."""
    rows = [row(outcome) for outcome in outcomes]
    done = [each for each in rows if not each.problem]
    said = {
        BulkAct.CLAIM: ngettext("%(num)s alert is yours now.", "%(num)s alerts are yours now.", len(done)),
        BulkAct.RELEASE: ngettext("%(num)s alert was released.", "%(num)s alerts were released.", len(done)),
        BulkAct.DECIDE: ngettext("%(num)s alert was closed.", "%(num)s alerts were closed.", len(done)),
        None: ngettext(
            "%(num)s decision was taken back; the alert is yours.",
            "%(num)s decisions were taken back; the alerts are yours.",
            len(done),
        ),
    }[act]
    more = count(len(done) - MOST_ROWS) if len(done) > MOST_ROWS else ""
    return Result(said, [each for each in rows if each.problem], done[:MOST_ROWS], more)


def first_only(most: int) -> str:
    return _("Only the first %(most)s of the view are taken at once; there are more.", most=count(most))
