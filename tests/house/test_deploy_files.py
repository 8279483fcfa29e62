"""The files that deploy Ronda say nothing that the code does not know."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from sqlalchemy.engine import make_url

from backend.cli import app
from backend.migrations.logins import JOBS, LOGINS, SCORER, WEB, read_logins
from core.base.settings import Settings
from core.infra.resources import make_artifacts, make_bus
from core.infra.signing import CHECKPOINTS, KeyPair, Keys, keys_of
from tests.house.tree import HOME, name_of
from workers import roster

COMPOSE: dict[str, Any] = yaml.safe_load((HOME / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("ronda:")}
SERVERS = {name: service for name, service in SERVICES.items() if name not in OURS}
WORKFLOWS = sorted((HOME / ".github" / "workflows").glob("*.yml"))
TERRAFORM = sorted((HOME / "terraform").glob("*.tf"))
SETTING = re.compile(r"\bRONDA_[A-Z_]+\b")
COMMANDS = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def is_a_command(words: list[str]) -> bool:
    """`serve`, `migrate`, `work JOB...`: known to the command line, with jobs that there are."""
    name, *rest = words
    return name in COMMANDS and (set(rest) <= set(roster.NAMES) if name == "work" else not rest)


def without_comments(path: Path) -> str:
    return re.sub(r"(^|\s)#.*$", r"\1", path.read_text(), flags=re.MULTILINE)


# Compose


def interpolated(value: str, environment: dict[str, str]) -> str:
    """${NAME:?message} and ${NAME:-default}, as Compose does it."""

    def replaced(match: re.Match[str]) -> str:
        name, kind, default = match.groups()
        if environment.get(name):
            return environment[name]
        assert kind == ":-", f"{name} is required"
        return str(default)

    return re.sub(r"\$\{(\w+)(:[?-])([^}]*)\}", replaced, value)


PASSWORDS = {"POSTGRES_PASSWORD": "a1", "VALKEY_PASSWORD": "b2", "RABBITMQ_PASSWORD": "c3"}
LOGIN_PASSWORDS = {f"POSTGRES_{name}_PASSWORD": f"{name}{'x' * 16}" for name in ("WEB", "SCORER", "JOBS")}
PAIR, AUDIT = KeyPair.new(), KeyPair.new()
SECRETS = {
    **PASSWORDS,
    **LOGIN_PASSWORDS,
    "RONDA_SIGNING_KEY": PAIR.private,
    "RONDA_TRUSTED_KEYS": PAIR.public,
    "RONDA_AUDIT_KEY": AUDIT.private,
    "RONDA_AUDIT_TRUSTED_KEYS": AUDIT.public,
}


def test_services_of_ours_run_commands_that_there_are() -> None:
    assert OURS.keys() == {"migrate", "web", "scorer", "jobs"}
    assert all(is_a_command(service["command"]) for service in OURS.values())


def test_every_job_runs_in_exactly_one_service() -> None:
    jobs = [job for service in OURS.values() if service["command"][0] == "work" for job in service["command"][1:]]
    assert sorted(jobs) == sorted(roster.NAMES)


def settings_in(name: str) -> Settings:
    environment = {key: interpolated(value, SECRETS) for key, value in OURS[name]["environment"].items()}
    return Settings(**{key.removeprefix("RONDA_").lower(): value for key, value in environment.items()})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", OURS)
def test_a_services_environment_opens_its_servers(name: str) -> None:
    settings = settings_in(name)
    urls = [make_url(url.get_secret_value()) for url in (settings.database_url, settings.redis_url, settings.bus_url)]
    assert {url.host for url in urls} == SERVERS.keys()
    assert [url.password for url in urls[1:]] == [PASSWORDS["VALKEY_PASSWORD"], PASSWORDS["RABBITMQ_PASSWORD"]]
    assert make_bus(settings).name == "rabbit"
    assert make_artifacts(settings)
    assert list(keys_of(settings).trusted) == list(Keys(None, [PAIR.public]).trusted)
    assert list(keys_of(settings, CHECKPOINTS).trusted) == list(Keys(None, [AUDIT.public]).trusted)


def test_every_process_signs_in_to_the_database_as_itself_and_only_migrate_as_the_owner() -> None:
    urls = {name: make_url(settings_in(name).database_url.get_secret_value()) for name in OURS}
    owner = urls.pop("migrate")
    assert (owner.username, owner.password) == (
        SERVERS["postgres"]["environment"]["POSTGRES_USER"],
        PASSWORDS["POSTGRES_PASSWORD"],
    )
    assert {name: url.username for name, url in urls.items()} == {"web": WEB, "scorer": SCORER, "jobs": JOBS}
    made = read_logins(settings_in("migrate").database_logins.get_secret_value())
    assert made == {url.username: url.password for url in urls.values()}
    [table] = re.findall(r"^  process_secrets = \{\n(.*?)^  \}", terraform_text(), re.MULTILINE | re.DOTALL)
    told = {line.split()[0] for line in table.splitlines() if "RONDA_DATABASE_LOGINS" in line}
    [processes] = re.findall(r"^  database_logins = \{ for process in \[(.*?)\]", terraform_text(), re.MULTILINE)
    assert told == {"migrate"}
    assert {f"ronda_{process}" for process in re.findall(r"\w+", processes)} == LOGINS.keys()


@pytest.mark.parametrize(("job", "key"), [("retrain", "RONDA_SIGNING_KEY"), ("seal", "RONDA_AUDIT_KEY")])
def test_only_whose_job_it_is_may_sign(job: str, key: str) -> None:
    signing = {name for name, service in OURS.items() if key in service["environment"]}
    does = {name for name, service in OURS.items() if job in service["command"]}
    assert signing == does == {"jobs"}
    [table] = re.findall(r"^  process_secrets = \{\n(.*?)^  \}", terraform_text(), re.MULTILINE | re.DOTALL)
    assert {line.split()[0] for line in table.splitlines() if key in line} == {"jobs"}


@pytest.mark.parametrize("name", OURS)
def test_a_service_of_ours_can_do_little(name: str) -> None:
    service = OURS[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["deploy"]["resources"]["limits"]["memory"]
    if name != "migrate":
        assert service["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_is_awaited_bounded_and_pinned(name: str) -> None:
    server = SERVERS[name]
    assert server["healthcheck"]["test"]
    assert OURS["web"]["depends_on"][name] == {"condition": "service_healthy"}
    assert server["deploy"]["resources"]["limits"]["memory"]
    assert re.search(r":\d", server["image"])
    assert "ports" not in server


def test_what_is_published_is_published_on_the_loopback_address() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert COMPOSE["networks"]["inside"] == {"internal": True}


def test_the_example_environment_names_what_compose_asks_for_and_holds_no_secret() -> None:
    lines = [line for line in (HOME / ".env.example").read_text().splitlines() if line and not line.startswith("#")]
    example = dict(line.split("=", 1) for line in lines)
    asked = set(re.findall(r"\$\{(\w+)", (HOME / "docker-compose.yml").read_text()))
    required = set(re.findall(r"\$\{(\w+):\?", (HOME / "docker-compose.yml").read_text()))
    assert example.keys() == asked
    assert {name for name, value in example.items() if not value} == required == SECRETS.keys()


# Settings


def test_every_setting_that_is_named_exists() -> None:
    files = [HOME / name for name in ("docker-compose.yml", ".env.example", "Dockerfile", "docs/deploy.md")]
    known = {f"RONDA_{field.upper()}" for field in Settings.model_fields}
    named = {word for path in (*files, *TERRAFORM, *WORKFLOWS) for word in SETTING.findall(path.read_text())}
    assert {"RONDA_DATABASE_URL", "RONDA_REDIS_URL", "RONDA_BUS_URL", "RONDA_ARTIFACTS_URL"} <= named <= known


# Image


def test_the_image_is_made_of_what_there_is() -> None:
    dockerfile = (HOME / "Dockerfile").read_text()
    sources = [
        word for line in re.findall(r"^COPY (?!--from)(.*)$", dockerfile, re.MULTILINE) for word in line.split()[:-1]
    ]
    assert sources
    assert all((HOME / source).exists() for source in sources)
    allowed = {line[1:] for line in (HOME / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert set(sources) == allowed
    project = tomllib.loads((HOME / "pyproject.toml").read_text())
    rooms = {
        pattern.removesuffix("*") + "/" for pattern in project["tool"]["setuptools"]["packages"]["find"]["include"]
    }
    assert rooms <= set(sources)


def test_the_image_asks_for_extras_that_there_are_and_uv_is_in_the_lock() -> None:
    [default] = re.findall(r"^ARG EXTRAS=(.*)$", (HOME / "Dockerfile").read_text(), re.MULTILINE)
    project = tomllib.loads((HOME / "pyproject.toml").read_text())["project"]
    assert set(default.split(",")) <= project["optional-dependencies"].keys()
    assert re.search(r"^uv==", (HOME / "requirements.lock").read_text(), re.MULTILINE)


def test_the_image_runs_as_nobody_special() -> None:
    dockerfile = (HOME / "Dockerfile").read_text()
    assert re.findall(r"^USER (.*)$", dockerfile, re.MULTILINE) == ["10001:10001"]
    assert 'ENTRYPOINT ["python", "-m", "backend"]\nCMD ["serve"]\n' in dockerfile


# Terraform


def terraform_text() -> str:
    return "\n".join(without_comments(path) for path in TERRAFORM)


def declared(kind: str, text: str) -> set[str]:
    """Addresses of what blocks of this kind declare: `aws_vpc.main`, `data.aws_partition.current`, `var.region`."""
    if kind in ("resource", "data"):
        prefix = "data." if kind == "data" else ""
        return {f"{prefix}{a}.{b}" for a, b in re.findall(rf'^{kind} "(\w+)" "(\w+)" {{', text, re.MULTILINE)}
    if kind == "variable":
        return {f"var.{name}" for name in re.findall(r'^variable "(\w+)" {', text, re.MULTILINE)}
    blocks = re.findall(r"^locals \{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL)
    return {f"local.{name}" for block in blocks for name in re.findall(r"^  (\w+)\s+=", block, re.MULTILINE)}


STRING = re.compile(r'"((?:[^"\\$]|\\.|\$(?!\{)|\$\{[^}]*\})*)"')


def referred(text: str) -> set[str]:
    """Addresses in expressions; of a string only what stands in its ${...}."""
    text = STRING.sub(lambda match: " ".join(re.findall(r"\$\{([^}]*)\}", match[1])), text)
    return set(re.findall(r"(?<![\w.])((?:var|local|(?:data\.)?(?:aws|random)_\w+)\.\w+)", text))


def test_every_terraform_reference_resolves_and_every_declaration_is_used() -> None:
    text = terraform_text()
    known = {kind: declared(kind, text) for kind in ("resource", "data", "variable", "locals")}
    used = referred(text)
    assert len(used) > 100
    assert used <= set().union(*known.values())
    assert known["variable"] | known["locals"] | known["data"] <= used


def test_an_unknown_reference_would_be_seen() -> None:
    assert referred('a = "${var.nobody}-x"\nb = local.nothing\nc = data.aws_region.here.name\nd = "var.text"') == {
        "var.nobody",
        "local.nothing",
        "data.aws_region.here",
    }


def test_every_terraform_variable_is_described_and_the_example_sets_the_required_ones() -> None:
    blocks = dict(re.findall(r'^variable "(\w+)" \{\n(.*?)^\}', terraform_text(), re.MULTILINE | re.DOTALL))
    assert all(re.search(r"^  description\s+= \"\S", block, re.MULTILINE) for block in blocks.values())
    required = {name for name, block in blocks.items() if not re.search(r"^  default\s+=", block, re.MULTILINE)}
    example = (HOME / "terraform" / "terraform.tfvars.example").read_text()
    set_there = set(re.findall(r"^(\w+)\s+=", example, re.MULTILINE))
    mentioned = set(re.findall(r"^#? ?(\w+)\s+=", example, re.MULTILINE))
    assert required <= set_there
    assert mentioned <= blocks.keys()


def test_tasks_run_commands_that_there_are_and_every_job_once() -> None:
    [table] = re.findall(r"^  process_commands = \{\n(.*?)^  \}", terraform_text(), re.MULTILINE | re.DOTALL)
    commands = {name: re.findall(r'"([^"]+)"', words) for name, words in re.findall(r"(\w+)\s+= \[(.*?)\]", table)}
    assert commands.keys() == {"web", "scorer", "jobs", "migrate", "admin"}
    assert all(is_a_command(words) for words in commands.values())
    jobs = [job for words in commands.values() if words[0] == "work" for job in words[1:]]
    assert sorted(jobs) == sorted(roster.NAMES)


@pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not installed")
def test_terraform_is_formatted_and_parses() -> None:
    environment = os.environ | {"TF_CLI_CONFIG_FILE": os.devnull, "CHECKPOINT_DISABLE": "1"}
    ran = subprocess.run(
        ["terraform", "fmt", "-check", "-recursive", "-diff", HOME / "terraform"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


# Workflows


@pytest.mark.parametrize("path", WORKFLOWS, ids=name_of)
def test_a_workflow_is_pinned_bounded_and_asks_for_little(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] in ({}, {"contents": "read"})
    assert workflow["concurrency"]["group"]
    assert True in workflow  # YAML 1.1 reads the key `on` as true
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 90
        actions = [step["uses"] for step in job["steps"] if "uses" in step]
        assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action) for action in actions)


def test_ci_runs_what_everybody_runs() -> None:
    workflow = yaml.safe_load((HOME / ".github" / "workflows" / "ci.yml").read_text())
    commands = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    assert commands == ["bash .ci/run"]
    assert "exec ./ronda test" in (HOME / ".ci" / "run").read_text()


YAML_RULES = """
extends: default
rules:
  comments: {min-spaces-from-content: 1}
  document-start: disable
  line-length: {max: 140}
  truthy: {check-keys: false}
"""


def test_yaml_is_tidy() -> None:
    from yamllint import linter  # type: ignore[import-untyped]
    from yamllint.config import YamlLintConfig  # type: ignore[import-untyped]

    config = YamlLintConfig(YAML_RULES)
    problems = [
        f"{name_of(path)}:{problem}"
        for path in (HOME / "docker-compose.yml", *WORKFLOWS)
        for problem in linter.run(path.read_text(), config)
    ]
    assert not problems
