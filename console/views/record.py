"""What is stored about an alert, for those who ask to see it as it is."""

import json
from dataclasses import dataclass

from console.i18n import gettext as _
from core.tables.casework import Alert
from core.tables.flow import Decision, Transaction


@dataclass(frozen=True)
class RawRecord:
    title: str
    text: str


def raw_records(alert: Alert, row: Transaction, decision: Decision | None) -> list[RawRecord]:
    """Without `xid`, which only says in what order things were committed."""
    records = [(_("Payment"), row), (_("Alert"), alert), *([(_("Decision"), decision)] if decision else [])]
    return [
        RawRecord(title, json.dumps(record.model_dump(exclude={"xid"}), default=str, indent=2, ensure_ascii=False))
        for title, record in records
    ]
