"""What becomes of a part that cannot be kept alive."""

import asyncio
from pathlib import Path

import pytest

from backend import supervisor
from backend.supervisor import KeepsDying, ProcessPart, Supervisor, cause


async def test_a_part_that_keeps_dying_is_given_up_with_its_last_words(tmp_path: Path) -> None:
    said: list[str] = []
    keeper = Supervisor(said.append)
    part = ProcessPart("broken", ("audit", "verify", f"--data-dir={tmp_path}"), {}, tmp_path / "broken.log")
    try:
        await keeper.start(part)
        with pytest.raises(
            KeepsDying, match=r"broken keeps ending \(exit code 1\): there is no key to check the checkpoints with"
        ):
            await keeper.failure()
    finally:
        await keeper.stop(5.0)
    assert len(said) == 3
    assert part.process is not None
    assert part.process.returncode is not None


async def test_a_tireless_part_is_started_again_however_often_it_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "BACKOFF_S", (0.01, 0.02))
    said: list[str] = []
    keeper = Supervisor(said.append)
    part = ProcessPart("scorer", ("no-such-command",), {}, tmp_path / "scorer.log", tireless=True)
    try:
        await keeper.start(part)
        async with asyncio.timeout(60):
            while len(said) <= supervisor.MOST_DEATHS + 1:
                await asyncio.sleep(0.1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await keeper.failure()
    finally:
        await keeper.stop(5.0)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("starting\nronda: port 8080 is taken\n", "port 8080 is taken"),
        (
            "Traceback (most recent call last):\n  File x\nModuleNotFoundError: No module named 'y'\n",
            "ModuleNotFoundError: No module named 'y'",
        ),
        ('event="job failed" exception="Traceback\\nOSError: gone\\n" level=error\nevent=bye\n', "OSError: gone"),
        ("", "it said nothing"),
    ],
)
def test_the_cause_is_found_in_a_log(text: str, why: str) -> None:
    assert cause(text) == why
