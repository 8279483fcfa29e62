"""A champion whose score depends on the amount and on how often the customer paid: a payment counted twice scores differently."""

import msgspec
import numpy as np

from core.acts import registry
from core.acts.audit import Actor, system
from core.acts.registry import NewModel
from core.base.ids import ModelId
from core.base.terms import ActorType
from core.infra.resources import Resources
from models.features.catalogue import CATALOGUE_VERSION, NAMES
from models.scoring.artifact import encode, pack, pack_ensemble
from models.scoring.ensemble import LEAF, Ensemble
from models.scoring.scorer import Scorer
from tests.small_models import AMOUNT, SmallModel, payments

FREQUENT = NAMES.index("customer_velocity_24h_count")


def amount_and_velocity() -> bytes:
    small = SmallModel()
    golden = payments([small.at_minor - 1, small.at_minor + 1, small.at_minor + 1])
    golden[:, FREQUENT] = [1, 2, 9]
    ensemble = Ensemble(
        base=0.0,
        offset=np.array([0, 3, 8], np.int32),
        feature=np.array([AMOUNT, 0, 0, FREQUENT, 0, FREQUENT, 0, 0], np.int32),
        threshold=np.array([small.at_minor, 0.0, 0.0, 1.5, 0.0, 3.5, 0.0, 0.0]),
        left=np.array([1, LEAF, LEAF, 1, LEAF, 3, LEAF, LEAF], np.int32),
        right=np.array([2, LEAF, LEAF, 2, LEAF, 4, LEAF, LEAF], np.int32),
        missing_left=np.ones(8, np.bool_),
        value=np.array([0.0, small.below, small.above, 0.0, -0.5, 0.0, 0.25, 1.0]),
        cover=np.array([100.0, 90.0, 10.0, 100.0, 40.0, 60.0, 30.0, 30.0]),
    )
    margins = np.array([small.below - 0.5, small.above + 0.25, small.above + 1.0])
    changed = {"ensemble": pack_ensemble(ensemble), "golden": pack(golden), "golden_margins": pack(margins)}
    return encode(msgspec.structs.replace(small.artifact(), **changed))


async def promote(resources: Resources) -> Scorer:
    """Registers and promotes it; returns the same model, to score with beside the system."""
    content = amount_and_velocity()
    new = NewModel(content, CATALOGUE_VERSION, {"gates": []}, {"name": "faults"})
    async with resources.postgres.unit_of_work() as work:
        model = await registry.register(
            work, resources.redis, resources.artifacts, new, requested_by="user:asker", by=system("test")
        )
    async with resources.postgres.unit_of_work() as work:
        second = Actor(ActorType.USER, "second")
        await registry.promote(work, resources.redis, ModelId(model.id), by=second, four_eyes=True)
    return Scorer.load(content)
