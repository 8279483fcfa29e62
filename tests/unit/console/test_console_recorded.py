"""What jobs, models and acts write into the record in English, the console tells in Portuguese: everything they can write."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.i18n import Reader, speaking_to
from console.views.audit import object_word
from console.views.details import KEYS, NOT_SHOWN, detail_line
from console.views.recorded import gate_name, retold
from core.acts.audit_check import words_of
from core.acts.audit_verify import Fault
from core.base.terms import Language, Role
from models.monitoring.drift import Drift
from models.monitoring.proposal import SCORE, Findings, held_back, reasons
from models.scoring.dataset import _AMOUNT_BANDS, _CUSTOMER_AGES
from models.scoring.gates import GateLimits, gates
from tests.english import english_in
from tests.house.tree import HOME, python_files, syntax
from workers import bury, lineup, verdicts

BRAZIL = Reader(Language.PT_BR)
VALUE = "3"
"""Stands where a sentence has a value."""


def spoken(node: ast.expr | None) -> Iterator[str]:
    """The texts that an argument can be."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=parts):
            yield "".join(part.value if isinstance(part, ast.Constant) else VALUE for part in parts)
        case ast.IfExp(body=body, orelse=orelse):
            yield from spoken(body)
            yield from spoken(orelse)
        case _:
            return


def said_by(path: str, function: str, place: int | str) -> list[str]:
    """Texts that the file's calls of `function` have as argument number `place`, or as keyword."""
    found = []
    for node in ast.walk(syntax(HOME / path)):
        if isinstance(node, ast.Call) and function == getattr(node.func, "attr", getattr(node.func, "id", "")):
            given = (
                next((each.value for each in node.keywords if each.arg == place), None)
                if isinstance(place, str)
                else node.args[place]
                if len(node.args) > place
                else None
            )
            found += spoken(given)
    return found


def assigned(path: str, names: set[str]) -> list[str]:
    """Texts that the file gives to variables, attributes or tuples of these names."""
    found = []
    for node in ast.walk(syntax(HOME / path)):
        if isinstance(node, ast.Assign):
            target = node.targets[0]
            pairs = (
                zip(target.elts, node.value.elts, strict=False)
                if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
                else [(target, node.value)]
            )
            for name, value in pairs:
                if getattr(name, "attr", getattr(name, "id", "")) in names:
                    found += spoken(value)
    return found


def steps() -> list[str]:
    scoring = [path.relative_to(HOME).as_posix() for path in python_files("models") if "scoring" in path.parts]
    found = [text for path in scoring for text in (*said_by(path, "at", 1), *said_by(path, "part", 2))]
    found += assigned("models/scoring/selection.py", {"words"})
    found += said_by("workers/retrain.py", "note", 1) + said_by("workers/retrain.py", "_end", 3)
    found += assigned("workers/retrain.py", {"step"}) + assigned("core/acts/trainings.py", {"step"})
    found += said_by("core/acts/trainings.py", "_ask_again", 3) + said_by(
        "core/acts/registry.py", "TrainingRun", "step"
    )
    return found


def impossible() -> list[str]:
    paths = [path.relative_to(HOME).as_posix() for path in python_files("models")]
    return [
        text for path in paths for name in ("TrainingImpossible", "SingleClassError") for text in said_by(path, name, 0)
    ]


def loaded() -> list[str]:
    paths = [path.relative_to(HOME).as_posix() for path in python_files("core", "models", "workers")]
    return [lineup.IN_USE, lineup.SHADOWS, *(text for path in paths for text in said_by(path, "ModelRefused", 0))]


def findings() -> list[str]:
    path = "core/acts/audit_verify.py"
    whys = [*said_by(path, "_fault", 2), *assigned(path, {"why"})]
    return [words_of(Fault("event", 12, why, seal)) for why in whys for seal in (None, 3)]


def dead() -> list[str]:
    return [
        *said_by("workers/handling.py", "reject", 0),
        *said_by("workers/suspect.py", "reject", 0),
        *bury.REASONS.values(),
    ]


def not_scored() -> list[str]:
    texts = [verdicts.NO_FEATURES, verdicts.NO_MODEL, verdicts.NOT_SCORED, verdicts.CONTROL, verdicts._MANY.text]
    return texts


