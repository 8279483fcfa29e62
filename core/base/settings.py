"""One frozen tree, read once at the edge and handed down as the small part needed."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class Settings(BaseSettings):
    """Every setting of Ronda: environment variables with the prefix `RONDA_`.

    The three URLs may be empty: the launcher then starts that server itself and fills the URL in for its children.
    """

    model_config = SettingsConfigDict(env_prefix="RONDA_", frozen=True, extra="ignore")

    database_url: SecretStr = SecretStr("")
    """`postgresql://user:password@host:port/database`"""
    redis_url: SecretStr = SecretStr("")
    """`redis://host:port/0`, `rediss://` or `unix:///path`: features, doorbells and rate limits."""
    bus_url: SecretStr = SecretStr("")
    """`amqp://` or `amqps://` = RabbitMQ; `redis://`, `rediss://` or `unix://` = Redis Streams."""

    data_dir: Path = Path(".ronda")
    """Embedded servers, model artifacts and logs live here."""
    artifacts_url: str = ""
    """Where model artifacts are kept: a folder, or `s3://bucket/prefix`; empty = `<data_dir>/artifacts`."""
    artifacts_endpoint: str = ""
    """The S3-compatible server, e.g. `https://minio.example.org`; empty = Amazon's. Credentials and region come from the
    variables and roles that AWS's own tools use (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, ...)."""
    signing_key: SecretStr = SecretStr("")
    """Private half of the pair that model artifacts are signed with (`ronda signing-key` makes one): for those who train."""
    trusted_keys: Annotated[tuple[str, ...], NoDecode] = ()
    """Public halves, with commas between: a model signed by none of them is never loaded. The own key is trusted as well.
    With neither setting, the key that the launcher makes in the data directory is used."""

    audit_key: SecretStr = SecretStr("")
    """Private half of the pair that the audit trail's checkpoints are signed with: for the process that seals, and no other."""
    audit_trusted_keys: Annotated[tuple[str, ...], NoDecode] = ()
    """Public halves that `ronda audit verify` and `export` trust; the own key is trusted as well, and the data directory's
    where neither is set."""
    audit_anchor: Path | None = None
    """File outside the database that the newest checkpoint is appended to each minute; unset = `<data_dir>/audit-anchor.txt`.
    Best where nobody who can change the database can change it. `-` = none: the log has each of these checkpoints as well."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=1, le=65535)
    public_url: str = ""
    """The address people type, e.g. `https://ronda.example.org`; empty = `http://<host>:<port>`. https turns on Secure cookies."""

    database_logins: SecretStr = SecretStr("")
    """For `ronda migrate` alone: `ronda_web:password ronda_scorer:password ronda_jobs:password ronda_admin:password`. It makes these
    logins, or gives them these passwords. The other processes' URLs name one of them: it owns nothing."""
    database_role: str = "ronda_app"
    """The PostgreSQL role that processes take on: it cannot change or delete audit events."""
    scorer_role: str = "ronda_score"
    """The role of a process whose only job is to score: it decides, reads no accounts or keys, and changes nothing else."""
    sealer_role: str = "ronda_sealer"
    """The role of the job that seals the audit trail: it alone may add seals, and may add nothing else."""
    database_pool: int = Field(default=8, ge=1)

    shards: int = Field(default=4, ge=1, le=64)
    score_shards: Annotated[tuple[int, ...], NoDecode] = ()
    """The shards, counted from 0, whose payments this scorer takes; empty = all. Scorers share the work when each names its own; two with
    the same ones stand by for each other. A shard that nobody names is not scored.
    """
    score_batch_max: int = Field(default=128, ge=1, le=2048)
    """Most transactions scored together."""
    ingest_linger_ms: float = Field(default=3.0, ge=0, le=100)
    """How long the first request of a micro-batch waits for company."""
    ingest_batch_max: int = Field(default=512, ge=1, le=5000)

    backlog_most: int = Field(default=50_000, ge=0)
    """While more payments than that wait for their decision, new ones are refused for now (429), until half of them are left;
    0 = never. To accept through an outage of the scorers, set it above what comes in that time."""

    publish_timeout_s: float = Field(default=5.0, gt=0)
    redis_timeout_s: float = Field(default=2.0, gt=0)
    feature_timeout_ms: int = Field(default=500, ge=20, le=5000)
    """How long a batch waits for its features, beside 2 ms for each payment. Then it is decided without, and scored again later."""
    feature_tail_minutes: int = Field(default=15, ge=1, le=1440)
    """Payments and labels of so long are taken again after a restart of Redis. When it lost more, everything is rebuilt."""
    equality_every_minutes: int = Field(default=60, ge=0)
    """How often features in Redis are compared with PostgreSQL; 0 = never."""
    equality_entities: int = Field(default=40, ge=1, le=10_000)
    """How many entities are drawn each time."""
    claim_lease_minutes: int = Field(default=15, ge=1)
    due_review_minutes: int = Field(default=120, ge=1)
    """How long after it opened the alert of a payment to review is due. A changed setting holds for alerts that open from then on."""
    due_decline_minutes: int = Field(default=480, ge=1)
    """The same for a declined payment: nothing is lost meanwhile, but the customer waits."""
    due_control_minutes: int = Field(default=4320, ge=1)
    """The same for an approved payment of the control sample."""
    high_value_from: int = Field(default=1000, ge=1)
    """From this amount on, in major units of its own currency, an alert is in the queue's view "High value"."""
    hand_over_lease_hours: int = Field(default=8, ge=1, le=168)
    """How long an alert that was handed over waits for its new owner."""
    undo_window_s: int = Field(default=10, ge=0, le=120)
    """How long an analyst can take a decision back; its label leaves only then."""
    bulk_undo_window_s: int = Field(default=60, ge=0, le=600)
    """The same for decisions made many at once, whose result has to be read first."""
    session_idle_minutes: int = Field(default=60, ge=1)
    session_absolute_hours: int = Field(default=12, ge=1)
    four_eyes: bool = True
    """A model is promoted by another person than the one who asked for its training."""
    retrain_after_labels: int = Field(default=0, ge=0)
    """Ask for a retraining after that many new labels; 0 = only when a person or the schedule asks."""
    retrain_every_hours: int = Field(default=0, ge=0)
    retrain_on_drift: bool = False
    """Ask for a training when the monitoring proposes one; else it only proposes."""
    training_threads: int = Field(default=2, ge=1, le=64)
    """How many trials and growths of a training are at work at once."""
    search_candidates: int = Field(default=6, ge=0, le=100)
    """Tree options tried beside the default ones in each training; 0 = the default is taken as it is."""
    label_scheme: Literal["auto", "presume", "sampled"] = "auto"
    """What silence about a payment means: `presume` = legitimate once chargebacks would have come; `sampled` = nothing, only labels count
    and the control sample stands for the rest; `auto` looks at how labels came.
    """
    monitor_every_minutes: int = Field(default=60, ge=0)
    """How often the champion is looked at: drift, label arrival, alert precision, performance; 0 = never."""
    monitor_keep_days: int = Field(default=90, ge=1)
    """How long these looks are kept. The newest of each model stays."""

    control_share: float = Field(default=0.001, ge=0, le=0.1)
    """Share of approved payments that become an alert all the same, so that labels are not only those of alerts."""
    control_unusual_from: float = Field(default=0.999, ge=0, le=1)
    """From this anomaly on (the share of training payments that were less unusual) the next share holds instead."""
    control_unusual_share: float = Field(default=0.05, ge=0, le=1)

    log_level: str = "INFO"
    log_json: bool = False

    @field_validator("trusted_keys", "audit_trusted_keys", "score_shards", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return tuple(filter(None, re.split(r"[\s,]+", value))) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _shards_there_are(self) -> Self:
        if any(not 0 <= shard < self.shards for shard in self.score_shards):
            raise ValueError(f"score_shards: a shard is a number from 0 to {self.shards - 1}")
        return self

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @property
    def anchor_file(self) -> Path | None:
        if self.audit_anchor == Path("-"):
            return None
        return self.audit_anchor or self.data_dir / "audit-anchor.txt"

    @property
    def base_url(self) -> str:
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def secure_cookies(self) -> bool:
        return self.base_url.startswith("https://")


def load_settings() -> Settings:
    return Settings()
