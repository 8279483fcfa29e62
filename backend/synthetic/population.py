"""Who pays whom: places, merchants, customers, drawn once from a seed."""

import base64
import hashlib
import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from core.base.ids import SourceId

SOURCE: Final = SourceId("demo")
CURRENCY: Final = "EUR"

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


class Place(NamedTuple):
    country: str
    latitude: float
    longitude: float


class Category(NamedTuple):
    """`typical`: median amount in EUR. `spread`: standard deviation of its logarithm. `online`: share of payments made online."""

    code: str
    weight: float
    typical: float
    spread: float
    online: float


HOMES: Final = (
    Place("PT", 38.72, -9.14), Place("PT", 41.15, -8.61), Place("ES", 40.42, -3.70), Place("ES", 39.47, -0.38),
    Place("FR", 48.86, 2.35), Place("FR", 45.76, 4.84), Place("DE", 52.52, 13.40), Place("DE", 48.14, 11.58),
    Place("IT", 45.46, 9.19), Place("IT", 41.90, 12.50), Place("NL", 52.37, 4.90), Place("BE", 50.85, 4.35),
    Place("IE", 53.35, -6.26), Place("AT", 48.21, 16.37), Place("FI", 60.17, 24.94),
)  # fmt: skip
"""Where customers live: all pay in euro."""
ABROAD: Final = (
    Place("GB", 51.51, -0.13), Place("US", 40.71, -74.01), Place("PL", 52.23, 21.01), Place("CH", 47.37, 8.54),
    Place("BR", -23.55, -46.63), Place("TR", 41.01, 28.98),
)  # fmt: skip
PLACES: Final = HOMES + ABROAD
CATEGORIES: Final = (
    Category("5411", 0.27, 31, 0.60, 0.10),  # groceries
    Category("5814", 0.15, 11, 0.45, 0.15),  # fast food
    Category("5812", 0.12, 34, 0.55, 0.03),  # restaurants
    Category("5541", 0.09, 46, 0.35, 0.00),  # fuel
    Category("5912", 0.06, 17, 0.60, 0.10),  # pharmacies
    Category("5651", 0.08, 52, 0.65, 0.50),  # clothing
    Category("5732", 0.05, 130, 0.85, 0.60),  # electronics
    Category("5942", 0.05, 21, 0.55, 0.70),  # books
    Category("4121", 0.04, 15, 0.50, 0.90),  # taxis
    Category("4511", 0.02, 190, 0.60, 1.00),  # airlines
    Category("5816", 0.04, 14, 0.70, 1.00),  # digital games
    Category("5944", 0.01, 170, 0.90, 0.30),  # jewellery
    Category("4814", 0.02, 24, 0.30, 1.00),  # telephone
)
RESOLD: Final = (6, 11, 10, 9)
"""Categories whose goods are easily sold on: what thieves buy."""

REGULAR_CUSTOMERS: Final = 3_000
CUSTOMERS: Final = 60_000
"""The first 3,000 pay often; of the others one is seen now and then."""
REGULAR_MERCHANTS: Final = 400
MERCHANTS: Final = 20_000
HUBS: Final = 6
"""The first regular merchants, big ones: crowds there are nothing unusual."""


@dataclass(frozen=True)
class Customers:
    """Arrays of CUSTOMERS entries."""

    home: IntArray
    generosity: FloatArray
    """Factor on a category's typical amount."""
    hour: FloatArray
    """Middle of the active hours, UTC."""
    online: FloatArray
    """Factor on a category's share of online payments."""
    pace: FloatArray
    """Weight among the regular ones; 0 for the others."""


@dataclass(frozen=True)
class Merchants:
    """Arrays of MERCHANTS entries."""

    place: IntArray
    category: IntArray
    popularity: FloatArray
    """Weight among the regular ones of a place; 0 for the others."""
    dearness: FloatArray
    """Factor on the category's typical amount."""


@dataclass(frozen=True)
class Population:
    seed: int
    customers: Customers
    merchants: Merchants
    compromised: int
    """The merchant whose card data leaks as the history ends and the live payments begin."""


@lru_cache(maxsize=2)
def population(seed: int) -> Population:
    rng = np.random.default_rng([seed, 1])
    merchants = _merchants(rng)
    return Population(seed, _customers(rng), merchants, compromised=int(rng.integers(HUBS, REGULAR_MERCHANTS // 2)))


def _customers(rng: np.random.Generator) -> Customers:
    pace = np.zeros(CUSTOMERS)
    pace[:REGULAR_CUSTOMERS] = rng.gamma(1.2, 1.0, REGULAR_CUSTOMERS)
    night_owls = rng.random(CUSTOMERS) < 0.05
    return Customers(
        home=rng.integers(0, len(HOMES), CUSTOMERS),
        generosity=np.exp(rng.normal(0, 0.35, CUSTOMERS)),
        hour=np.where(night_owls, rng.normal(24.5, 1.5, CUSTOMERS), rng.normal(14.5, 2.5, CUSTOMERS)),
        online=np.minimum(rng.gamma(3.0, 0.33, CUSTOMERS), 2.0),
        pace=pace / pace.sum(),
    )


def _merchants(rng: np.random.Generator) -> Merchants:
    weights = np.array([category.weight for category in CATEGORIES])
    popularity = np.zeros(MERCHANTS)
    popularity[:REGULAR_MERCHANTS] = rng.permutation(1.0 / np.arange(12, REGULAR_MERCHANTS + 12) ** 0.6)
    popularity[:HUBS] = popularity.sum() * 0.03
    category = rng.choice(len(CATEGORIES), MERCHANTS, p=weights / weights.sum())
    category[:HUBS] = (0, 0, 1, 5, 6, 7)
    return Merchants(
        place=rng.integers(0, len(PLACES), MERCHANTS),
        category=category,
        popularity=popularity / popularity.sum(),
        dearness=np.exp(rng.normal(0, 0.25, MERCHANTS)),
    )


def customer_id(index: int) -> str:
    return f"cus_{index:06d}"


def merchant_id(index: int) -> str:
    return f"mer_{index:05d}"


def token(kind: str, *parts: int) -> str:
    """`card_mfrggzdfmztwq`: stands for the same thing wherever the same numbers make it.

    Not hexadecimal: one of those in 40,000 looks like a card number, and the API refuses it.
    """
    digest = hashlib.blake2b("/".join([kind, *map(str, parts)]).encode(), digest_size=8).digest()
    return f"{kind}_{base64.b32encode(digest).decode().rstrip('=').lower()}"


def home_address(index: int) -> str:
    """A customer's usual IP address: most have their own, some share a provider's gateway."""
    if index % 4:
        return str(ipaddress.IPv6Address((0x20010DB8 << 96) | (index << 64) | 1))
    network = (192 << 24 | 0 << 16 | 2 << 8) if index % 8 else (198 << 24 | 51 << 16 | 100 << 8)
    return str(ipaddress.IPv4Address(network | (index // 4 % 254 + 1)))


def passing_address(rng: np.random.Generator) -> str:
    """An address seen once: a hotel, a mobile network, a proxy."""
    if rng.random() < 0.2:
        return str(ipaddress.IPv4Address((203 << 24 | 0 << 16 | 113 << 8) | int(rng.integers(1, 255))))
    return str(ipaddress.IPv6Address((0x20010DB8 << 96) | (int(rng.integers(1 << 20, 1 << 32)) << 64) | 1))
