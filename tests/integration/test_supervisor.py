"""What becomes of a part that cannot be kept alive."""

from pathlib import Path

import pytest

from backend.supervisor import KeepsDying, ProcessPart, Supervisor, cause


async def test_a_part_that_keeps_dying_is_given_up_with_its_last_words(tmp_path: Path) -> None:
    said: list[str] = []
    supervisor = Supervisor(said.append)
    part = ProcessPart("broken", ("audit", "verify", f"--data-dir={tmp_path}"), {}, tmp_path / "broken.log")
    try:
        await supervisor.start(part)
        with pytest.raises(KeepsDying, match=r"broken keeps ending \(exit code 1\): RONDA_DATABASE_URL is not set"):
            await supervisor.failure()
    finally:
        await supervisor.stop(5.0)
    assert len(said) == 3
    assert part.process is not None
    assert part.process.returncode is not None


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
