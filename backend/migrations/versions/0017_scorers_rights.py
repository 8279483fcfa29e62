"""The scorer's own role: it decides, and can neither read accounts nor change what it decides by."""

from alembic import op

from backend.migrations.rights import SCORER

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    for statement in SCORER:
        op.execute(statement)
