"""English."""

from typing import Final

from models.features.phrases import Phrase

NOUN: Final = {
    "customer": "customer",
    "card": "card",
    "merchant": "merchant",
    "device": "device",
    "ip": "IP address",
    "category": "merchant category",
    "country": "country",
    "currency": "currency",
    "place": "place",
}
PLURAL: Final = {
    "customer": "customers",
    "card": "cards",
    "merchant": "merchants",
    "device": "devices",
    "ip": "IP addresses",
    "category": "merchant categories",
    "country": "countries",
}
WHERE: Final = {
    "customer": "by this customer",
    "card": "with this card",
    "merchant": "at this merchant",
    "device": "on this device",
    "ip": "from this IP address",
    "category": "in this merchant category",
    "country": "in this country",
    "currency": "in this currency",
    "place": "in this place",
}
SPAN: Final = {
    "1h": "hour",
    "6h": "6 hours",
    "24h": "24 hours",
    "7d": "7 days",
    "14d": "14 days",
    "30d": "30 days",
    "90d": "90 days",
}
GROUPS: Final = {
    "amount": "amount",
    "amount_history": "amount against the customer's own history",
    "limits": "amounts just under a limit",
    "customer_activity": "customer activity",
    "card_activity": "card activity",
    "merchant_activity": "merchant activity",
    "device_activity": "device activity",
    "ip_activity": "IP address activity",
    "rhythm": "the customer's rhythm",
    "novelty": "first-time use",
    "sharing": "sharing between customers, cards and devices",
    "category": "merchant category",
    "place": "place and distance",
    "time": "time of the payment",
    "merchant_fraud": "fraud history of the merchant",
    "customer_fraud": "fraud history of the customer",
    "device_fraud": "fraud history of the device",
    "card_fraud": "fraud history of the card",
    "ip_fraud": "fraud history of the IP address",
    "category_fraud": "fraud history of the merchant category",
    "country_fraud": "fraud history of the country",
    "currency_fraud": "fraud history of the currency",
    "place_fraud": "fraud history of the place",
}
NOT_KNOWN: Final = "not known for this payment"
NOTHING_EARLIER: Final = "no earlier payment by this customer to compare with"


def names_no(subject: str) -> str:
    return f"the payment names no {NOUN[subject]}"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def count(subject: str, window: str) -> Phrase:
    where, span = WHERE[subject], SPAN[window]
    return Phrase(f"Payments {where}, {span}", f"{{value}} {where} in the last {span}", None, names_no(subject))


def amount(subject: str, window: str) -> Phrase:
    where, span = WHERE[subject], SPAN[window]
    return Phrase(f"Amount {where}, {span}", f"{{value}} in all {where} in the last {span}", None, names_no(subject))


def mean(subject: str, window: str) -> Phrase:
    where, span = WHERE[subject], SPAN[window]
    return Phrase(
        f"Mean amount {where}, {span}",
        f"payments {where} in the last {span} are {{value}} on average",
        None,
        names_no(subject),
    )


def largest(subject: str, window: str) -> Phrase:
    where, span = WHERE[subject], SPAN[window]
    return Phrase(
        f"Largest payment {where}, {span}",
        f"the largest payment {where} in the last {span} is {{value}}",
        None,
        names_no(subject),
    )


def since_previous(subject: str) -> Phrase:
    where = WHERE[subject]
    return Phrase(
        f"Time since the previous payment {where}",
        f"{{value}} after the previous payment {where}",
        f"the same moment as another payment {where}",
        f"no earlier payment {where} is known",
    )


def new(subject: str) -> Phrase:
    noun = NOUN[subject]
    return Phrase(
        f"{_capital(noun)} never seen before",
        f"this {noun} was never seen before",
        f"this {noun} has been seen before",
        names_no(subject),
    )


def pair(subject: str) -> Phrase:
    where = WHERE[subject]
    return Phrase(
        f"This customer's earlier payments {where}",
        f"{{value}} by this customer {where} before",
        f"this customer's first payment {where}",
        names_no(subject),
    )


def distinct(owner: str, other: str, window: str) -> Phrase:
    others, where, span = PLURAL[other], WHERE[owner], SPAN[window]
    return Phrase(
        f"Different {others} {where}, {span}",
        f"different {others} {where} in the last {span}: {{value}}",
        None,
        f"the payment does not name both {NOUN[owner]} and {NOUN[other]}",
    )


