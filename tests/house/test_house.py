"""House rules that import-linter cannot see. Each exception is named here, with its reason."""

import ast
import re

import pytest

from core.base import terms
from core.contracts import messages, topology
from tests.house.tree import HOME, attribute_calls, imports, kept_files, name_of, python_files, syntax
from workers import roster

COMMITS = {
    "core/infra/postgres.py": "the unit of work",
    "backend/migrations/env.py": "Alembic's own connection; there is no unit of work before there is a schema",
}
ENVIRONMENT = {
    "backend/supervisor.py": "hands it on to the processes it starts",
    "backend/embedded_process.py": "hands the search path on to the servers it starts",
    "backend/testing.py": "keeps our settings away from the tests it starts",
}
SWALLOWS = {
    "workers/handling.py": "a batch that failed for whatever reason goes back to its queues, and the job goes on",
    "workers/runner.py": "a job that failed for whatever reason is started again",
    "backend/backlog.py": "a reading that failed for whatever reason is tried again",
    "backend/ingest.py": "whatever happened, every request of the micro-batch gets an answer",
}
MAX_LINES = 400
LONG_FILES: dict[str, str] = {
    "models/features/phrases/en.py": "one function for each family of features, a sentence or two each",
    "models/features/phrases/pt.py": "the same in Portuguese",
}

# Written in pieces, so that this file does not name them itself.
NOT_IN_A_COMMIT = tuple(
    "".join(parts)
    for parts in (
        ("py", "pi.org"),
        ("python", "hosted.org"),
        ("registry.", "npmjs.org"),
        ("deb.", "debian.org"),
    )
)


def files_with(found: dict[str, list[int]], allowed: dict[str, str]) -> dict[str, list[int]]:
    return {name: lines for name, lines in found.items() if lines and name not in allowed}


def no_longer_needed(reasons: dict[str, str], found: dict[str, list[int]]) -> list[str]:
    return [name for name in reasons if not found.get(name)]


def test_only_the_unit_of_work_commits() -> None:
    found = {name_of(path): [call.lineno for call in attribute_calls(path, "commit")] for path in python_files()}
    assert not files_with(found, COMMITS)
    assert not no_longer_needed(COMMITS, found)


def test_only_settings_read_the_environment() -> None:
    """They do so through pydantic; what is left are those who pass the environment on."""
    found: dict[str, list[int]] = {}
    for path in python_files():
        nodes = [node for node in ast.walk(syntax(path)) if isinstance(node, ast.Attribute)]
        lines = [node.lineno for node in nodes if node.attr in ("environ", "getenv", "environb")]
        lines += [0 for module, name in imports(path) if module == "os" and name in ("environ", "getenv")]
        found[name_of(path)] = lines
    assert not files_with(found, ENVIRONMENT)
    assert not no_longer_needed(ENVIRONMENT, found)


def swallows(handler: ast.ExceptHandler) -> bool:
    """A handler of everything that does not end by raising again."""
    broad = {"Exception", "BaseException"}
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    if not any(kind is None or (isinstance(kind, ast.Name) and kind.id in broad) for kind in caught):
        return False
    return not isinstance(handler.body[-1], ast.Raise)


def test_nobody_swallows_every_error() -> None:
    found: dict[str, list[int]] = {}
    for path in python_files():
        nodes = list(ast.walk(syntax(path)))
        lines = [node.lineno for node in nodes if isinstance(node, ast.ExceptHandler) and swallows(node)]
        for node in nodes:
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "suppress":
                names = {argument.id for argument in node.args if isinstance(argument, ast.Name)}
                lines += [node.lineno] if names & {"Exception", "BaseException"} else []
        found[name_of(path)] = lines
    assert not files_with(found, SWALLOWS)
    assert not no_longer_needed(SWALLOWS, found)


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        ("except Exception:\n  log()", True),
        ("except (ValueError, Exception):\n  pass", True),
        ("except:\n  pass", True),
        ("except BaseException:\n  undo()\n  raise", False),
        ("except ValueError:\n  pass", False),
    ],
)
def test_the_check_for_swallowed_errors_sees_them(handler: str, expected: bool) -> None:
    [statement] = ast.parse(f"try:\n  act()\n{handler}").body
    assert isinstance(statement, ast.Try)
    assert swallows(statement.handlers[0]) is expected


def test_sql_is_written_in_tables_stores_infra_and_migrations_only() -> None:
    home_of_sql = ("core/tables/", "core/stores/", "core/infra/", "backend/migrations/")
    found: dict[str, list[str]] = {}
    for path in python_files():
        libraries = {module for module, _ in imports(path)}
        sql = {name for name in libraries if name.partition(".")[0] in ("sqlalchemy", "sqlmodel", "asyncpg", "alembic")}
        if sql and not name_of(path).startswith(home_of_sql):
            found[name_of(path)] = sorted(sql)
    assert not found


