"""Files of the three formats become the same payments; what cannot be sent is counted and named."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from backend.intake import parse_transaction
from backend.replay.mapping import ColumnMap, parse_map, resolve
from backend.replay.options import ReplayOptions, parse_duration, parse_moment
from backend.replay.order import Span, in_time_order, survey, windows
from backend.replay.payments import Canonical, bodies, milliseconds, minor_units, text
from backend.replay.reading import BadRows, open_rows
from core.base.clock import from_ms, to_ms
from core.base.errors import InvalidInput
from core.base.ids import SourceId
from core.base.terms import LabelSource

HANDBOOK = ["TRANSACTION_ID", "TX_DATETIME", "CUSTOMER_ID", "TERMINAL_ID", "TX_AMOUNT", "TX_TIME_DAYS", "TX_FRAUD"]
ROWS = [
    {"transaction_id": "0001", "occurred_at": "2018-04-01T00:00:31", "amount": "57.16", "customer_id": "0596", "is_fraud": "0"},
    {"transaction_id": "0002", "occurred_at": "2018-04-01T00:02:10", "amount": "81.5", "customer_id": "4961", "is_fraud": "1"},
]  # fmt: skip
EXPECTED = [
    {"id": "0001", "occurred_at": "2018-04-01T00:00:31.000Z", "amount": "57.16", "currency": "EUR", "customer_id": "0596"},
    {"id": "0002", "occurred_at": "2018-04-01T00:02:10.000Z", "amount": "81.50", "currency": "EUR", "customer_id": "4961"},
]  # fmt: skip


def write(folder: Path, kind: str, rows: list[dict[str, Any]]) -> Path:
    path = folder / f"payments.{kind}"
    if kind == "parquet":
        pa.parquet.write_table(pa.Table.from_pylist(rows), path)
    elif kind.startswith("csv"):
        lines = [",".join(rows[0]), *(",".join(str(value) for value in row.values()) for row in rows)]
        content = ("\n".join(lines) + "\n").encode()
        path.write_bytes(gzip.compress(content) if kind.endswith("gz") else content)
    else:
        content = "".join(json.dumps(row) + "\n" for row in rows).encode()
        path.write_bytes(gzip.compress(content) if kind.endswith("gz") else content)
    return path


def read(
    path: Path, chosen: dict[str, str] | None = None, timezone: str = "UTC"
) -> tuple[list[dict[str, Any]], BadRows]:
    rows = open_rows(path)
    canonical, bad = Canonical(resolve(rows.columns, chosen or {}), "EUR", timezone), BadRows()
    return [body for batch in canonical.payments(rows, bad) for body in bodies(batch)], bad


@pytest.mark.parametrize("kind", ["parquet", "csv", "csv.gz", "ndjson", "ndjson.gz", "jsonl"])
def test_every_format_gives_the_same_payments_and_keeps_leading_zeros(tmp_path: Path, kind: str) -> None:
    payments, bad = read(write(tmp_path, kind, ROWS))
    assert payments == EXPECTED
    assert bad.count == 0


@pytest.mark.parametrize("kind", ["parquet", "csv", "ndjson"])
def test_labels_come_apart_from_the_payment(tmp_path: Path, kind: str) -> None:
    rows = open_rows(write(tmp_path, kind, ROWS))
    canonical = Canonical(resolve(rows.columns, {}), "EUR", "UTC")
    [window] = windows(canonical.payments(rows, BadRows()), 10, parse_duration("7d"))
    assert window.fraud == [0, 1]
    assert all("is_fraud" not in body for body in window.bodies)


def test_payments_are_what_the_api_accepts(tmp_path: Path) -> None:
    row = {
        "id": 7, "occurred_at": datetime(2019, 1, 1, 0, 12, 26), "amount": 503.45, "currency": "KWD", "customer_id": 16842,
        "card_token": "tok_1", "merchant_id": 823, "category": "gas", "country": "CI", "channel": "online", "device": "d1",
        "ip_address": "192.0.2.7", "email_hash": "ab12", "lat": 5.27, "lon": -3.6, "billing_country": "FR", "attributes": '{"a": 1}',
    }  # fmt: skip
    [body], bad = read(write(tmp_path, "parquet", [row]), {"attributes.where": "category"})
    assert bad.count == 0
    raw = json.dumps(body | {"attributes": json.loads(bytes(body["attributes"]))}).encode()
    payment = parse_transaction(raw, SourceId("shop"), datetime(2026, 1, 1, tzinfo=UTC)).payment
    assert payment.amount_minor == 503450
    assert payment.attributes == {"a": 1, "where": "gas"}
    assert (payment.card_id, payment.device_id, payment.ip) == ("tok_1", "d1", "192.0.2.7")
    assert (payment.merchant_id, payment.merchant_country) == ("823", "CI")
    assert (payment.latitude, payment.longitude) == (5.27, -3.6)


def test_the_handbooks_columns_are_recognised() -> None:
    found = resolve(HANDBOOK, {})
    assert found.fields == {
        "id": "TRANSACTION_ID", "occurred_at": "TX_DATETIME", "amount": "TX_AMOUNT", "customer_id": "CUSTOMER_ID",
        "merchant_id": "TERMINAL_ID", "is_fraud": "TX_FRAUD",
    }  # fmt: skip
    assert found.unused(HANDBOOK) == ["TX_TIME_DAYS"]


def test_the_merchants_place_is_preferred_to_the_customers() -> None:
    columns = [
        "trans_num",
        "trans_date_trans_time",
        "amt",
        "customer",
        "lat",
        "long",
        "merch_lat",
        "merch_long",
        "category",
    ]
    found = resolve(columns, {})
    assert (found.fields["latitude"], found.fields["longitude"]) == ("merch_lat", "merch_long")
    assert found.fields["merchant_category"] == "category"


def test_a_chosen_column_serves_nothing_else() -> None:
    found = resolve(
        ["id", "time", "amount", "user_id", "account_id"], {"customer_id": "account_id", "card_id": "user_id"}
    )
    assert (found.fields["customer_id"], found.fields["card_id"]) == ("account_id", "user_id")


@pytest.mark.parametrize(
    ("columns", "chosen", "says"),
    [
        (["id", "time", "amount"], {}, r"no column for customer_id; the file has: id, time, amount. .* --map customer_id=COLUMN"),
        (["a", "b"], {}, "no column for id, occurred_at, amount and customer_id"),
        (["a"], {"amount": "x"}, "the file has no column 'x'"),
        (["a"], {"sum": "a"}, "there is no field 'sum'"),
    ],
)  # fmt: skip
def test_an_unusable_map_says_what_is_there(columns: list[str], chosen: dict[str, str], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        resolve(columns, chosen)


def test_map_options() -> None:
    assert parse_map(["amount=TX_AMOUNT", "attributes.a=b=c"]) == {"amount": "TX_AMOUNT", "attributes.a": "b=c"}
    with pytest.raises(InvalidInput, match="FIELD=COLUMN"):
        parse_map(["amount"])


def test_bad_rows_are_counted_and_the_first_are_named(tmp_path: Path) -> None:
    path = tmp_path / "payments.csv"
    path.write_text(
        "id,time,amount,customer_id,is_fraud\n"
        "1,2020-01-01,10,c,0\n2,soon,10,c,0\n3,2020-01-01,ten,c,0\n4,2020-01-01,10,,0\n5,2020-01-01,10,c,maybe\n"
        "6,2020-01-01,-1,c,0\n,2020-01-01,1,c,0\n8,2020-01-01\n9,2020-01-02,1,c,\n"
    )
    payments, bad = read(path)
    assert [body["id"] for body in payments] == ["1", "9"]
    assert bad.count == 7
    assert "a line has 2 values, not 5" in bad.first
    assert "row 2: occurred_at is 'soon'" in bad.first
    assert "row 4: customer_id is missing" in bad.first
    assert len(bad.first) == 5


def test_broken_json_lines_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "payments.ndjson"
    path.write_text(json.dumps(ROWS[0]) + "\n{broken\n\n" + json.dumps(ROWS[1]) + "\n")
    payments, bad = read(path)
    assert payments == EXPECTED
    assert bad.count == 1
    assert bad.first[0].startswith("line 2: ")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("gone.csv", None, "there is no file"),
        ("payments.xlsx", b"PK", "the format is told by the name"),
        ("payments.parquet", b"not parquet at all", "payments.parquet cannot be read"),
        ("payments.csv", b"", "payments.csv cannot be read"),
        ("payments.ndjson", b"[1, 2]\n", "holds no JSON object"),
        ("payments.csv.gz", b"not gzip", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_sentence(
    tmp_path: Path, name: str, content: bytes | None, says: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidInput, match=says) as caught:
        open_rows(path)
    assert "\n" not in caught.value.detail


def test_a_truncated_file_is_an_error_not_a_shorter_file(tmp_path: Path) -> None:
    whole = write(tmp_path, "ndjson.gz", ROWS * 500).read_bytes()
    cut = tmp_path / "cut.ndjson.gz"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InvalidInput, match="cannot be read"):
        read(cut)


@pytest.mark.parametrize(
    ("values", "timezone"),
    [
        (["2020-03-01T12:00:00Z"], "UTC"),
        (["2020-03-01 13:00:00+01:00"], "UTC"),
        (["2020-03-01 13:00:00"], "Europe/Paris"),
        ([1583064000], "UTC"),
        ([1583064000000], "UTC"),
        ([1583064000000000], "UTC"),
        ([1583064000.0], "UTC"),
        (["1583064000"], "UTC"),
        ([datetime(2020, 3, 1, 13)], "Europe/Paris"),
        ([datetime(2020, 3, 1, 12, tzinfo=UTC)], "Europe/Paris"),
    ],
)
def test_times_in_any_usual_form(values: list[Any], timezone: str) -> None:
    expected = to_ms(datetime(2020, 3, 1, 12, tzinfo=UTC))
    assert milliseconds(pa.array(values), timezone).tolist() == [expected]


def test_amounts_are_rounded_to_the_currencys_digits() -> None:
    currencies = pa.array(["EUR", "JPY", "KWD", "EUR"])
    amounts = pa.array([57.15999984741211, 249.4, 503.4501, 0.005], pa.float64())
    assert minor_units(amounts, currencies).tolist() == [5716, 249, 503450, 0]


def test_whole_floats_are_ids_without_a_fraction() -> None:
    assert text(pa.array([12.0, None, float("nan")])).to_pylist() == ["12", None, None]
    assert text(pa.array(["a", " ", "b"]).dictionary_encode()).to_pylist() == ["a", None, "b"]


def test_a_file_out_of_order_is_sorted_and_ties_keep_the_files_order(tmp_path: Path) -> None:
    times = ["2020-01-03", "2020-01-01", "2020-01-02", "2020-01-01"]
    rows = [{"id": str(n), "time": time, "amount": 1, "customer_id": "c"} for n, time in enumerate(times)]
    source = open_rows(write(tmp_path, "csv", rows))
    canonical = Canonical(resolve(source.columns, {}), "EUR", "UTC")
    found = survey(source, canonical, Span())
    assert (found.total, found.in_order) == (4, False)
    batches = in_time_order(source, canonical, Span(limit=3), sorted_already=False, bad=BadRows())
    assert [body["id"] for batch in batches for body in bodies(batch)] == ["1", "3", "2"]


def test_a_span_takes_from_until_and_the_first_n(tmp_path: Path) -> None:
    rows = [{"id": str(day), "time": f"2020-01-{day:02d}", "amount": 1, "customer_id": "c"} for day in range(1, 29)]
    source = open_rows(write(tmp_path, "csv", rows))
    canonical = Canonical(resolve(source.columns, {}), "EUR", "UTC")
    span = Span.of(parse_moment("2020-01-05"), parse_moment("2020-01-20"), 3)
    found = survey(source, canonical, span)
    assert (found.total, found.in_order) == (3, True)
    batches = in_time_order(source, canonical, span, sorted_already=True, bad=BadRows())
    assert [body["id"] for batch in batches for body in bodies(batch)] == ["5", "6", "7"]


def test_windows_are_small_and_shorter_than_the_label_delay() -> None:
    minutes = [0, 1, 2, 3, 58, 60, 61, 200]
    table = pa.table(
        {
            "id": [str(m) for m in minutes],
            "occurred_ms": pa.array([m * 60_000 for m in minutes], pa.int64()),
            "amount": ["1.00"] * 8,
            "currency": ["EUR"] * 8,
            "customer_id": ["c"] * 8,
        }
    )
    cut = windows(iter(table.to_batches(max_chunksize=3)), 4, parse_duration("1h"))
    assert [[from_ms(t).minute + 60 * from_ms(t).hour for t in window.times] for window in cut] == [
        [0, 1, 2, 3],
        [58, 60, 61],
        [200],
    ]


def test_options_are_checked() -> None:
    good: dict[str, Any] = {"file": Path("x"), "url": "http://x", "key": "k"}
    wrong: list[dict[str, Any]] = [
        {"batch": 0}, {"batch": 1001}, {"rate": 0.0}, {"limit": -1}, {"concurrency": 0}, {"currency": "euro"},
        {"timezone": "Mars/Olympus"}, {"label_delay": parse_duration("0s")}, {"label_source": LabelSource.ANALYST},
    ]  # fmt: skip
    for one in wrong:
        with pytest.raises(InvalidInput, match="--"):
            ReplayOptions(**good, **one)
    for value in ("7", "d", "7y", ""):
        with pytest.raises(InvalidInput, match="duration"):
            parse_duration(value)
    with pytest.raises(InvalidInput, match="date or time"):
        parse_moment("yesterday")
    assert parse_moment("2018-07-01", "Europe/Paris").astimezone(UTC) == datetime(2018, 6, 30, 22, tzinfo=UTC)


def test_a_map_names_each_column_once() -> None:
    assert ColumnMap({"id": "a", "amount": "b"}, {"x": "b"}).columns == ["a", "b"]
