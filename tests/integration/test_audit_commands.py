"""`ronda audit verify` and `export`, as people type them."""

import json
from pathlib import Path

from core.acts.audit_seals import checkpoint_line
from core.infra.anchor import append_line
from core.infra.resources import Resources
from core.infra.signing import CHECKPOINTS, keys_of
from core.stores import seals
from tests.integration.test_audit import record_some
from tests.integration.test_audit_bundle import checked
from tests.integration.test_model_commands import ronda
from tests.servers import run_sql
from workers.seal import connect_sealer, seal_all


async def test_verify_and_export(resources: Resources, postgres_url: str, tmp_path: Path) -> None:
    settings, sealer = resources.settings, connect_sealer(resources.settings)
    for _ in range(3):
        await record_some(resources)
        await seal_all(sealer, keys_of(settings, CHECKPOINTS))
    async with sealer.reading() as work:
        newest = await seals.newest_checkpoint(work)
    await sealer.close()
    assert newest is not None
    assert settings.anchor_file is not None
    append_line(settings.anchor_file, checkpoint_line(newest))

    ran = await ronda(resources, "audit", "verify", "--json")
    assert (ran.code, json.loads(ran.out)) == (
        0,
        {"whole": True, "events": 9, "seals": 3, "unsealed": 0, "anchors": 1, "faults": []},
    )
    ran = await ronda(resources, "audit", "export", str(tmp_path / "copy"))
    assert (ran.code, ran.out.startswith("9 events, ")) == (0, True), ran.err
    assert checked(tmp_path / "copy" / "verify.py", "--anchor", tmp_path / "copy" / "anchor.txt")[0] == 0
    ran = await ronda(resources, "audit", "export", str(tmp_path / "copy"))
    assert (ran.code, ran.err) == (1, f"ronda: {tmp_path / 'copy'} is not empty\n")
    ran = await ronda(resources, "audit", "export", str(tmp_path / "other"), "--since", "yesterday")
    assert (ran.code, ran.err.count("\n")) == (1, 1)

    await run_sql(
        postgres_url,
        "SET session_replication_role = replica; DELETE FROM audit_seal WHERE n = 3; DELETE FROM audit_checkpoint WHERE size = 3",
    )
    ran = await ronda(resources, "audit", "verify")
    assert ran.code == 1
    assert (
        "seal 3: the trail is cut off before it, or the database was restored from an older copy: seals 3 to 3 are"
        in ran.out
    )
