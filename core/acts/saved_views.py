"""The queue's views that people keep. Each act = one unit of work + audit."""

from uuid import UUID

from core.acts.audit import Event, record
from core.acts.people import SessionUser
from core.base.clock import utc_now
from core.base.errors import Forbidden, InvalidInput, NotFound
from core.base.ids import new_uuid
from core.base.terms import Action, Role
from core.infra.postgres import UnitOfWork
from core.stores import saved_views
from core.tables.casework import SavedView

MAX_NAME = 40
MAX_QUERY = 2000
MOST_VIEWS = 30
"""That one person may keep."""
_SHARERS = (Role.ANALYST, Role.LEAD, Role.ADMIN)
_LEADS = (Role.LEAD, Role.ADMIN)


def may_change(view: SavedView, by: SessionUser) -> bool:
    return view.owner_id == by.user.id


def may_delete(view: SavedView, by: SessionUser) -> bool:
    """One's own; a lead also what others share."""
    return may_change(view, by) or (view.shared and Role(by.user.role) in _LEADS)


def may_share(by: SessionUser) -> bool:
    return Role(by.user.role) in _SHARERS


def _event(action: Action, view: SavedView, by: SessionUser, **detail: str) -> Event:
    return Event(by.actor, action, "view", str(view.id), {"name": view.name, **detail})


def _name(name: str) -> str:
    words = " ".join(name.split())
    if not words or len(words) > MAX_NAME or not words.isprintable():
        raise InvalidInput(f"A view's name has 1 to {MAX_NAME} characters.")
    return words


async def _free_name(work: UnitOfWork, name: str, by: SessionUser) -> str:
    words = _name(name)
    taken = await saved_views.view_named(work, by.user.id, words)
    if taken:
        raise InvalidInput(f"You have a view named {words} already.", taken=str(taken.id))
    return words


async def _found(work: UnitOfWork, view_id: UUID, by: SessionUser) -> SavedView:
    """Locked; what somebody else keeps for themselves does not exist."""
    view = await saved_views.view_for_update(work, view_id)
    if view is None or not (view.shared or may_change(view, by)):
        raise NotFound("There is no such view.")
    return view


async def _own(work: UnitOfWork, view_id: UUID, by: SessionUser) -> SavedView:
    view = await _found(work, view_id, by)
    if not may_change(view, by):
        raise Forbidden("Only its owner can change a view.")
    return view


async def save(work: UnitOfWork, name: str, query: str, *, by: SessionUser, replace: bool = False) -> SavedView:
    """`query`: as the console spells a view in an address. replace: in place of one's own view of that name, where there is one."""
    if len(query) > MAX_QUERY:
        raise InvalidInput("This view has too many filters to be kept.")
    before = await saved_views.view_named(work, by.user.id, _name(name)) if replace else None
    if before:
        return await _replace(work, before, query, by)
    words = await _free_name(work, name, by)
    if await saved_views.count_of(work, by.user.id) >= MOST_VIEWS:
        raise InvalidInput(f"You keep {MOST_VIEWS} views already. Delete one first.")
    view = SavedView(id=new_uuid(), owner_id=by.user.id, name=words, query=query, shared=False, created_at=utc_now())
    await saved_views.save(work, view)
    await record(work, _event(Action.VIEW_SAVE, view, by, query=query))
    return view


async def _replace(work: UnitOfWork, view: SavedView, query: str, by: SessionUser) -> SavedView:
    """Who shares it still does."""
    old, view.query = view.query, query
    await saved_views.save(work, view)
    await record(work, _event(Action.VIEW_SAVE, view, by, query=query, before=old))
    return view


async def rename(work: UnitOfWork, view_id: UUID, name: str, *, by: SessionUser) -> SavedView:
    view = await _own(work, view_id, by)
    if " ".join(name.split()) == view.name:
        return view
    before, view.name = view.name, await _free_name(work, name, by)
    await saved_views.save(work, view)
    await record(work, _event(Action.VIEW_RENAME, view, by, before=before))
    return view


async def share(work: UnitOfWork, view_id: UUID, shared: bool, *, by: SessionUser) -> SavedView:
    view = await _own(work, view_id, by)
    if not may_share(by):
        raise Forbidden("Your role cannot share views.")
    if view.shared != shared:
        view.shared = shared
        await saved_views.save(work, view)
        await record(work, _event(Action.VIEW_SHARE if shared else Action.VIEW_UNSHARE, view, by))
    return view


async def delete(work: UnitOfWork, view_id: UUID, *, by: SessionUser) -> SavedView:
    view = await _found(work, view_id, by)
    if not may_delete(view, by):
        raise Forbidden("Only its owner or a lead can delete a shared view.")
    await saved_views.delete(work, view)
    await record(work, _event(Action.VIEW_DELETE, view, by, query=view.query))
    return view