def own_ratio(to: str) -> Phrase:
    title, words = {
        "mean": ("mean", "the mean of this customer's earlier payments"),
        "median": ("median", "the median of this customer's earlier payments"),
        "p90": ("upper tenth", "what nine in ten of this customer's earlier payments stay under"),
        "max": ("largest", "the largest of this customer's earlier payments"),
        "mean_30d": ("mean of 30 days", "this customer's mean of the last 30 days"),
    }[to]
    return Phrase(f"Amount against the customer's {title}", f"the amount is {{value}} {words}", None, NOTHING_EARLIER)


def own_deviations() -> Phrase:
    return Phrase(
        "Standard deviations from the customer's mean",
        "the amount is {value} the mean of this customer's earlier payments",
        None,
        "too few different earlier payments by this customer to compare with",
    )


def mean_24h_to_30d() -> Phrase:
    return Phrase(
        "Customer's mean of 24 hours against 30 days",
        "this customer's payments of the last 24 hours are {value} the mean of 30 days",
    )


def earlier_payments() -> Phrase:
    return Phrase(
        "Customer's earlier payments compared with", "{value} by this customer to compare with", NOTHING_EARLIER
    )


def own_hours() -> Phrase:
    return Phrase(
        "Share of the customer's payments at about this hour",
        "{value} of this customer's earlier payments came within 2 hours of this time of day",
        "none of this customer's earlier payments came within 2 hours of this time of day",
        NOTHING_EARLIER,
    )


def gap_to_own_mean() -> Phrase:
    return Phrase(
        "Time since the previous payment against the customer's mean gap",
        "the time since the previous payment is {value} this customer's mean gap",
        "the same moment as the customer's previous payment",
        "too few earlier payments by this customer to know the usual gap",
    )


def longest_silence() -> Phrase:
    return Phrase(
        "Longest silence that ended in the last 24 hours",
        "the customer had been silent for {value} before the payments of the last 24 hours",
        None,
        NOTHING_EARLIER,
    )


def spikes(window: str) -> Phrase:
    span = SPAN[window]
    return Phrase(
        f"Customer's unusually large payments, {span}",
        f"{{value}} far above this customer's usual amount in the last {span} already",
        f"no other payment far above this customer's usual amount in the last {span}",
    )


def to_mean(subject: str) -> Phrase:
    return Phrase(
        f"Amount against the mean {WHERE[subject]}, 30 days",
        f"the amount is {{value}} the mean {WHERE[subject]} over 30 days",
        None,
        names_no(subject),
    )


def customer_category_count(window: str) -> Phrase:
    span = SPAN[window]
    return Phrase(
        f"Customer's payments in this category, {span}",
        f"{{value}} by this customer in this merchant category in the last {span}",
        None,
        names_no("category"),
    )


def to_customer_category_mean() -> Phrase:
    return Phrase(
        "Amount against the customer's mean in this category, 30 days",
        "the amount is {value} this customer's mean in this merchant category over 30 days",
        None,
        names_no("category"),
    )


def category_code() -> Phrase:
    return Phrase("Merchant category code", "the merchant category", None, names_no("category"))


def distance_from_previous() -> Phrase:
    return Phrase(
        "Distance from the customer's previous payment",
        "{value} from where this customer paid before",
        "the same place as the customer's previous payment",
        "no earlier place of this customer is known",
    )


def speed_from_previous() -> Phrase:
    return Phrase(
        "Speed needed since the customer's previous payment",
        "getting here from the previous payment would have needed {value}",
        "no travel since the customer's previous payment",
        "no earlier place of this customer is known",
    )


def distance_from_home() -> Phrase:
    return Phrase(
        "Distance from where the customer usually pays",
        "{value} from the middle of where this customer usually pays",
        "right where this customer usually pays",
        "too few places of this customer are known",
    )


def abroad() -> Phrase:
    return Phrase(
        "Merchant's country is not the billing country",
        "the merchant's country is not the billing country",
        "the merchant's country is the billing country",
        "the payment does not name both countries",
    )


def payment_amount() -> Phrase:
    return Phrase("Amount", "the amount is {value}")


def round_amount() -> Phrase:
    return Phrase("Round amount", "a round amount (a multiple of 50)", "not a round amount")


def just_under() -> Phrase:
    return Phrase(
        "Just under a round limit",
        "the amount is just under a round limit (within 5% below 100, 500, 1,000, 2,000, 5,000, ...)",
        "not just under a round limit",
    )


def just_under_count(window: str) -> Phrase:
    span = SPAN[window]
    return Phrase(
        f"Customer's payments just under a limit, {span}",
        f"{{value}} by this customer just under a round limit in the last {span}",
        f"none by this customer just under a round limit in the last {span}",
    )


def hour() -> Phrase:
    return Phrase("Hour of the day, UTC", "made at {value} UTC")