def test_sessions_execute_nothing_outside_stores() -> None:
    """A statement that came from elsewhere would carry SQL past the check above."""
    found: dict[str, list[int]] = {}
    for path in python_files():
        calls = [
            call
            for method in ("execute", "exec", "scalars", "scalar", "stream")
            for call in attribute_calls(path, method)
        ]
        ours = [
            call.lineno
            for call in calls
            if isinstance(call.func, ast.Attribute) and "session" in ast.unparse(call.func.value)
        ]
        if not name_of(path).startswith(("core/stores/", "core/infra/")):
            found[name_of(path)] = ours
    assert not files_with(found, {})


def test_bus_implementations_are_imported_by_resources_only() -> None:
    implementation = re.compile(r"core\.infra\.(rabbit|streams)")
    users = {
        name_of(path)
        for path in python_files()
        for module, name in imports(path)
        if implementation.match(f"{module}.{name}") and not implementation.match(name_of(path)[:-3].replace("/", "."))
    }
    assert users == {"core/infra/resources.py"}


READS_LABELS = re.compile(r"(?:FROM|JOIN) label\b|select\(TransactionLabel")
LEAVES_OUT_WITHDRAWN = re.compile(r"withdrawn_at|_STANDS\b|_COUNTS\b")
READS_WITHDRAWN_TOO = {
    "core/stores/labels.py: by_id": "the history of labels shows them struck through",
    "core/stores/overview.py: spoken_of": "a day is measured again also because a label was withdrawn",
}


def test_every_reader_of_labels_leaves_out_those_that_were_withdrawn() -> None:
    readers = {
        f"{name_of(path)}: {getattr(node, 'name', node.lineno)}": source
        for path in python_files("core/stores")
        for node in syntax(path).body
        if READS_LABELS.search(source := ast.get_source_segment(path.read_text(), node) or "")
    }
    assert len(readers) > 10
    told = {name for name, source in readers.items() if not LEAVES_OUT_WITHDRAWN.search(source)}
    assert told == READS_WITHDRAWN_TOO.keys()


TEMPLATE_NAME = re.compile(r"""["']([\w./-]+\.html)["']""")


def test_every_template_is_used_and_every_used_one_exists() -> None:
    folder = HOME / "console" / "templates"
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*.html")}
    reached: set[str] = set()
    ahead = {name for path in python_files("console") for name in TEMPLATE_NAME.findall(path.read_text())}
    while ahead:
        reached |= ahead
        ahead = {
            name for known in ahead & there for name in TEMPLATE_NAME.findall((folder / known).read_text())
        } - reached
    assert reached == there


def consumed_words() -> set[str]:
    """Names from the topology that jobs of the roster import and consume from."""
    words: set[str] = set()
    for job in roster.NAMES:
        path = HOME / "workers" / f"{job}.py"
        calls = [node.func for node in ast.walk(syntax(path)) if isinstance(node, ast.Call)]
        named = {called.id for called in calls if isinstance(called, ast.Name)}
        named |= {called.attr for called in calls if isinstance(called, ast.Attribute)}
        if named & {"consume", "consumer"}:
            words |= {name for module, name in imports(path) if module == "core.contracts.topology"}
    return words


def test_every_queue_has_a_consumer() -> None:
    names = {queue.name for queue in topology.queues(2)}
    word_of = {value: word for word, value in vars(topology).items() if isinstance(value, str) and value in names}
    word_of |= {topology.score_queue(shard): "score_queue" for shard in range(2)}
    assert set(word_of) == names
    assert set(word_of.values()) <= consumed_words()


def test_every_message_has_a_reader() -> None:
    kinds = {kind.__name__ for kind in messages.Message.__args__}
    read = {
        argument.id
        for path in python_files("workers")
        for node in ast.walk(syntax(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "read"
        for argument in node.args
        if isinstance(argument, ast.Name)
    }
    assert kinds <= read


def test_every_job_of_the_roster_is_a_module_with_that_function() -> None:
    for job in roster.NAMES:
        functions = {
            node.name for node in syntax(HOME / "workers" / f"{job}.py").body if isinstance(node, ast.AsyncFunctionDef)
        }
        assert job in functions


def test_every_audited_act_happens_somewhere() -> None:
    used = {
        node.attr
        for path in python_files()
        for node in ast.walk(syntax(path))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Action"
    }
    assert {action.name for action in terms.Action} == used


def test_files_stay_short() -> None:
    lengths = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in python_files()}
    long = {name: lines for name, lines in lengths.items() if lines > MAX_LINES}
    assert long.keys() == LONG_FILES.keys()


def test_no_file_names_what_only_the_makers_machine_has() -> None:
    found: dict[str, list[str]] = {}
    for path in kept_files():
        content = path.read_bytes()
        named = [word for word in NOT_IN_A_COMMIT if word.encode() in content]
        if named:
            found[name_of(path)] = named
    assert not found
