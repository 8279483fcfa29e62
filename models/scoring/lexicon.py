"""The words of each language that turn numbers into text. Pure Python: workers carry no Babel, the console no numpy."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from core.base.terms import Language

Noun = tuple[str, str]
"""One and many."""


@dataclass(frozen=True)
class Lexicon:
    """marks: what stands for the comma and the point of `1,234.5`. signs: of currencies, as CLDR has them for the language.
    apart: whether a gap follows every sign, or only one that ends in a letter.

    Texts take {value}, or {low} and {high}.
    """

    marks: str
    payment: Noun
    day: Noun
    hour: Noun
    minute: Noun
    second: Noun
    times: Noun
    above: str
    below: str
    deviation: Noun
    yes: str
    no: str
    span: str
    alone: str
    itself: str
    usual: str
    usual_here: str
    largest: str
    weekdays: tuple[str, ...]
    one_below_two: bool
    """Whether 1.5 takes the noun for one, as in Portuguese."""
    signs: Mapping[str, str]
    apart: bool


_SIGNS: Final = {
    "BRL": "R$", "CAD": "CA$", "CNY": "CN¥", "EUR": "€", "GBP": "£", "HKD": "HK$", "ILS": "₪", "INR": "₹", "KRW": "₩",
    "MXN": "MX$", "NZD": "NZ$", "TWD": "NT$", "VND": "₫", "XAF": "FCFA", "XCD": "EC$", "XCG": "Cg.", "XOF": "F\u202fCFA",
    "XPF": "CFPF", "XXX": "¤",
}  # fmt: skip

EN: Final = Lexicon(
    marks=",.",
    payment=("payment", "payments"),
    day=("day", "days"),
    hour=("hour", "hours"),
    minute=("minute", "minutes"),
    second=("second", "seconds"),
    times=("times", "times"),
    above="above",
    below="below",
    deviation=("standard deviation", "standard deviations"),
    yes="yes",
    no="no",
    span="{low} to {high}",
    alone="this payment alone",
    itself="this payment",
    usual="usual is {value}",
    usual_here="this customer's usual is {value}",
    largest="the largest so far {value}",
    weekdays=("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    one_below_two=False,
    signs={**_SIGNS, "AUD": "A$", "JPY": "¥", "PHP": "₱", "USD": "$"},
    apart=False,
)

PT: Final = Lexicon(
    marks=".,",
    payment=("transação", "transações"),
    day=("dia", "dias"),
    hour=("hora", "horas"),
    minute=("minuto", "minutos"),
    second=("segundo", "segundos"),
    times=("vez", "vezes"),
    above="acima",
    below="abaixo",
    deviation=("desvio-padrão", "desvios-padrão"),
    yes="sim",
    no="não",
    span="{low} a {high}",
    alone="somente esta transação",
    itself="esta transação",
    usual="o habitual é {value}",
    usual_here="o habitual deste cliente é {value}",
    largest="o maior até agora, {value}",
    weekdays=("segunda-feira", "terça-feira", "quarta-feira", "quinta-feira", "sexta-feira", "sábado", "domingo"),
    one_below_two=True,
    signs={**_SIGNS, "AUD": "AU$", "JPY": "JP¥", "PTE": "Esc.", "THB": "฿", "USD": "US$"},
    apart=True,
)

LEXICONS: Final = {Language.EN: EN, Language.PT_BR: PT}
