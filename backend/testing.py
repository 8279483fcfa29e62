"""`ronda test`: installs what the tests need, then runs every check, stage by stage. CI runs exactly this."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from backend.choices import FaultProfile
from backend.packages import ensure_packages
from core.base.errors import InvalidInput

HOME = Path(__file__).parent.parent
PYTEST = (sys.executable, "-m", "pytest")
SIDE_BY_SIDE = ("-n", "auto", "--dist", "loadfile")
"""A file on each core; what needs servers has its own on each."""
ALONE = ("-n", "0")
"""The long fault tests say how fast a machine recovers that does nothing else."""
PYTEST_NO_TESTS = 5


@dataclass(frozen=True)
class Stage:
    """One check. `tests`: it takes pytest's options and needs the servers' packages."""

    name: str
    command: tuple[str, ...]
    tests: bool = False


def _tool(name: str) -> str:
    """A program of our own environment."""
    return str(Path(sys.executable).with_name(name))


STAGES = (
    Stage("lint", (_tool("ruff"), "check", ".")),
    Stage("format", (_tool("ruff"), "format", "--check", ".")),
    Stage("types", (_tool("mypy"),)),
    Stage("imports", (_tool("lint-imports"),)),
    Stage("tests", (*PYTEST, *SIDE_BY_SIDE, "--ignore=tests/faults", "--ignore=tests/e2e"), tests=True),
    Stage("faults", (*PYTEST, *SIDE_BY_SIDE, "tests/faults"), tests=True),
    # Browser tests have a process of their own: Playwright's event loop and pytest-asyncio's do not share one.
    Stage("browser", (*PYTEST, "tests/e2e"), tests=True),
)


@dataclass(frozen=True)
class Ran:
    stage: Stage
    code: int
    seconds: float


def run_stages(only: Sequence[str], pytest_options: Sequence[str], *, faults: FaultProfile = FaultProfile.SHORT) -> int:
    """The exit code: 0 when every stage passed, else that of the first one that failed; the stages after it are not run."""
    unknown = set(only) - {stage.name for stage in STAGES}
    if unknown:
        raise InvalidInput(
            f"there is no stage {unknown.pop()!r}; there are: {', '.join(stage.name for stage in STAGES)}"
        )
    console = Console(highlight=False)
    stages = [stage for stage in STAGES if stage.name in only or not only]
    if any(stage.tests for stage in stages):
        ensure_packages(console)
    results: list[Ran] = []
    for stage in stages:
        results.append(_run(stage, pytest_options, faults, console))
        if results[-1].code:
            break
    _summary(stages, results, console)
    return results[-1].code if results else 0


def _run(stage: Stage, pytest_options: Sequence[str], faults: FaultProfile, console: Console) -> Ran:
    """A stage's own output goes straight through, so that CI can read pytest's closing line."""
    console.rule(f"[bold]{stage.name}[/bold]", align="left")
    command = [*stage.command]
    if stage.tests:
        alone = ALONE if stage.name == "faults" and faults is FaultProfile.LONG else ()
        command += [f"--faults={faults.value}", *alone, *pytest_options]
    started = time.monotonic()
    code = subprocess.run(command, cwd=HOME, env=_environment(), check=False).returncode  # noqa: S603
    if stage.tests and pytest_options and code == PYTEST_NO_TESTS:
        code = 0  # a choice such as -k may well leave one of the two runs empty
    ran = Ran(stage, code, time.monotonic() - started)
    console.print(f"{stage.name}: {'passed' if code == 0 else f'FAILED (exit code {code})'} in {ran.seconds:.1f} s")
    return ran


def _environment() -> dict[str, str]:
    """Our own settings must not reach the tests: they start their own servers. One OpenMP thread each, as everywhere: two that wait for
    each other beside a busy neighbour take many times as long.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RONDA_")}
    return kept | {"OMP_NUM_THREADS": "1"}


def _summary(stages: Sequence[Stage], results: Sequence[Ran], console: Console) -> None:
    ran = {result.stage.name: result for result in results}
    table = Table(box=None, pad_edge=False)
    for title in ("stage", "result", "seconds"):
        table.add_column(title, justify="right" if title == "seconds" else "left")
    for stage in stages:
        result = ran.get(stage.name)
        words = "not run" if result is None else "ok" if result.code == 0 else f"exit code {result.code}"
        table.add_row(stage.name, words, f"{result.seconds:.1f}" if result else "")
    console.print(table)
