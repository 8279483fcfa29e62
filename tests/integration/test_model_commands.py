"""Commands about models, as people type them."""

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from uuid import UUID

import pytest
from pwdlib import PasswordHash

from core.acts import people, registry, trainings
from core.acts.audit import system
from core.acts.registry import NewModel
from core.base.ids import new_uuid
from core.base.terms import Role, RunStatus
from core.infra.resources import Resources
from core.infra.signing import Keys
from core.stores import ledger, policy
from core.tables.policy import RegisteredModel

LEAD, OTHER_LEAD, ANALYST = "lead@example.org", "other@example.org", "analyst@example.org"


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


async def ronda(resources: Resources, *words: str) -> Ran:
    settings = resources.settings
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RONDA_")} | {
        "RONDA_DATABASE_URL": settings.database_url.get_secret_value(),
        "RONDA_REDIS_URL": settings.redis_url.get_secret_value(),
        "RONDA_BUS_URL": settings.bus_url.get_secret_value(),
        "RONDA_DATA_DIR": str(settings.data_dir),
        "COLUMNS": "200",
    }
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "backend", *words, env=environment, stdout=pipe, stderr=pipe
    )
    out, err = await process.communicate()
    return Ran(process.returncode or 0, out.decode(), err.decode())


@pytest.fixture
async def staff(resources: Resources) -> None:
    async with resources.postgres.unit_of_work() as work:
        if await people_of(resources):
            return
        for email, role in ((LEAD, Role.LEAD), (OTHER_LEAD, Role.LEAD), (ANALYST, Role.ANALYST)):
            await people.add_user(
                work,
                PasswordHash.recommended(),
                email=email,
                name=email,
                role=role,
                password="a long test password",
                by=system("test"),
            )


async def people_of(resources: Resources) -> bool:
    from core.stores import people as store

    async with resources.postgres.unit_of_work() as work:
        return await store.user_by_email(work, LEAD) is not None


async def a_model(resources: Resources, *refusals: str) -> RegisteredModel:
    gates = [{"name": "ap", "passed": False, "detail": refusal} for refusal in refusals]
    new = NewModel(new_uuid().bytes * 10, 1, {"average_precision": 0.5, "gates": gates}, {})
    async with resources.postgres.unit_of_work() as work:
        return await registry.register(
            work, resources.redis, resources.artifacts, new, requested_by="user:nobody", by=system("test")
        )


async def test_shadow_promote_and_back_again(resources: Resources, staff: None) -> None:
    first, second = await a_model(resources), await a_model(resources)
    bad = await a_model(resources, "worse on mobile payments")
    assert (await ronda(resources, "promote", first.id, "--by", LEAD)).out == f"model {first.id} is the champion\n"
    assert (await ronda(resources, "shadow", second.id, "--by", LEAD)).out == f"model {second.id} is a shadow\n"
    listed = {row["id"]: row for row in json.loads((await ronda(resources, "models", "--json")).out)}
    assert listed[first.id]["stage"] == "champion"
    assert listed[first.id]["signed_by"] == resources.artifacts.signer
    assert listed[second.id]["agreement"]["payments"] == 0
    assert (listed[bad.id]["stage"], listed[bad.id]["refusals"]) == ("refused", ["worse on mobile payments"])
    table = (await ronda(resources, "models")).out
    assert "worse on mobile payments" in table
    assert "same outcome for 0 of 0 payments" in table
    stopped = await ronda(resources, "shadow", second.id, "--by", LEAD, "--stop")
    assert stopped.out == f"model {second.id} is a candidate\n"
    await ronda(resources, "promote", second.id, "--by", OTHER_LEAD)
    back = await ronda(resources, "rollback", "--by", LEAD, "--reason", "too many alerts")
    assert back.out == f"model {first.id} is the champion again\n"
    refused = await ronda(resources, "refuse", second.id, "--by", LEAD, "--reason", "leaks")
    assert refused.out == f"model {second.id} is refused\n"


async def test_what_cannot_be_done_is_one_line(resources: Resources, staff: None) -> None:
    model, bad = await a_model(resources), await a_model(resources, "worse")
    for words, said in (
        (("promote", bad.id, "--by", LEAD), f"model {bad.id} is refused: worse"),
        (("promote", "nope", "--by", LEAD), "there is no model nope"),
        (("promote", model.id, "--by", ANALYST), f"{ANALYST} may not decide about models: that takes the role lead"),
        (("promote", model.id, "--by", "ghost@example.org"), "there is no user ghost@example.org"),
        (("shadow", model.id, "--by", LEAD, "--stop"), "this model does not shadow; it is a candidate"),
        (("refuse", model.id, "--by", LEAD, "--reason", " "), "a reason is needed: the audit trail keeps it"),
    ):
        ran = await ronda(resources, *words)
        assert (ran.code, ran.out, ran.err) == (1, "", f"ronda: {said}\n")
    assert (await ronda(resources, "rollback", "--by", LEAD)).code == 2


async def test_a_training_is_cancelled_from_the_command_line(resources: Resources, staff: None) -> None:
    nothing = await ronda(resources, "train", "--cancel", "--by", LEAD)
    assert (nothing.code, nothing.out, nothing.err) == (1, "", "ronda: no training waits or is under way\n")
    asked = json.loads((await ronda(resources, "train", "--no-wait", "--by", LEAD, "--json")).out)
    assert asked["status"] == "requested"
    cancelled = await ronda(resources, "train", "--cancel", "--by", OTHER_LEAD)
    assert (cancelled.code, cancelled.out) == (0, f"training {asked['run']} is cancelled\n")
    async with resources.postgres.reading() as work:
        run = await policy.run(work, UUID(asked["run"]))
        events = await ledger.page(work, ledger.AuditFilter(subject_id=asked["run"]), before_id=None, limit=1)
    assert run
    assert run.status == RunStatus.CANCELLED.value
    assert run.cancel_asked_by == f"{events[0].actor_type}:{events[0].actor_id}"

    asked = json.loads((await ronda(resources, "train", "--no-wait", "--by", LEAD, "--json")).out)
    async with resources.postgres.unit_of_work() as work:
        assert await trainings.take_up(work, resources.redis, UUID(asked["run"]))
    stopping = await ronda(resources, "train", "--cancel", "--by", LEAD, "--json")
    assert (stopping.code, json.loads(stopping.out)["run"]) == (0, asked["run"])
    assert json.loads(stopping.out)["status"] == "running"  # until its worker looks, between two steps
    again = await ronda(resources, "train", "--cancel", "--by", LEAD)
    assert (again.code, again.out) == (1, "")
    assert "being stopped" in again.err


async def test_a_new_pair_of_keys_fits_together(resources: Resources) -> None:
    pair = json.loads((await ronda(resources, "signing-key", "--json")).out)
    sha = "ab" * 32
    assert Keys(None, [pair["public"]]).signer_of(sha, Keys(pair["private"], []).sign(sha)) is not None
    lines = (await ronda(resources, "signing-key")).out.splitlines()
    assert [line.partition("=")[0] for line in lines] == ["RONDA_SIGNING_KEY", "RONDA_TRUSTED_KEYS"]
