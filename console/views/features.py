"""Feature values with their units."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from console.i18n import gettext as _
from console.i18n import ngettext, reader
from console.views.words import compact, duration, money, not_known, percent
from core.base.money import from_hundredths
from models.features.catalogue import FEATURES, Feature

FEATURE_OF: Final[Mapping[str, Feature]] = {feature.name: feature for feature in FEATURES}


def title_of(name: str) -> str:
    feature = FEATURE_OF.get(name)
    return feature.said[reader().language].title if feature else name.replace("_", " ").capitalize()


def with_titles(text: str) -> str:
    """A sentence that names features, with their titles instead. Only names with an underscore: `amount` and `hour` are words as well."""
    return re.sub(
        r"\w+", lambda word: f"“{title_of(word[0])}”" if word[0] in FEATURE_OF and "_" in word[0] else word[0], text
    )


def feature_value(name: str, value: float | None, currency: str) -> str:
    """A feature's value with its unit."""
    if value is None:
        return not_known()
    feature = FEATURE_OF.get(name)
    return with_unit(value, feature.unit if feature else "", currency)


def with_unit(value: float, unit: str, currency: str) -> str:
    match unit:
        case "hundredths":
            return money(from_hundredths(value, currency), currency)
        case "s":
            return duration(timedelta(seconds=value))
        case "payments":
            return ngettext("%(value)s payment", "%(value)s payments", 1 if value == 1 else 2, value=compact(value))
        case "times":
            return f"{compact(float(f'{value:.3g}'))}×"
        case "deviations":
            return _("%(value)s deviations", value=compact(float(f"{value:.2f}")))
        case "flag":
            return _("yes") if value else _("no")
        case "hour":
            return f"{int(value):02d}:00 UTC"
        case "code":
            return str(int(value))
        case "weekday":
            return (_("Monday"), _("Tuesday"), _("Wednesday"), _("Thursday"), _("Friday"), _("Saturday"), _("Sunday"))[
                int(value) % 7
            ]
        case "km" | "km/h":
            return f"{compact(float(f'{value:.3g}'))} {unit}"
        case "share":
            return percent(value, 1)
        case _:
            return compact(value)