def night() -> Phrase:
    return Phrase("Before 07:00 UTC", "made at night (00:00 to 07:00 UTC)", "not made at night (00:00 to 07:00 UTC)")


def weekend() -> Phrase:
    return Phrase("Saturday or Sunday, UTC", "made at the weekend", "made on a working day")


def weekday() -> Phrase:
    return Phrase("Day of the week, UTC", "made on a {value}", "made on a Monday")


def labels(subject: str, window: str) -> Phrase:
    where, span = WHERE[subject], SPAN[window]
    return Phrase(
        f"Checked payments {where}, {span}",
        f"{{value}} {where} checked in the last {span}",
        f"none checked {where} in the last {span}",
        names_no(subject),
    )


def frauds(subject: str, window: str) -> Phrase:
    where, span = WHERE[subject], SPAN[window]
    return Phrase(
        f"Confirmed frauds {where}, {span}",
        f"{{value}} {where} confirmed as fraud in the last {span}",
        f"no fraud {where} confirmed in the last {span}",
        names_no(subject),
    )


def risk(subject: str, window: str) -> Phrase:
    where, span = WHERE[subject], SPAN[window]
    return Phrase(
        f"Share of fraud {where}, {span}",
        f"{{value}} of the payments {where} checked in the last {span} were fraud",
        f"no fraud {where} confirmed in the last {span}",
        names_no(subject),
    )


def fraud_run(subject: str) -> Phrase:
    where = WHERE[subject]
    return Phrase(
        f"Frauds in a row {where}",
        f"{{value}} {where} found to be fraud with none genuine since",
        f"no unbroken run of fraud {where}",
        names_no(subject),
    )


def fraud_run_age(subject: str) -> Phrase:
    where = WHERE[subject]
    return Phrase(
        f"Age of the run of frauds {where}",
        f"frauds in a row {where} began {{value}} earlier",
        None,
        f"no unbroken run of fraud {where}",
    )


def since_fraud(subject: str, days: int) -> Phrase:
    where = WHERE[subject]
    return Phrase(
        f"Time since the last known fraud {where}",
        f"{{value}} after the last known fraud {where}",
        None,
        f"no fraud {where} known in the last {days} days",
    )


def legitimate_since_fraud(subject: str, days: int) -> Phrase:
    where = WHERE[subject]
    return Phrase(
        f"Genuine payments {where} since the last fraud",
        f"{{value}} {where} found genuine since the last known fraud",
        f"nothing {where} found genuine since the last known fraud",
        f"no fraud {where} known in the last {days} days",
    )


def unexplained(subject: str, window: str) -> Phrase:
    where, span = WHERE[subject], SPAN[window]
    return Phrase(
        f"Frauds of usual amount {where}, {span}",
        f"{{value}} {where} confirmed as fraud in the last {span} although of a usual amount for their customers",
        f"no fraud of a usual amount {where} confirmed in the last {span}",
        names_no(subject),
    )


def unexplained_share(subject: str) -> Phrase:
    where = WHERE[subject]
    return Phrase(
        f"Share of frauds of usual amount among the last 5 checked {where}",
        f"{{value}} of the last 5 payments checked {where} were fraud of a usual amount",
        f"none of the last 5 payments checked {where} were fraud of a usual amount",
        f"no payment {where} was checked",
    )


def unexplained_run(subject: str) -> Phrase:
    where = WHERE[subject]
    return Phrase(
        f"Frauds of usual amount in a row {where}",
        f"{{value}} of a usual amount {where} found to be fraud with none genuine since",
        f"no unbroken run of frauds of a usual amount {where}",
        names_no(subject),
    )


def unexplained_run_age(subject: str) -> Phrase:
    where = WHERE[subject]
    return Phrase(
        f"Age of the run of frauds of usual amount {where}",
        f"frauds of a usual amount in a row {where} began {{value}} earlier",
        None,
        f"no unbroken run of frauds of a usual amount {where}",
    )


def since_unexplained(subject: str, days: int) -> Phrase:
    where = WHERE[subject]
    return Phrase(
        f"Time since the last fraud of usual amount {where}",
        f"{{value}} after the last known fraud of a usual amount {where}",
        None,
        f"no fraud of a usual amount {where} known in the last {days} days",
    )


def legitimate_since_unexplained(subject: str, days: int) -> Phrase:
    where = WHERE[subject]
    return Phrase(
        f"Genuine payments {where} since the last fraud of usual amount",
        f"{{value}} {where} found genuine since the last fraud of a usual amount",
        f"nothing {where} found genuine since the last fraud of a usual amount",
        f"no fraud of a usual amount {where} known in the last {days} days",
    )
