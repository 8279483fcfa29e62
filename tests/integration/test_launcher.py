"""`ronda up` as people run it: real processes, real signals, and nothing left afterwards."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx2
import psutil
import pytest

HOME = Path(__file__).parents[2]
PATIENCE_S = 90.0
"""Far beyond what anything here takes on a quiet machine."""

pytestmark = pytest.mark.timeout(240)


def environment() -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("RONDA_")}
    return own | {"PYTHONPATH": str(HOME), "PYTHONSAFEPATH": "1"}


def ronda(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "backend", *arguments]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def until(true: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = true()
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError(f"waited in vain for: {what}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def processes_of(data_dir: Path) -> list[psutil.Process]:
    """Whoever names the data directory: in its command, its environment or its working directory."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), process.environ().get("RONDA_DATA_DIR", ""), process.cwd()]
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
        if any(str(data_dir) in word for word in words) and process.pid != os.getpid():
            found.append(process)
    return found


class Up:
    """One `ronda up` and what it printed."""

    def __init__(self, data_dir: Path, *options: str) -> None:
        self.data_dir, self.port = data_dir, free_port()
        self.printed = data_dir.with_suffix(f".{self.port}.out")
        command = [sys.executable, "-m", "backend", "up", f"--data-dir={data_dir}", f"--port={self.port}", *options]
        with self.printed.open("wb") as out:
            self.process = subprocess.Popen(command, env=environment(), stdout=out, stderr=out, start_new_session=True)
        until(lambda: "Console" in self.output() or self.process.poll() is not None, "the console's address")
        assert self.process.poll() is None, self.output()

    def output(self) -> str:
        return self.printed.read_text()

    def get(self, path: str, **options: Any) -> httpx2.Response:
        return httpx2.get(f"http://127.0.0.1:{self.port}{path}", trust_env=False, timeout=30, **options)

    def child(self, *arguments: str) -> psutil.Process | None:
        """The one of our processes that was started with these arguments."""
        for process in psutil.Process(self.process.pid).children():
            if tuple(process.cmdline()[-len(arguments) :]) == arguments:
                return process
        return None

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=30)

    def close(self) -> None:
        if self.process.poll() is None:
            self.end(signal.SIGINT)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    running = Up(tmp_path_factory.mktemp("up") / "data")
    try:
        yield running
    finally:
        running.close()


def doctor(data_dir: Path) -> tuple[int, dict[str, str]]:
    done = ronda("doctor", "--json", f"--data-dir={data_dir}")
    findings = json.loads(done.stdout)["findings"]
    return done.returncode, {finding["name"]: finding["state"] for finding in findings}


def test_it_answers_and_the_doctor_is_content(up: Up) -> None:
    assert up.get("/health/ready").json()["status"] == "ready"
    code, states = doctor(up.data_dir)
    assert code == 0, states
    assert {"launcher", "postgres", "schema", "redis", "bus"} <= {
        name for name, state in states.items() if state == "ok"
    }


def test_secrets_are_readable_by_the_owner_only(up: Up) -> None:
    assert (up.data_dir / "run.json").stat().st_mode & 0o077 == 0
    assert (up.data_dir / "logs").stat().st_mode & 0o077 == 0


def test_commands_beside_it_need_no_settings_and_a_payment_is_decided(up: Up) -> None:
    beside = f"--data-dir={up.data_dir}"
    assert ronda("source", "add", "shop", beside).returncode == 0
    key = ronda("key", "add", "shop", beside).stdout.strip()
    payment = {
        "id": "first",
        "occurred_at": "2026-01-31T09:30:00Z",
        "amount": "12.50",
        "currency": "EUR",
        "customer_id": "c-1",
    }
    headers = {"Authorization": f"Bearer {key}"}
    answer = httpx2.post(
        f"http://127.0.0.1:{up.port}/v1/transactions", json=payment, headers=headers, trust_env=False, timeout=30
    )
    assert answer.status_code == httpx2.codes.ACCEPTED, answer.text
    until(lambda: up.get("/v1/transactions/first", headers=headers).json().get("decision"), "a decision")
    people = json.loads(ronda("user", "list", "--json", beside).stdout)
    assert [person["role"] for person in people] == ["admin"]
    assert ronda("audit", "verify", beside).returncode == 0
    assert ronda("key", "revoke", key, beside).returncode == 0


