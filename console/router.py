"""The console as one Litestar router, its static files, and its templates."""

from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Router
from litestar.config.compression import CompressionConfig
from litestar.middleware import DefineMiddleware
from litestar.middleware.compression import CompressionMiddleware
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.template import TemplateConfig

from console.access import PageHeaders, SessionMiddleware, only_from_here
from console.assets import ASSETS, static_router
from console.i18n import teach
from console.keys import shortcuts
from console.navigation import WaitingLetters
from console.pages import (
    alert,
    audit,
    audit_acts,
    behind,
    bulk,
    dead_letters,
    desk,
    dossier,
    entity,
    jump,
    labels,
    lists,
    model,
    models,
    overview,
    queue,
    saved_views,
    settings,
    sign_in,
    transactions,
    verdicts,
    what_if,
)
from console.reading import ReaderMiddleware
from console.stream import alert_stream, live_updates, models_stream, queue_stream
from console.views.people import ROLES

__all__ = ["live_updates", "make_console_router", "static_router", "template_config"]

_FORM_BYTES = 64 * 1024
"""Largest body any form of ours can send."""

HANDLERS = [
    sign_in.sign_in_page,
    sign_in.sign_in,
    sign_in.sign_out,
    sign_in.stay_signed_in,
    settings.settings_page,
    settings.save_profile,
    settings.change_password,
    settings.end_session,
    settings.end_other_sessions,
    settings.choose_theme,
    settings.choose_keys,
    jump.jump_page,
    settings.choose_language,
    overview.overview_page,
    queue.queue_page,
    saved_views.views_page,
    saved_views.save_view,
    saved_views.rename_view,
    saved_views.share_view,
    saved_views.delete_view,
    alert.alert_page,
    alert.similar_page,
    dossier.dossier_page,
    alert.timeline_page,
    alert.record_page,
    desk.take_next,
    desk.nothing_left,
    bulk.bulk_preview,
    bulk.bulk,
    bulk.bulk_undo,
    desk.claim,
    desk.keep,
    desk.release,
    desk.hand_over,
    verdicts.decide,
    verdicts.undo,
    verdicts.reopen,
    desk.add_note,
    transactions.transactions_page,
    transactions.transaction_page,
    behind.behind_page,
    labels.labels_page,
    what_if.what_if_page,
    entity.entity_page,
    lists.lists_page,
    lists.add,
    lists.extend,
    lists.end,
    models.models_page,
    models.train,
    models.cancel_run,
    models.start_shadow,
    models.stop_shadow,
    models.promote,
    models.refuse,
    models.rollback,
    model.model_page,
    model.model_json,
    model.model_markdown,
    dead_letters.dead_letters_page,
    dead_letters.dead_letter_page,
    dead_letters.redrive_reason,
    dead_letters.redrive,
    dead_letters.discard,
    audit.audit_page,
    audit.audit_proof,
    audit_acts.verify,
    audit_acts.export_trail,
    queue_stream,
    alert_stream,
    models_stream,
]


_SMALLER: Final = DefineMiddleware(
    CompressionMiddleware, config=CompressionConfig(backend="gzip", gzip_compress_level=5, exclude=[r"^/stream/"])
)
"""Pages repeat themselves. A stream's messages are small and must leave at once."""


def make_console_router() -> Router:
    return Router(
        "/",
        route_handlers=HANDLERS,
        guards=[only_from_here],
        middleware=[_SMALLER, PageHeaders(), SessionMiddleware(), ReaderMiddleware(), WaitingLetters()],
        include_in_schema=False,
        request_max_body_size=_FORM_BYTES,
    )


def templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    teach(environment)
    environment.globals |= {"asset": ASSETS.href, "shortcuts": shortcuts, "roles": ROLES}
    return environment


def template_config() -> TemplateConfig[JinjaTemplateEngine]:
    return TemplateConfig(instance=JinjaTemplateEngine.from_environment(templates()))