def notes() -> list[str]:
    yields = [node.value for node in ast.walk(syntax(HOME / "workers/looking.py")) if isinstance(node, ast.Yield)]
    return [text for each in yields for text in spoken(each)] + assigned("workers/findings.py", {"why"})


@pytest.mark.parametrize(
    ("what", "least"),
    [(steps, 20), (impossible, 5), (loaded, 22), (findings, 26), (dead, 6), (not_scored, 5), (notes, 5)],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_everything_that_is_written_is_told_in_portuguese(what: object, least: int) -> None:
    texts = what()  # type: ignore[operator]
    assert len(texts) >= least
    with speaking_to(BRAZIL):
        told = {text: retold(text) for text in texts}
    assert {text: said for text, said in told.items() if said == text or english_in(said)} == {}
    assert [text for text in texts if retold(text) != text] == [], "English stays as it was written"


# ---- sentences with several values ----
_CLUE = {"name": "card_velocity_1h_count", "roc_auc": 0.99, "share": 0.3, "recall_when_pure": 0.6, "own": False}
_REPORT: dict[str, object] = {
    "payments": 10_000, "frauds": 100, "average_precision": 0.6, "calibration_ratio": 1.1,
    "intervals": {"calibration_ratio": [0.9, 1.3]},
    "leakage": {
        "features_checked": 3, "alone": [_CLUE, {**_CLUE, "name": "amount"}], "labels_too_early": 4,
        "payment_itself": {"roc_auc": 0.8, "recall_when_pure": 0.0},
    },
    "latency": {"one_row_ms": 0.1, "row_us_at_256": 10.0, "explain_ms": 0.5},
    "champion": {"average_precision": 0.5, "calibration_ratio": 1.0},
    "gain": {"average_precision": [-0.01, 0.2], "calibration": [-0.1, 0.1]},
    "segments": [
        {"by": "channel", "name": "web", "gain": [-0.2, -0.1]},
        {"by": "amount_band", "name": "lowest quarter", "gain": [-0.3, -0.2]},
    ],
}  # fmt: skip
_SOUND = {"leakage": {**_REPORT["leakage"], "alone": [{**_CLUE, "own": True}], "labels_too_early": 0}, "segments": []}  # type: ignore[dict-item]


def gate_details() -> list[str]:
    found = [gate for report in (_REPORT, {**_REPORT, **_SOUND}) for gate in gates(report, GateLimits())]
    assert len({gate["name"] for gate in found}) == 8
    return [gate["detail"] for gate in found]


def test_a_gate_says_its_name_and_its_figures_in_portuguese() -> None:
    names = [gate["name"] for gate in gates(_REPORT, GateLimits())]
    assert gate_name("not_worse_in_any_segment") == "Not worse in any segment"
    with speaking_to(BRAZIL):
        assert [name for name in map(gate_name, names) if english_in(name)] == []
        assert [said for said in map(retold, gate_details()) if english_in(said)] == []
        worse = retold(gates(_REPORT, GateLimits())[-1]["detail"])
    assert worse == (
        "ordena pior que o campeão em web (Canal): diferença entre −0,200 e −0,100; "
        "quartil mais baixo (Valor): diferença entre −0,300 e −0,200"
    )


def test_all_that_a_refused_training_failed_is_told_piece_by_piece() -> None:
    failed = [gate["detail"] for gate in gates(_REPORT, GateLimits()) if not gate["passed"]]
    step = "refused: " + "; ".join(
        [*failed, "one payment takes 9.00 ms, one of a batch 9 µs, one explanation 9.0 ms; allowed 5 ms, 6 µs and 7 ms"]
    )
    with speaking_to(BRAZIL):
        told = retold(step)
    assert told.startswith("recusado: ")
    assert english_in(told) == []


_STEADY = Drift(psi=0.02, ks=0.03, p=0.6, unknown_before=0.1, unknown_now=0.1)
_MOVED = Drift(psi=0.31, ks=0.25, p=1e-9, unknown_before=0.1, unknown_now=0.12, moved=True)
_MISSING = Drift(psi=3.0, ks=0.9, p=0.0, unknown_before=0.04, unknown_now=0.97, moved=True)
_JUDGED = {"average_precision": 0.7, "interval": [0.65, 0.75], "precision": 0.5, "precision_interval": [0.4, 0.6]}
_RECENT = {"average_precision": 0.5, "interval": [0.4, 0.6], "precision": 0.2, "precision_interval": [0.1, 0.3]}
_SPELL = {"from": "2026-11-01T00:00:00Z", "until": "2026-11-08T00:00:00Z", "alerts": 200}
_FOUR = [f"card_velocity_{window}_count" for window in ("1h", "6h", "24h", "7d")]


@pytest.mark.parametrize("since", ["2026-10-19T00:00:00Z", None])
def test_why_a_training_is_proposed_is_told_in_portuguese(since: str | None) -> None:
    days = {SCORE: "2026-11-02", "amount": "2026-11-03", _FOUR[0]: "2026-11-04"} if since else {}
    performance = {"training": _JUDGED, "recent": {**_RECENT, **_SPELL}, "decayed": True, "since": since}
    drift = {**dict.fromkeys(_FOUR, _MOVED), "amount": _MISSING}
    why = reasons(Findings(_MOVED, drift, days, [[name, 1.0] for name in _FOUR], performance))
    assert len(why) == 5
    with speaking_to(BRAZIL):
        told = [retold(reason["text"]) for reason in why]
        assert english_in(retold(held_back(why) or "")) == []
    assert [said for said in told if english_in(said) or "_" in said] == []
    if since:
        assert (
            told[0] == "“Valor”: sem valor em 97% das transações desde 3 nov 2026; eram 4% quando o modelo foi avaliado"
        )
        assert told[1] == "os scores se deslocaram: PSI 0,31 desde 2 nov 2026"
        assert "caiu de 0,700 (0,650 a 0,750)" in told[3]


def test_what_a_person_wrote_stays_as_it_was_written() -> None:
    with speaking_to(BRAZIL):
        assert retold("Looks odd on Mondays; ask Ana") == "Looks odd on Mondays; ask Ana"
        assert retold("") == ""


def test_the_parts_of_payments_that_a_report_judges_are_told_in_portuguese() -> None:
    with speaking_to(BRAZIL):
        told = [retold(f"{name} (channel): difference between -1 and 1") for name in (*_AMOUNT_BANDS, *_CUSTOMER_AGES)]
    assert [said for said in told if english_in(said)] == []


# ---- details of audit events ----
def keys_of(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            yield from (key.value for key in node.keys if isinstance(key, ast.Constant))


def recorded_keys(path: Path) -> set[str]:
    """Keys of the details that the file's functions record: of dicts in the call of Event, or in the variable that it is given."""
    found: set[str] = set()
    for function in ast.walk(syntax(path)):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        details = [
            node.args[4] for node in ast.walk(function)
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Event" and len(node.args) > 4
        ]  # fmt: skip
        named = {detail.id for detail in details if isinstance(detail, ast.Name)}
        for node in ast.walk(function):
            if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign) and node.value:
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                name = target.value if isinstance(target, ast.Subscript) else target
                if isinstance(name, ast.Name) and name.id in named:
                    details.append(node.value)
                    if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
                        found.add(str(target.slice.value))
        for detail in details:
            found |= set(keys_of(detail))
    return found


def test_every_key_that_a_detail_has_is_told() -> None:
    found = {key for path in python_files("core", "workers", "console", "backend") for key in recorded_keys(path)}
    shown = {key for key in found if not key.endswith(("_at", "_sha"))}
    assert len(shown) > 40
    assert shown - set(KEYS) - NOT_SHOWN == set()


def test_a_detail_names_its_enums_in_the_readers_language() -> None:
    detail = {
        "label": "fraud",
        "reason": "stolen_card",
        "outcome": "review",
        "role": "lead",
        "batch": True,
        "score": 0.25,
    }
    assert (
        detail_line(detail) == "label: fraud, reason: stolen card, outcome: review, role: lead, batch: yes, score: 0.25"
    )
    with speaking_to(BRAZIL):
        assert detail_line(detail) == (
            "rótulo: fraude, motivo: cartão roubado, decisão: revisar, perfil: líder, lote: sim, score: 0,25"
        )
        assert object_word("training_run") == "Treinamento"
        assert {role for role in Role if english_in(detail_line({"role": role.value}))} == set()
