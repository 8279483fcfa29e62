"""Logs to stderr as key=value or JSON lines; metrics in the Prometheus registry."""

import logging
import sys

import structlog
from prometheus_client import Counter, Gauge, Histogram, values

TRANSACTIONS_ACCEPTED = Counter("ronda_transactions_accepted", "Transactions accepted for the first time", ["source"])
POSTS_REFUSED = Counter(
    "ronda_posts_refused", "Requests with payments answered 429 because too many wait for their decision"
)
UNDECIDED = Gauge(
    "ronda_undecided",
    "Payments without a decision, counted to twice the limit",
    multiprocess_mode="mostrecent",
)
UNDECIDED_SECONDS = Gauge(
    "ronda_undecided_seconds", "Age of the oldest payment without a decision", multiprocess_mode="mostrecent"
)
DECISIONS = Counter("ronda_decisions", "Decisions committed", ["outcome"])
DECISION_SECONDS = Histogram(
    "ronda_decision_seconds",
    "From acceptance to committed decision",
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 30),
)
BATCHES_RETURNED = Counter("ronda_batches_returned", "Batches that went back to their queues", ["queue", "why"])
SUSPECTS = Counter("ronda_suspects", "Messages that came back too often and are scored one by one")
OVERTAKEN = Counter(
    "ronda_overtaken", "Messages that younger ones of their shard overtook, taken before those all the same"
)
FEATURES_WHOLE = Gauge(
    "ronda_features_whole", "1 = the scorer uses the feature store, 0 = it decides without", multiprocess_mode="livemin"
)
FEATURES_COMPARED = Counter("ronda_features_compared", "Entities whose features were compared with PostgreSQL")
FEATURES_DIFFERING = Counter("ronda_features_differing", "Entities whose features differed from PostgreSQL")
FEATURES_COMPARED_AT = Gauge(
    "ronda_features_compared_timestamp_seconds",
    "When features were last compared with PostgreSQL",
    multiprocess_mode="mostrecent",
)
RESCORED = Counter("ronda_rescored", "Decisions made again, as version 2")
OUTBOX_UNSENT = Gauge("ronda_outbox_unsent", "Outbox rows the broker has not confirmed", multiprocess_mode="mostrecent")
AUDIT_UNSEALED_SECONDS = Gauge(
    "ronda_audit_unsealed_seconds", "Age of the oldest audit event without a seal", multiprocess_mode="mostrecent"
)
AUDIT_SEALED = Counter("ronda_audit_sealed", "Audit events sealed")
CHAMPION_PSI = Gauge(
    "ronda_champion_feature_psi_max",
    "Largest PSI of a feature beyond what it moves anyway, since the champion was judged",
    multiprocess_mode="mostrecent",
)
CHAMPION_SCORE_PSI = Gauge(
    "ronda_champion_score_psi", "PSI of the champion's scores since it was judged", multiprocess_mode="mostrecent"
)
CHAMPION_FEATURES_MOVED = Gauge(
    "ronda_champion_features_moved",
    "Features that have moved since the champion was judged",
    multiprocess_mode="mostrecent",
)
CHAMPION_AVERAGE_PRECISION = Gauge(
    "ronda_champion_average_precision",
    "On recent payments old enough; NaN = not measured",
    multiprocess_mode="mostrecent",
)


def configure_logs(level: str, json_lines: bool, process: str) -> None:
    """One format for our own lines and the libraries'. Values are escaped, so one event stays one line."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    end: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if json_lines
        else structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], bool_as_flag=False)
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            end,
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("aiormq", "aio_pika", "httpx", "httpx2", "httpcore", "asyncio", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)


def shares_metrics() -> bool:
    """Whether the processes of this machine write their metrics into one directory (PROMETHEUS_MULTIPROC_DIR)."""
    return values.ValueClass is not values.MutexValue
