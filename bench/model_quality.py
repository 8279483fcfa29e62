"""How good is the default model, week by week? The prequential protocol of the Fraud Detection Handbook on a file of payments.

    python bench/model_quality.py FILE.parquet --week 2018-06-13 --week 2018-06-20 --train-days 28

FILE needs occurred_at, amount, customer_id, merchant_id, is_fraud in time order. Labels arrive `--delay-days` after their payment.
For a test week from day d the model learns from payments of [d - delay - train days, d - delay), and is judged on cards not yet known
to be compromised. The public sets of this shape are simulated: say so beside any figure.
"""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow.parquet as pq
import typer
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from core.base.clock import to_ms
from models.features.offline import History, Labels, replay
from models.scoring.dataset import Dataset
from models.scoring.evaluation import card_precision, unknown_cards
from models.scoring.ranking import ranking
from models.scoring.training import TrainingOptions, grow

DAY_MS = 86_400_000


def read(path: Path, delay_days: int) -> tuple[History, Dataset]:
    table = pq.read_table(path, columns=["occurred_at", "amount", "customer_id", "merchant_id", "is_fraud"])
    occurred = table["occurred_at"].cast("int64").to_numpy()
    amount = np.round(table["amount"].to_numpy().astype(np.float64) * 100).astype(np.int64)
    fraud = table["is_fraud"].to_numpy().astype(bool)
    none = np.full(len(occurred), -1, dtype=np.int64)
    customer, merchant = (
        History.codes(table[name].cast("string").to_pylist()) for name in ("customer_id", "merchant_id")
    )
    reported = occurred + delay_days * DAY_MS
    labels = Labels.on_time(occurred, np.arange(len(occurred)), reported, fraud)
    history = History(occurred, amount, np.stack([customer, none, merchant, none, none], axis=1), labels)
    started = time.perf_counter()
    matrix = replay(history)
    seconds = time.perf_counter() - started
    Console().print(f"replayed {len(matrix):,} payments in {seconds:.1f} s ({len(matrix) / seconds:,.0f} a second)")
    return history, Dataset(matrix, fraud.astype(np.int64), occurred, reported, amount, none, customer)


def judge_week(
    rows: Dataset, first_day: datetime, train_days: int, delay_days: int, options: TrainingOptions
) -> list[str]:
    start = to_ms(first_day)
    learn_until = start - delay_days * DAY_MS
    time_ms = rows.occurred_at_ms
    learn = rows.rows((time_ms >= learn_until - train_days * DAY_MS) & (time_ms < learn_until))
    test = rows.rows(unknown_cards(time_ms, rows.holder, rows.is_fraud, start, delay_days=delay_days))
    began = time.perf_counter()
    with threadpool_limits(limits=options.threads):
        grown = grow(learn, options, lambda _: None)
    seconds = time.perf_counter() - began
    margin = grown.margin(test.matrix)
    found = ranking(test.occurred_at_ms, test.holder, margin, test.is_fraud)
    best = card_precision(test.occurred_at_ms, test.holder, test.is_fraud.astype(float), test.is_fraud, 100)
    figures = (found.roc_auc, found.average_precision, found.card_precision_100, best)
    counts = (len(learn), int(learn.is_fraud.sum()), len(test), int(test.is_fraud.sum()))
    return [
        f"{first_day:%Y-%m-%d}",
        *(f"{n:,}" for n in counts),
        *(f"{figure:.3f}" for figure in figures),
        f"{seconds:.1f}",
    ]


def main(
    path: Path,
    week: Annotated[list[datetime], typer.Option(formats=["%Y-%m-%d"], help="First day of a test week; repeatable.")],
    train_days: int = 28,
    delay_days: int = 7,
    most_legitimate: int = TrainingOptions.most_legitimate,
) -> None:
    _, rows = read(path, delay_days)
    options = TrainingOptions(most_legitimate=most_legitimate)
    columns = ("week", "learned", "frauds", "tested", "frauds", "AUC", "AP", "CP@100", "best CP", "fit s")
    results = Table(*columns, title=f"{train_days} days of training, labels {delay_days} days late")
    for first_day in week:
        results.add_row(*judge_week(rows, first_day.replace(tzinfo=UTC), train_days, delay_days, options))
    Console().print(results)


if __name__ == "__main__":
    typer.run(main)
