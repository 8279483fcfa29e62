"""`ronda evaluate` on small files: what is judged, on what it was learned, and what it says when it cannot."""

import itertools
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from rich.console import Console
from typer.testing import CliRunner

from backend.cli import app
from backend.evaluation import judging, running
from backend.evaluation.judging import score
from backend.evaluation.options import EvaluationOptions, Features, Protocol, Trees
from backend.evaluation.periods import periods
from backend.evaluation.reading import Stream, read_stream
from core.base.errors import InvalidInput
from models.features.catalogue import NAMES
from models.features.offline import replay
from models.scoring.dataset import Dataset
from models.scoring.prequential import DAY_MS
from models.scoring.training import TrainingOptions, TreeOptions

START = datetime(2021, 3, 1, tzinfo=UTC)
DAYS = 75
SMALL = TreeOptions(iterations=30, learning_rate=0.2, least_in_leaf=10)


def make_payments(days: int = DAYS, a_day: int = 160, seed: int = 1) -> pa.Table:
    """Synthetic: a merchant has bad spells of ten days; large amounts are often frauds."""
    random = np.random.default_rng(seed)
    rows = days * a_day
    at = np.sort(random.integers(0, days * DAY_MS, rows))
    customer, merchant = random.integers(0, 400, rows), random.integers(0, 60, rows)
    amount = np.round(random.gamma(2.0, 25.0, rows), 2)
    bad = (merchant * 7 + at // DAY_MS // 10) % 15 == 0
    fraud = (bad & (random.random(rows) < 0.6)) | (random.random(rows) < 0.003)
    amount = np.where(fraud & (random.random(rows) < 0.5), amount * 4, amount)
    return pa.table(
        {
            "transaction_id": np.arange(rows),
            "occurred_at": pa.array(at + int(START.timestamp() * 1000), pa.timestamp("ms")),
            "amount": amount,
            "customer_id": customer,
            "merchant_id": merchant,
            "is_fraud": fraud.astype(np.int8),
        }
    )


@pytest.fixture(scope="module")
def payments() -> pa.Table:
    return make_payments()


@pytest.fixture(scope="module")
def file(payments: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("payments") / "payments.parquet"
    pa.parquet.write_table(payments, path)
    return path


@pytest.fixture(autouse=True)
def _small_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "training_options", lambda options: TrainingOptions(trees=SMALL, seed=options.seed))


def options(*files: Path, **changes: Any) -> EvaluationOptions:
    return EvaluationOptions(files=files, **{"train_days": 14, "warm_up_days": 7, **changes})


def evaluate(*files: Path, **changes: Any) -> dict[str, Any]:
    return running.evaluate(options(*files, **changes), Console(file=StringIO())).as_json()


def dates(stream: Stream, chosen: EvaluationOptions) -> list[tuple[str, str]]:
    day = lambda ms: f"{datetime.fromtimestamp(ms / 1000, UTC):%m-%d}"  # noqa: E731
    return [(day(one.test_from_ms), day(one.test_until_ms)) for one in periods(stream, chosen)]


def test_the_answer_is_what_programs_were_promised(file: Path) -> None:
    found = evaluate(file, gain=False)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert {"weeks", "mean", "worst", "calibration", "seconds"} <= set(found)
    assert set(found["mean"]) == set(found["worst"]) == {"average_precision", "roc_auc", "card_precision_100"}
    week = {
        "from", "until", "learned", "frauds", "tested", "average_precision", "roc_auc", "card_precision_100", "brier",
        "calibration_ratio", "fit_seconds",
    }  # fmt: skip
    assert all(week <= set(one) for one in found["weeks"])
    aps = [one["average_precision"] for one in found["weeks"]]
    assert found["mean"]["average_precision"] == pytest.approx(sum(aps) / len(aps))
    assert found["worst"]["average_precision"] == min(aps)
    assert min(aps) > 0.2
    assert 0.5 < found["calibration"]["mean_ratio"] < 2


def test_weeks_of_the_handbook_protocol(file: Path) -> None:
    """75 days from March 1: the last day is May 14. A week may begin 7 + 14 + 7 days after the start: from March 29 on."""
    stream = read_stream(options(file))
    chosen = options(file)
    starts = ["04-03", "04-10", "04-17", "04-24", "05-01", "05-08", "05-15"]
    assert dates(stream, chosen) == list(itertools.pairwise(starts))
    since = START + timedelta(days=36)
    assert dates(stream, options(file, since=since))[0] == ("04-06", "04-13")
    assert dates(stream, options(file, since=since, until=since + timedelta(days=8))) == [("04-06", "04-13")]
    assert dates(stream, options(file, until=since)) == [("03-30", "04-06")]


def test_months_and_a_split(file: Path) -> None:
    stream = read_stream(options(file))
    assert dates(stream, options(file, protocol=Protocol.MONTHLY)) == [("04-01", "05-01")]
    late = options(file, protocol=Protocol.SPLIT, train_days=None, since=START + timedelta(days=50))
    assert dates(stream, late) == [("04-20", "05-15")]
    [one] = periods(stream, late)
    assert one.learn_from_ms == int(START.timestamp() * 1000) + 7 * DAY_MS
    assert one.test_from_ms - one.learn_until_ms == 7 * DAY_MS
    assert dates(stream, options(file, protocol=Protocol.SPLIT, train_days=None)) == [("04-30", "05-15")]


@pytest.mark.parametrize("protocol", list(Protocol))
def test_every_protocol_answers(file: Path, protocol: Protocol) -> None:
    changes = {"train_days": None} if protocol is Protocol.SPLIT else {}
    found = evaluate(file, protocol=protocol, since=START + timedelta(days=31), **changes)
    assert found["weeks"][0]["average_precision"] > 0.15
    assert found["protocol"] == protocol.value


def test_only_the_handbook_leaves_out_cards_that_are_known(file: Path) -> None:
    since, until = START + timedelta(days=50), START + timedelta(days=57)
    handbook = evaluate(file, since=since, until=until)["weeks"][0]
    whole = evaluate(file, protocol=Protocol.SPLIT, since=since, until=until)["weeks"][0]
    time = read_stream(options(file)).history.occurred_at_ms / 1000
    assert handbook["tested"] < whole["tested"] == ((time >= since.timestamp()) & (time < until.timestamp())).sum()
    assert handbook["learned"] == whole["learned"]


def test_several_files_are_one_stream_and_the_last_one_is_judged(
    payments: pa.Table, file: Path, tmp_path: Path
) -> None:
    """Whatever the order they are named in, and with an overlap that counts once."""
    cut = payments.num_rows // 2
    pa.parquet.write_table(payments.slice(0, cut + 50), tmp_path / "early.parquet")
    renamed = payments.slice(cut).rename_columns(
        ["trans_num", "tx_datetime", "amt", "cust_id", "terminal_id", "tx_fraud"]
    )
    pa.csv.write_csv(renamed, tmp_path / "late.csv")
    whole = read_stream(options(file))
    both = read_stream(options(tmp_path / "late.csv", tmp_path / "early.parquet"))
    np.testing.assert_array_equal(replay(both.history), replay(whole.history))
    np.testing.assert_array_equal(both.truth, whole.truth)
    assert "50 payments" in both.notes[0]
    assert both.judged_from_ms == int(whole.history.occurred_at_ms[cut])
    first = periods(both, options(file))[0]
    assert first.test_from_ms >= both.judged_from_ms // DAY_MS * DAY_MS
    assert len(periods(both, options(file))) < len(periods(whole, options(file)))


def test_nothing_after_the_window_changes_what_is_learned(file: Path) -> None:
    """Other labels in the delay and the test week, and other payments in the test week, leave every score as it was."""
    chosen = options(file)
    stream = read_stream(chosen)
    rows = Dataset.of(stream, replay(stream.history))
    one = periods(stream, chosen)[-1]
    time = rows.occurred_at_ms
    test = rows.rows((time >= one.test_from_ms) & (time < one.test_until_ms))
    used = np.arange(len(NAMES))
    first = score(rows, test, one, used, chosen, _ignore)
    label = np.where(time >= one.learn_until_ms, 1 - rows.label, rows.label)
    matrix = np.where((time >= one.learn_until_ms)[:, None], 0.0, rows.matrix)
    other = Dataset(matrix, label, time, rows.reported_at_ms, rows.amount, rows.card, rows.customer)
    again = score(other, test, one, used, chosen, _ignore)
    np.testing.assert_array_equal(first.probability, again.probability)


def test_a_week_comes_out_the_same_whatever_other_weeks_are_judged(file: Path) -> None:
    """Vectors of payments that no judged week needs are not even kept."""
    both, late = (evaluate(file, since=START + timedelta(days=days))["weeks"] for days in (54, 61))
    assert [one["from"] for one in both] == ["2021-04-24", "2021-05-01", "2021-05-08"]
    timed = {"fit_seconds"}
    assert [{k: v for k, v in one.items() if k not in timed} for one in both[1:]] == [
        {k: v for k, v in one.items() if k not in timed} for one in late
    ]


def test_labels_reach_the_features_only_after_the_delay(file: Path) -> None:
    """A longer delay means that merchants' labels are known later."""
    column = NAMES.index("merchant_labels_30d")
    short, long = (replay(read_stream(options(file, delay_days=days)).history)[:, column] for days in (3, 10))
    first_known = [int(np.flatnonzero(known > 0)[0]) for known in (short, long)]
    stream = read_stream(options(file))
    since = [int(stream.history.occurred_at_ms[place] - stream.history.occurred_at_ms[0]) for place in first_known]
    assert 3 * DAY_MS <= since[0] < 4 * DAY_MS
    assert 10 * DAY_MS <= since[1] < 11 * DAY_MS


def test_payments_without_a_label_are_neither_learned_from_nor_judged(payments: pa.Table, tmp_path: Path) -> None:
    silent = np.arange(payments.num_rows) % 10 == 0
    fraud = pa.array(payments["is_fraud"].to_numpy(), mask=silent)
    path = tmp_path / "some.parquet"
    pa.parquet.write_table(payments.set_column(5, "is_fraud", fraud), path)
    stream = read_stream(options(path))
    assert (stream.truth == -1).sum() == silent.sum()
    assert len(stream.history.labels.payment) == (~silent).sum()
    found = evaluate(path, protocol=Protocol.SPLIT, since=START + timedelta(days=60))
    inside = payments["occurred_at"].cast("int64").to_numpy() >= (START + timedelta(days=60)).timestamp() * 1000
    assert found["weeks"][0]["tested"] == (inside & ~silent).sum()


def test_the_books_trees_and_seed_reach_the_training(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    monkeypatch.undo()
    book = judging.training_options(options(file, trees=Trees.BOOK, seed=3))
    assert (book.trees.iterations, book.trees.leaves, book.trees.learning_rate, book.trees.l2) == (200, 8, 0.05, 5.0)
    assert (book.trees.feature_share, book.seed) == (1.0, 3)
    assert judging.training_options(options(file)).trees == TreeOptions()


def test_the_gain_over_the_books_features(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `amount` alone for the book's features the whole vector must be better."""
    monkeypatch.setattr(judging, "BOOK_FEATURES", ("amount",))
    found = evaluate(file, gain=True, intervals=True, resamples=30, since=START + timedelta(days=60))
    [week] = [one for one in found["weeks"] if one["from"] == "2021-04-30"]
    assert week["gain"] == pytest.approx(week["average_precision"] - week["book_average_precision"])
    assert week["gain"] > 0.05
    low, high = week["gain_interval"]
    assert low < week["gain"] < high
    low, high = week["average_precision_interval"]
    assert low < week["average_precision"] < high
    assert found["gain"]["worst"] <= found["gain"]["mean"]


def test_a_catalogue_without_the_books_features_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "BOOK_FEATURES", ("amount", "no_such_feature"))
    with pytest.raises(InvalidInput, match="lacks the book's no_such_feature"):
        judging.columns(Features.BOOK)


def _ignore(_done: float) -> None:
    """Progress that nobody looks at."""


Change = Callable[[pa.Table], pa.Table]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table.drop_columns(["is_fraud"]), "does not say which payments were fraud"),
        (lambda table: table.drop_columns(["customer_id"]), "no column for customer_id"),
        (lambda table: table.slice(0, 160 * 20), "days of payments up to 2021-03-22 leave nothing"),
        (lambda table: table.set_column(5, "is_fraud", pa.array([0] * table.num_rows)), "nothing can be ranked"),
        (lambda table: table.slice(0, 0), "holds no payment"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_judged_gives_one_line(
    payments: pa.Table, tmp_path: Path, change: Change, said: str
) -> None:
    path = tmp_path / "payments.parquet"
    pa.parquet.write_table(change(payments), path)
    with pytest.raises(InvalidInput, match=said) as raised:
        evaluate(path)
    assert "\n" not in raised.value.detail


def test_a_file_that_is_no_payments_at_all(tmp_path: Path) -> None:
    path = tmp_path / "payments.parquet"
    path.write_bytes(b"not parquet")
    with pytest.raises(InvalidInput, match="cannot be read"):
        evaluate(path)


def test_a_window_without_frauds_says_so(payments: pa.Table, tmp_path: Path) -> None:
    early = payments["occurred_at"].cast("int64").to_numpy() < (START + timedelta(days=45)).timestamp() * 1000
    path = tmp_path / "late_frauds.parquet"
    pa.parquet.write_table(
        payments.set_column(5, "is_fraud", pa.array(np.where(early, 0, payments["is_fraud"].to_numpy()))), path
    )
    with pytest.raises(InvalidInput, match="all of one kind"):
        evaluate(path, since=START + timedelta(days=50))


def test_on_the_command_line(file: Path) -> None:
    runner = CliRunner()
    day = f"{START + timedelta(days=60):%Y-%m-%d}"
    common = ["evaluate", str(file), "--train-days", "14", "--warm-up-days", "7", "--since", day]
    shown = runner.invoke(app, [*common, "--json"])
    assert shown.exit_code == 0, shown.output
    assert json.loads(shown.stdout)["weeks"][0]["from"] == day
    table = runner.invoke(app, common)
    assert "simulated" in table.stdout
    assert day in table.stdout
    assert runner.invoke(app, ["evaluate", str(file), "--train-days", "0"]).exception.detail == (  # type: ignore[union-attr]
        "--train-days must be greater than 0"
    )
    assert runner.invoke(app, ["evaluate", "missing.parquet"]).exit_code == 2
