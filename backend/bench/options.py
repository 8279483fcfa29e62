"""What a bench is asked to do, and what a measure answers."""

from dataclasses import dataclass, field

from backend.choices import BusChoice

LATENCY_RATES = (100, 300, 1000)
WAIT_RATE = 100
BATCH = 100
"""Payments in one request of the batch measures."""
SINGLES_PER_S, MOST_BATCHED_PER_S = 1500, 4000
"""How many payments a closed-loop measure of so many seconds sends at most."""
CONNECTIONS, BATCH_CONNECTIONS = 64, 8
MOST_SECONDS = 20.0


@dataclass(frozen=True)
class BenchOptions:
    """`seconds`: about how long each measure of the whole pipeline sends, at most MOST_SECONDS; a stage alone takes a quarter of it."""

    bus: BusChoice = BusChoice.AUTO
    seconds: float = 5.0
    seed: int = 7
    rates: tuple[int, ...] = LATENCY_RATES
    days: int = 90
    """Of synthetic history, 300 payments each: what the model learns from."""
    growth: bool = False
    entities: int = 1_000_000
    rows: int = 5_000_000


@dataclass
class Counts:
    """`accepted`: by the answers. The rest is read from PostgreSQL: stored without a decision, decided twice, decided without features."""

    accepted: int = 0
    decided: int = 0
    lost: int = 0
    doubled: int = 0
    degraded: int = 0
    alerts: int = 0
    refused: int = 0
    """Requests that got no success: they are in none of the other counts."""

    def add(self, other: "Counts") -> None:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


@dataclass(frozen=True)
class Percentiles:
    """Milliseconds."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True)
class Flow:
    """One drive of the pipeline. Rates are payments a second; `cpu_ms`: CPU milliseconds a payment by process;
    `steps`: wall milliseconds a payment by step inside web and scorer.
    """

    accepts_per_s: float
    decisions_per_s: float
    counts: Counts
    cpu_ms: dict[str, float] = field(default_factory=dict)
    steps: dict[str, float] = field(default_factory=dict)
    latency_ms: Percentiles | None = None
    """From the moment the payment was to be sent until its decision was heard of after the commit."""
    answer_ms: Percentiles | None = None
    """From the moment the request was to be sent until its answer."""

    def shares(self) -> dict[str, float]:
        """Each step's part, 0 to 1, of the time of all steps of its process."""
        whole: dict[str, float] = {}
        for name, value in self.steps.items():
            process = name.partition(":")[0]
            whole[process] = whole.get(process, 0.0) + value
        return {name: value / (whole[name.partition(":")[0]] or 1.0) for name, value in self.steps.items()}
