"""The import contracts of pyproject.toml hold, and would notice if they did not."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.tree import HOME, ROOMS

PLANTED = {
    "rooms: imports point down": ("console/planted.py", "import workers.runner"),
    "floors of the ground room": ("core/base/planted.py", "import core.infra.redis"),
    "no web framework below the console": ("workers/planted.py", "import litestar"),
    "scikit-learn and shap live in models.scoring": ("workers/planted_too.py", "import sklearn"),
    "bus implementations stand behind resources": ("core/acts/planted.py", "import core.infra.rabbit"),
}


def verdicts(folder: Path) -> dict[str, str]:
    """Contract -> KEPT or BROKEN, as import-linter says of the tree in `folder`."""
    program = Path(sys.executable).with_name("lint-imports")
    environment = os.environ | {"PYTHONPATH": str(folder), "COLUMNS": "200"}
    ran = subprocess.run(
        [program, "--no-cache"], cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    lines = [line.strip() for line in ran.stdout.splitlines()]
    found = {name: line.split()[-1] for name in PLANTED for line in lines if line.startswith(name + " ")}
    assert found.keys() == PLANTED.keys(), ran.stdout + ran.stderr
    return found


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    shutil.copy(HOME / "pyproject.toml", folder)
    for room in ROOMS:
        shutil.copytree(HOME / room, folder / room, ignore=shutil.ignore_patterns("__pycache__", "static", "templates"))
    return folder


def test_the_contracts_hold_and_each_one_catches_a_planted_import(copy: Path) -> None:
    assert set(verdicts(copy).values()) == {"KEPT"}
    for name, line in PLANTED.values():
        (copy / name).write_text(line + "\n")
    assert set(verdicts(copy).values()) == {"BROKEN"}


def test_every_contract_is_planted_against() -> None:
    import tomllib

    contracts = tomllib.loads((HOME / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert {contract["name"] for contract in contracts} == PLANTED.keys()
