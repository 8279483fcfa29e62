"""The `ronda` script up to the point where it would download something."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "ronda"
TOOLS = (
    "readlink",
    "dirname",
    "cmp",
    "mkdir",
    "cat",
    "rm",
    "tail",
    "grep",
    "sed",
    "date",
    "mktemp",
    "cp",
    "mv",
    "sleep",
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A checkout whose environment is ready: its Python only tells how it was called."""
    home = tmp_path / "home with blank"
    binaries = home / ".venv" / "bin"
    binaries.mkdir(parents=True)
    shutil.copy2(SCRIPT, home / "ronda")
    (home / "requirements.lock").write_text("a==1\n")
    (home / ".venv" / "requirements.installed").write_text("a==1\n")
    python = binaries / "python"
    python.write_text('#!/bin/sh\npwd\necho "$PYTHONPATH|$PYTHONSAFEPATH"\nfor word; do echo "<$word>"; done\n')
    python.chmod(0o755)
    return home


def run(script: Path, *arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **environment}
    return subprocess.run(
        [script, *arguments], cwd=cwd, env=env, capture_output=True, text=True, timeout=60, check=False
    )


def empty_path(folder: Path) -> str:
    """A PATH with the script's tools and no Python."""
    folder.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found
        (folder / tool).symlink_to(found)
    return str(folder)


def test_it_keeps_the_callers_folder_and_words_and_takes_the_code_from_home(home: Path, tmp_path: Path) -> None:
    done = run(home / "ronda", "replay", "my file.csv", cwd=tmp_path)
    assert done.stdout.splitlines() == [str(tmp_path), f"{home}|1", "<-m>", "<backend>", "<replay>", "<my file.csv>"]
    assert done.stderr == ""


def test_it_finds_home_through_links(home: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "one").symlink_to(os.path.relpath(home / "ronda", tmp_path / "bin"))
    (tmp_path / "two").symlink_to(tmp_path / "bin" / "one")
    assert f"{home}|1" in run(tmp_path / "two", cwd=Path("/")).stdout


def test_another_place_for_the_environment(home: Path, tmp_path: Path) -> None:
    shutil.move(home / ".venv", tmp_path / "elsewhere")
    assert "<backend>" in run(home / "ronda", cwd=tmp_path, RONDA_VENV="elsewhere").stdout


def test_another_lock_means_another_install(home: Path, tmp_path: Path) -> None:
    (home / "requirements.lock").write_text("a==2\n")
    (home / ".venv" / "bin" / "python").unlink()
    done = run(home / "ronda", cwd=tmp_path, PATH=empty_path(tmp_path / "path"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "Python 3.11 or newer is needed" in done.stderr
    assert not (home / ".venv.lock").exists(), "the next one would wait for ever"


def test_a_python_without_ensurepip_names_the_package(home: Path, tmp_path: Path) -> None:
    (home / "requirements.lock").write_text("a==2\n")
    (home / ".venv" / "bin" / "python").unlink()
    path = empty_path(tmp_path / "path")
    real = shutil.which("python3", path=os.pathsep.join(["/usr/bin", os.environ["PATH"]]))
    bare = Path(path) / "python3"
    bare.write_text(f'#!/bin/sh\ncase "$*" in *ensurepip*) exit 1 ;; esac\nexec {real} "$@"\n')
    bare.chmod(0o755)
    done = run(home / "ronda", cwd=tmp_path, PATH=path)
    assert done.returncode == 1
    assert "apt-get install python3." in done.stderr
    assert "-venv" in done.stderr


def test_the_lock_of_a_killed_installer_is_taken_over(home: Path, tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    (home / "requirements.lock").write_text("a==2\n")
    (home / ".venv" / "bin" / "python").unlink()
    (home / ".venv.lock").mkdir()
    (home / ".venv.lock" / "pid").write_text(f"{gone.pid}\n")
    done = run(home / "ronda", cwd=tmp_path, PATH=empty_path(tmp_path / "path"))
    assert "Python 3.11 or newer is needed" in done.stderr, "it went on to install"


def test_a_part_of_a_checkout_is_refused(home: Path, tmp_path: Path) -> None:
    (home / "requirements.lock").unlink()
    done = run(home / "ronda", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
