"""How a person reads and works, and what their sessions' browsers call themselves."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.add_column("app_user", sa.Column("language", sa.String(), nullable=True))
    op.add_column("app_user", sa.Column("time_zone", sa.String(), nullable=True))
    op.add_column("app_user", sa.Column("theme", sa.String(), nullable=False, server_default="system"))
    op.add_column("app_user", sa.Column("density", sa.String(), nullable=False, server_default="compact"))
    op.add_column("app_user", sa.Column("single_keys", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.add_column("user_session", sa.Column("agent", sa.String(), nullable=False, server_default=""))
