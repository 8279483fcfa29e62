"""Places in long lists, as addresses carry them: a time and an id, after which the next page begins."""

from datetime import UTC, datetime
from uuid import UUID

from console.i18n import gettext as _
from core.base.errors import InvalidInput

_FORM = "%Y%m%dT%H%M%S.%f%z"


def place_text(moment: datetime, ident: UUID) -> str:
    return f"{moment.astimezone(UTC):{_FORM}}_{ident}"


def read_place(text: str) -> tuple[datetime, UUID] | None:
    """None for no text. Raises InvalidInput on anything that `place_text` did not make."""
    if not text:
        return None
    when, _sep, ident = text.partition("_")
    try:
        return datetime.strptime(when, _FORM), UUID(ident)
    except ValueError as error:
        raise InvalidInput(_("This link to a further page is damaged. Search again.")) from error
