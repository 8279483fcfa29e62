"""Who may do what in the database: the application's role, and the triggers that keep append-only tables so."""

APP_ROLE = "ronda_app"

AUDIT_COLUMNS = "event_id, actor_type, actor_id, action, subject_type, subject_id, result, detail, written_at, leaf"
"""Only these may be set: `id`, `xid` and `at` cannot be forged by the application."""

SEALER_ROLE = "ronda_sealer"
"""Adds seals and checkpoints, reads what they are made from, and may do nothing else."""

SCORER_ROLE = "ronda_score"
"""Decides, and may do nothing else: it reads no person's account or key, and changes no policy, list, label or model."""

APPEND_ONLY = ("audit_event", "decision", "label", "note", "policy", "transaction")
"""Tables of the first revision."""


def refusing(table: str) -> str:
    """The trigger that keeps a table, or one of its partitions, append-only, also for its owner."""
    return (
        f'CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON "{table}" '
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def _role(name: str) -> tuple[str, ...]:
    """Roles belong to the whole server: another database may have it already."""
    return (
        f"""DO $$ BEGIN
        CREATE ROLE {name} NOLOGIN;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$""",
        f"GRANT {name} TO CURRENT_USER",
        f"GRANT USAGE ON SCHEMA public TO {name}",
    )


STATEMENTS: tuple[str, ...] = (
    *_role(APP_ROLE),
    f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {APP_ROLE}",
    *(f'GRANT INSERT ON "{table}" TO {APP_ROLE}' for table in APPEND_ONLY if table != "audit_event"),
    f"GRANT INSERT ({AUDIT_COLUMNS}) ON audit_event TO {APP_ROLE}",
    f"GRANT INSERT, UPDATE ON source, app_user, api_key, alert, model, training_run TO {APP_ROLE}",
    f"GRANT INSERT, UPDATE, DELETE ON outbox, user_session, dead_letter TO {APP_ROLE}",
    """CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
    END $$""",
    *(refusing(table) for table in APPEND_ONLY),
)


def append_only(table: str) -> tuple[str, ...]:
    """For a table that a later revision makes: the application reads and adds, and nobody changes."""
    return (f'GRANT SELECT, INSERT ON "{table}" TO {APP_ROLE}', refusing(table))


AUDIT_EVENT: tuple[str, ...] = (
    f"GRANT SELECT ON audit_event TO {APP_ROLE}, {SEALER_ROLE}",
    f"GRANT INSERT ({AUDIT_COLUMNS}) ON audit_event TO {APP_ROLE}",
    refusing("audit_event"),
)
"""For the table made anew by month."""

SEALER: tuple[str, ...] = (
    *_role(SEALER_ROLE),
    f"GRANT SELECT ON audit_event, audit_seal, audit_checkpoint TO {SEALER_ROLE}",
    f"GRANT INSERT ON audit_seal, audit_checkpoint TO {SEALER_ROLE}",
    f"GRANT SELECT ON audit_seal, audit_checkpoint TO {APP_ROLE}",
    *(refusing(table) for table in ("audit_seal", "audit_checkpoint")),
)

_JUDGED_AGAIN = (
    "status, closed_at, version, outcome, score, expected_loss_minor, top_reason, reason_code, reason_features, reason_vector, "
    "catalogue_version"
)
"""Of an alert."""
_READ_TO_DECIDE = "transaction, decision, alert, note, label, source, policy, model, list_entry, shadow_score, outbox, scoring_trouble"
SCORER: tuple[str, ...] = (
    *_role(SCORER_ROLE),
    f"GRANT SELECT ON {_READ_TO_DECIDE} TO {SCORER_ROLE}",
    f"GRANT INSERT ON decision, alert, shadow_score, outbox, scoring_trouble TO {SCORER_ROLE}",
    f"GRANT INSERT ({AUDIT_COLUMNS}) ON audit_event TO {SCORER_ROLE}",
    f"GRANT UPDATE ({_JUDGED_AGAIN}) ON alert TO {SCORER_ROLE}",
    f"GRANT UPDATE (sent_at) ON outbox TO {SCORER_ROLE}",
    f"GRANT UPDATE (attempts, failure, resends, resent_at) ON scoring_trouble TO {SCORER_ROLE}",
)
