"""`ronda`, but it dies where a test asks it to: `python -m tests.faults.crashing work score`.

A point is armed by a file of its name in the folder that FAULT_POINTS names; the process that passes it takes the file
away and kills itself, as a power cut would. The program knows nothing of this: its own functions are wrapped here.
"""

import functools
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from asyncpg.transaction import Transaction

from core.infra.postgres import Line
from core.infra.rabbit import RabbitDelivery
from core.infra.streams_consumer import StreamsDelivery
from core.stores import flow
from models.features.online import OnlineFeatures

VARIABLE = "FAULT_POINTS"
POINTS = ("after_features", "before_commit", "after_commit", "before_ack", "after_publish")


def die_at(point: str) -> None:
    try:
        (Path(os.environ[VARIABLE]) / point).unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def around(
    owner: Any, name: str, *, before: str = "", after: str = "", only: Callable[..., bool] | None = None
) -> None:
    """Puts fault points before and after an async function."""
    inner = getattr(owner, name)

    @functools.wraps(inner)
    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        meant = only is None or only(*args)
        if before and meant:
            die_at(before)
        answer = await inner(*args, **kwargs)
        if after and meant:
            die_at(after)
        return answer

    setattr(owner, name, wrapped)


def install() -> None:
    insert, deciding = flow.insert_decisions, []

    async def insert_decisions(work: Any, *args: Any, **kwargs: Any) -> Any:
        deciding[:] = [work]
        return await insert(work, *args, **kwargs)

    setattr(flow, "insert_decisions", insert_decisions)  # noqa: B010 - a function is a constant to the type checker
    around(OnlineFeatures, "vectors", after="after_features")
    around(
        Transaction,
        "__aexit__",
        before="before_commit",
        after="after_commit",
        only=lambda transaction, failure, *_: failure is None and transaction._connection in deciding,
    )
    around(
        Line,
        "at_once",
        before="before_commit",
        after="after_commit",
        only=lambda _, bundle: any(bundle is work for work in deciding),
    )
    for delivery in (RabbitDelivery, StreamsDelivery):
        around(delivery, "ack", before="before_ack")
    # The broker has confirmed; the outbox does not know yet.
    around(flow, "mark_sent", before="after_publish")


if __name__ == "__main__":
    from backend.cli import main

    install()
    main()
