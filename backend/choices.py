"""What command-line options choose from; light, so that `--help` is quick."""

from enum import StrEnum


class BusChoice(StrEnum):
    """`auto`: RabbitMQ where it is installed, else Redis Streams."""

    AUTO = "auto"
    RABBIT = "rabbit"
    REDIS = "redis"


class FaultProfile(StrEnum):
    """`long`: more kills, more seeds and larger numbers; takes many minutes."""

    SHORT = "short"
    LONG = "long"
