"""The audit trail by month, like the transactions and decisions it tells of."""

from alembic import op

from backend.migrations import rights
from backend.migrations.partitions import partition_by_month

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    partition_by_month("audit_event", "event_id", primary_key="event_id")
    op.create_index("audit_by_id", "audit_event", ["id"])
    op.execute(  # the rows kept their numbers; the new table's begin after them
        "SELECT setval(pg_get_serial_sequence('audit_event', 'id'), max(id)) FROM audit_event HAVING max(id) IS NOT NULL"
    )
    for statement in rights.AUDIT_EVENT:
        op.execute(statement)