def test_every_process_is_signed_in_to_the_database_as_itself(up: Up) -> None:
    """By what the server says, and by what each could do with the URL it was given."""
    url = json.loads((up.data_dir / "run.json").read_text())["database_url"]
    expected = {
        "ronda-web": "ronda_web",
        "ronda-score": "ronda_scorer",
        "ronda-relay": "ronda_jobs",
        "ronda-seal": "ronda_jobs",
    }

    def signed_in() -> dict[str, set[str]]:
        sql = (
            "SELECT substring(application_name FROM '^ronda-[a-z]+') AS process, array_agg(DISTINCT usename::text) AS logins "
            "FROM pg_stat_activity WHERE datname = current_database() AND application_name ~ '^ronda-' GROUP BY 1"
        )
        return {row["process"]: set(row["logins"]) for row in asyncio.run(fetch(url, sql))}

    until(lambda: expected.keys() <= signed_in().keys(), "all processes to ask the database something")
    found = signed_in()
    assert {process: found[process] for process in expected} == {process: {name} for process, name in expected.items()}
    for arguments, login in ((("work", "score"), "ronda_scorer"), (("serve",), "ronda_web")):
        process = next(
            one
            for one in psutil.Process(up.process.pid).children()
            if arguments == tuple(one.cmdline()[3 : 3 + len(arguments)])
        )
        own = process.environ()["RONDA_DATABASE_URL"]
        assert urlsplit(own).username == login
        for statement in ("DELETE FROM audit_event", "DROP TABLE decision", "SET ROLE ronda", "SET ROLE ronda_sealer"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                asyncio.run(fetch(own, statement))


async def fetch(url: str, sql: str) -> list[Any]:
    connection = await asyncpg.connect(url)
    try:
        return list(await connection.fetch(sql))
    finally:
        await connection.close()


def test_a_killed_child_is_started_again(up: Up) -> None:
    before = until(lambda: up.child("work", "score"), "the scorer")
    before.kill()
    before.wait()
    until(lambda: up.child("work", "score"), "another scorer")
    assert "scorer ended (killed by SIGKILL)" in up.output()
    assert up.process.poll() is None


def test_a_killed_server_is_started_again_under_the_same_url(up: Up) -> None:
    urls = json.loads((up.data_dir / "run.json").read_text())["redis_url"]
    for process in processes_of(up.data_dir / "valkey"):
        process.kill()
    until(lambda: "Valkey ended" in up.output(), "the launcher to notice")
    until(lambda: up.get("/health/ready").json()["redis"], "Valkey to be back")
    assert json.loads((up.data_dir / "run.json").read_text())["redis_url"] == urls


def test_a_second_one_on_the_same_data_is_refused(up: Up) -> None:
    done = ronda("up", f"--data-dir={up.data_dir}", f"--port={free_port()}")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert f"already running on {up.data_dir} (process {up.process.pid})" in done.stderr


def test_a_taken_port_is_said_before_anything_is_started(up: Up, tmp_path: Path) -> None:
    done = ronda("up", f"--data-dir={tmp_path / 'other'}", f"--port={up.port}")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert f"port {up.port} on 127.0.0.1 is taken" in done.stderr
    assert not (tmp_path / "other").exists()


def test_a_data_directory_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = ronda("up", f"--data-dir={tmp_path / 'file' / 'data'}", f"--port={free_port()}")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "cannot use the data directory" in done.stderr


def test_the_doctor_says_so_when_nothing_runs(tmp_path: Path) -> None:
    code, states = doctor(tmp_path)
    assert code == 1
    assert states["servers"] == "bad"


def test_ctrl_c_leaves_nothing_a_restart_goes_on_and_even_a_kill_leaves_nothing(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    first = Up(data_dir, "--bus=redis")
    assert "admin@localhost" in first.output()
    assert len(processes_of(data_dir)) >= len(("launcher", "postgres", "valkey", "jobs", "scorer", "web"))
    assert first.end(signal.SIGINT) == 0, first.output()
    assert processes_of(data_dir) == []
    assert not (data_dir / "run.json").exists()

    again = Up(data_dir, "--bus=redis")
    assert "admin@localhost" not in again.output(), "a second first user was made"
    assert len(json.loads(ronda("user", "list", "--json", f"--data-dir={data_dir}").stdout)) == 1
    assert again.end(signal.SIGKILL) == -signal.SIGKILL
    until(lambda: processes_of(data_dir) == [], "everything to die with its launcher")
