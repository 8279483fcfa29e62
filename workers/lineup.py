"""The champion model and the policy in force, kept warm in a scorer and swapped between two batches."""

import asyncio
from dataclasses import dataclass

import structlog

from core.acts import registry
from core.acts.audit import system
from core.base.errors import ModelRefused, RondaError
from core.contracts.topology import BELL_MODELS
from core.infra.redis import listen
from core.infra.resources import Resources
from core.rules.engine import RuleSet, parse_rules
from core.rules.outcome import Thresholds
from core.stores import policy
from core.tables.policy import Policy, RegisteredModel
from models.features.catalogue import CATALOGUE_VERSION
from models.scoring.explainer import Explainer
from models.scoring.scorer import Scorer

log = structlog.get_logger()
CAUTIOUS = Thresholds(review=0.5, decline=0.95)
"""Used only while there is neither a model nor a policy with thresholds."""


@dataclass(frozen=True)
class Champion:
    """A model in use, with its explainer."""

    id: str
    scorer: Scorer
    explainer: Explainer


@dataclass(frozen=True)
class Lineup:
    """What one batch is decided with; a batch never sees two."""

    policy_version: int
    rules: RuleSet
    thresholds: Thresholds
    champion: Champion | None


class LineupKeeper:
    """Reads PostgreSQL when the doorbell rings and every second; a model that does not load leaves the last one in use."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._champion: Champion | None = None
        self._refused: set[str] = set()
        self.current: Lineup | None = None

    async def follow(self) -> None:
        """For ever: keep `current` up to date."""
        async for _ in listen(self._resources.redis, [BELL_MODELS]):
            try:
                await self.refresh()
            except RondaError as error:
                log.warning("the lineup could not be read", detail=error.detail)

    async def refresh(self) -> Lineup:
        async with self._resources.postgres.reading() as work:
            rules, model = await policy.current_policy(work), await policy.champion(work)
        champion_id = self._champion.id if self._champion else None
        if model and model.id != champion_id and model.id not in self._refused:
            await self._take_up(model)
        if self.current is None or rules is None or self._changed(rules):
            self.current = self._lineup(rules)
        return self.current

    def _changed(self, rules: Policy) -> bool:
        return self.current is None or (
            (self.current.policy_version, self.current.champion) != (rules.version, self._champion)
        )

    def _lineup(self, rules: Policy | None) -> Lineup:
        own = self._champion.scorer.thresholds if self._champion else CAUTIOUS
        review = rules.review_at if rules and rules.review_at is not None else own.review
        decline = rules.decline_at if rules and rules.decline_at is not None else own.decline
        version, rows = (rules.version, rules.rules) if rules else (0, [])
        return Lineup(version, parse_rules(rows), Thresholds(review, decline), self._champion)

    async def _take_up(self, model: RegisteredModel) -> None:
        """Load in a thread, so that scoring goes on with the old model meanwhile."""
        ok, detail = True, "in use"
        try:
            self._champion = await asyncio.to_thread(self._load, model)
        except ModelRefused as error:
            self._refused.add(model.id)
            ok, detail = False, error.detail
        log.info("model", id=model.id, ok=ok, detail=detail)
        async with self._resources.postgres.unit_of_work() as work:
            await registry.note_load(work, model.id, ok=ok, detail=detail, by=system("score"))

    def _load(self, model: RegisteredModel) -> Champion:
        if model.catalogue_version != CATALOGUE_VERSION:
            raise ModelRefused(f"made for feature catalogue {model.catalogue_version}, this is {CATALOGUE_VERSION}")
        scorer = Scorer.load(self._resources.artifacts.get(model.artifact_sha))
        return Champion(model.id, scorer, Explainer(scorer))
