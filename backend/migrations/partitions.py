"""Tables that grow for ever are kept by month: one partition each, by the time inside their version 7 key.

The key's first 48 bits are the millisecond it was made at, so a range of keys is a range of time, and the primary key stays unique over
all partitions without naming a second column.
"""

from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from alembic import op

from backend.migrations.rights import APP_ROLE, refusing

MONTHS_AHEAD: Final = 3

FIRST_KEY = """CREATE FUNCTION first_key_of(moment timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$"""
"""The least key that can be made at that moment."""

MAKE = """CREATE FUNCTION make_month_partitions(since timestamptz, months_ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public SET lock_timeout = '3s' SET timezone = 'UTC' AS $$
DECLARE
    parent name; month timestamptz; part text; made integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('make_month_partitions'));
    FOR parent IN
        SELECT c.relname FROM pg_partitioned_table p JOIN pg_class c ON c.oid = p.partrelid
        WHERE p.partstrat = 'r' AND c.relnamespace = 'public'::regnamespace ORDER BY c.relname
    LOOP
        month := date_trunc('month', since);
        WHILE month <= date_trunc('month', now()) + make_interval(months => months_ahead) LOOP
            part := format('%s_%s', parent, to_char(month, 'YYYY_MM'));
            IF to_regclass(format('public.%I', part)) IS NULL THEN
                EXECUTE format('CREATE TABLE public.%I PARTITION OF public.%I FOR VALUES FROM (%L) TO (%L)',
                    part, parent, first_key_of(month), first_key_of(month + interval '1 month'));
                EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON public.%I '
                    'FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', part);
                made := made + 1;
            END IF;
            month := month + interval '1 month';
        END LOOP;
    END LOOP;
    RETURN made;
EXCEPTION WHEN lock_not_available THEN
    RETURN -1;
END $$"""
"""How many were made; -1 = the tables were busy for 3 s, and whoever reads them must not queue up behind this. The application may call it,
and so make partitions, without the right to make tables.
"""

FUNCTIONS: Final = (
    FIRST_KEY,
    MAKE,
    "REVOKE ALL ON FUNCTION make_month_partitions(timestamptz, integer) FROM PUBLIC",
    f"GRANT EXECUTE ON FUNCTION make_month_partitions(timestamptz, integer) TO {APP_ROLE}",
)


@dataclass(frozen=True)
class _Constraint:
    table: str
    name: str
    definition: str


def partition_by_month(table: str, key: str, *, primary_key: str) -> None:
    """Turns an append-only table into one with a partition for each month of `key`, its rows, indexes, references and rights kept.

    primary_key: columns, `key` among them. Constraints of another kind than references are the caller's to make again.
    """
    old = f"{table}_unpartitioned"
    references, referring = _constraints(table, "conrelid"), _constraints(table, "confrelid")
    indexes = [row[0] for row in _rows(
        "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = CAST(:table AS regclass) "
        "AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)", table=f'public."{table}"',
    )]  # fmt: skip
    for one in {(each.table, each.name) for each in (*references, *referring)}:
        op.execute(f"ALTER TABLE {one[0]} DROP CONSTRAINT {one[1]}")
    op.execute(f'ALTER TABLE "{table}" RENAME TO {old}')
    op.execute(f'CREATE TABLE "{table}" (LIKE {old} INCLUDING DEFAULTS INCLUDING IDENTITY) PARTITION BY RANGE ({key})')
    op.execute(f'CREATE TABLE {table}_other PARTITION OF "{table}" DEFAULT')
    op.execute(refusing(f"{table}_other"))
    first = _rows(f"SELECT min({key}::text) FROM {old}")[0][0]  # noqa: S608 - names of ours
    since = int(first.replace("-", "")[:12], 16) / 1000 if first else None
    make_partitions("now()" if since is None else f"to_timestamp({since})")
    op.execute(f'INSERT INTO "{table}" OVERRIDING SYSTEM VALUE SELECT * FROM {old}')  # noqa: S608
    op.execute(f"DROP TABLE {old}")
    op.execute(f'ALTER TABLE "{table}" ADD PRIMARY KEY ({primary_key})')
    for definition in indexes:
        op.execute(definition)
    for each in (*references, *referring):
        op.execute(f"ALTER TABLE {each.table} ADD CONSTRAINT {each.name} {each.definition}")


def make_partitions(since: str) -> None:
    """since: SQL of a moment; months before it that already have partitions keep them."""
    op.execute(f"SELECT make_month_partitions({since}, {MONTHS_AHEAD})")


def _constraints(table: str, side: str) -> list[_Constraint]:
    query = (
        "SELECT conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid) FROM pg_constraint "  # noqa: S608
        f"WHERE contype = 'f' AND conparentid = 0 AND {side} = CAST(:table AS regclass)"
    )
    return [_Constraint(*row) for row in _rows(query, table=f'public."{table}"')]


def _rows(query: str, **values: Any) -> list[Any]:
    return list(op.get_bind().execute(sa.text(query), values))
