"""Made-up payments with made-up frauds, for the demo and for tests. Nobody in here exists.

One seed makes one population; `history` is its past and `live` its present. Addresses are from the ranges reserved for
documentation, ids are numbered or hashed, cities are only points on a map, and every payment carries `attributes.synthetic`.
Which payments are fraud is known to the maker alone: it shows in nothing but behaviour, and in labels that arrive late.
"""

from backend.synthetic.past import SyntheticHistory, SyntheticLabel, continued, history
from backend.synthetic.payments import Drawn, as_body, as_payment
from backend.synthetic.population import SOURCE
from backend.synthetic.present import LivePayment, live

__all__ = [
    "SOURCE",
    "Drawn",
    "LivePayment",
    "SyntheticHistory",
    "SyntheticLabel",
    "as_body",
    "as_payment",
    "continued",
    "history",
    "live",
]
