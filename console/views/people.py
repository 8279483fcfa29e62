"""What people may do, in words."""

from typing import Final

from console.i18n import Words, marked
from core.base.terms import Role

ROLES: Final = Words(
    {
        Role.VIEWER: marked("Viewer"),
        Role.ANALYST: marked("Analyst"),
        Role.LEAD: marked("Lead"),
        Role.ADMIN: marked("Admin"),
    }
)
