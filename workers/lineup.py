"""The models and the policy in force, kept warm in a scorer and swapped between two batches."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import structlog

from core.acts import registry
from core.acts.audit import system
from core.base.errors import ModelRefused, RondaError, Unavailable
from core.contracts.topology import BELL_LISTS, BELL_MODELS
from core.infra.redis import listen
from core.infra.resources import Resources
from core.rules.engine import RuleSet, parse_rules
from core.rules.lists import Lists
from core.rules.outcome import Thresholds
from core.stores import policy
from core.tables.policy import Policy, RegisteredModel
from models.features.catalogue import CATALOGUE_VERSION
from models.scoring.explainer import Explainer
from models.scoring.scorer import Scorer
from workers.listed import ListsKeeper

log = structlog.get_logger()
CAUTIOUS = Thresholds(review=0.5, decline=0.95)
"""Used only while there is neither a model nor a policy with thresholds."""
REFUSED_AGAIN_S = 60.0
"""A refused model is looked at again after this long: its artifact may have been put back."""
AWAY_AGAIN_S = 5.0
IN_USE, SHADOWS = "in use", "scores as a shadow"


@dataclass(frozen=True)
class WarmModel:
    """A model that was verified and loaded, with its explainer."""

    id: str
    scorer: Scorer
    explainer: Explainer


@dataclass(frozen=True)
class Shadow:
    """A model whose answers are stored and not acted on."""

    model: WarmModel
    thresholds: Thresholds


@dataclass(frozen=True)
class Lineup:
    """What one batch is decided with; a batch never sees two."""

    policy_version: int
    rules: RuleSet
    thresholds: Thresholds
    champion: WarmModel | None
    shadows: tuple[Shadow, ...] = ()
    lists: Lists = field(default_factory=Lists)


class LineupKeeper:
    """Reads PostgreSQL when the doorbell rings and every second; a model that does not load leaves the last one in use."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._warm: dict[str, WarmModel] = {}
        self._not_before: dict[str, float] = {}
        self._told: dict[str, str] = {}
        self._lists = ListsKeeper()
        self.current: Lineup | None = None

    async def follow(self) -> None:
        """For ever: keep `current` up to date."""
        async for _ in listen(self._resources.redis, [BELL_MODELS, BELL_LISTS]):
            try:
                await self.refresh()
            except RondaError as error:
                log.warning("the lineup could not be read", detail=error.detail)

    async def refresh(self) -> Lineup:
        async with self._resources.postgres.reading() as work:
            rules, champion = await policy.current_policy(work), await policy.champion(work)
            shadows, lists = await policy.shadows(work), await self._lists.refresh(work)
        for model in [champion, *shadows]:
            if model and model.id not in self._warm and time.monotonic() >= self._not_before.get(model.id, 0.0):
                await self._warm_up(model)
        self._take_up(rules, champion, shadows)
        assert self.current is not None
        if self.current.lists is not lists:
            self.current = replace(self.current, lists=lists)
        await self._tell_roles()
        self._cool_down(champion, shadows)
        return self.current

    def _take_up(
        self, rules: Policy | None, champion: RegisteredModel | None, shadows: Sequence[RegisteredModel]
    ) -> None:
        """One new value in one assignment: a batch that has begun keeps the one it took."""
        last = self.current.champion if self.current else None
        warm = (self._warm.get(champion.id) if champion else None) or last
        beside = [
            self._warm[model.id] for model in shadows if model.id in self._warm and model.id != (warm and warm.id)
        ]
        wanted = (rules.version if rules else 0, warm, beside)
        now = self.current and (
            self.current.policy_version,
            self.current.champion,
            [s.model for s in self.current.shadows],
        )
        if wanted != now:
            self.current = Lineup(
                policy_version=wanted[0],
                rules=parse_rules(rules.rules if rules else []),
                thresholds=_thresholds(rules, warm),
                champion=warm,
                shadows=tuple(Shadow(model, _thresholds(rules, model)) for model in beside),
                lists=self.current.lists if self.current else Lists(),
            )

    async def _warm_up(self, model: RegisteredModel) -> None:
        """Verify and load in a thread, so that scoring goes on with the old lineup meanwhile."""
        try:
            self._warm[model.id] = await asyncio.to_thread(self._load, model)
        except ModelRefused as error:
            self._not_before[model.id] = time.monotonic() + REFUSED_AGAIN_S
            await self._tell(model.id, error.detail, ok=False)
        except Unavailable as error:
            self._not_before[model.id] = time.monotonic() + AWAY_AGAIN_S
            log.warning("the model could not be fetched", id=model.id, detail=error.detail)

    def _load(self, model: RegisteredModel) -> WarmModel:
        if model.catalogue_version != CATALOGUE_VERSION:
            raise ModelRefused(f"made for feature catalogue {model.catalogue_version}, this is {CATALOGUE_VERSION}")
        scorer = Scorer.load(self._resources.artifacts.get(model.artifact_sha))
        return WarmModel(model.id, scorer, Explainer(scorer))

    def _cool_down(self, champion: RegisteredModel | None, shadows: Sequence[RegisteredModel]) -> None:
        """Forget models nobody needs. The one a rollback returns to stays."""
        kept = {model.id for model in shadows}
        kept |= {champion.id, champion.replaced or ""} if champion else set()
        if self.current and self.current.champion:
            kept.add(self.current.champion.id)
        self._warm = {name: model for name, model in self._warm.items() if name in kept}

    async def _tell_roles(self) -> None:
        if self.current is None:
            return
        roles = {shadow.model.id: SHADOWS for shadow in self.current.shadows}
        if self.current.champion:
            roles[self.current.champion.id] = IN_USE
        self._told = {name: told for name, told in self._told.items() if name in roles or told not in (IN_USE, SHADOWS)}
        for name, role in roles.items():
            await self._tell(name, role, ok=True)

    async def _tell(self, model_id: str, detail: str, *, ok: bool) -> None:
        """On the log and on the audit trail, once for each change."""
        if self._told.get(model_id) == detail:
            return
        log.info("model", id=model_id, ok=ok, detail=detail)
        async with self._resources.postgres.unit_of_work() as work:
            await registry.note_load(work, model_id, ok=ok, detail=detail, by=system("score"))
        self._told[model_id] = detail


def _thresholds(rules: Policy | None, model: WarmModel | None) -> Thresholds:
    """The policy's where it names them, else the model's own."""
    own = model.scorer.thresholds if model else CAUTIOUS
    review = rules.review_at if rules and rules.review_at is not None else own.review
    decline = rules.decline_at if rules and rules.decline_at is not None else own.decline
    return Thresholds(review, decline)
