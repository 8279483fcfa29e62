"""Inside the processes under load: how long each step takes, and what to leave out to learn its cost.

Only a process that the bench starts is changed; there is no such switch in Ronda itself.
"""

import inspect
import json
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any

WRITE_EVERY_S = 0.25
WEB = {
    "read the body": "backend.api.transactions:parse_transaction",
    "insert transactions": "core.stores.accepting:insert_transactions",
    "outbox rows": "core.acts.outbox:add",
    "audit events": "core.acts.audit:record",
    "commit": "core.infra.postgres:AsyncSession.commit",
    "publish and mark": "core.acts.outbox:publish_and_mark",
    "the rest of accepting": "backend.ingest:Ingest._commit",
}
SCORER = {
    "decode": "workers.score:read",
    "features": "models.features.online:OnlineFeatures.vectors",
    "model": "models.scoring.scorer:Scorer.score",
    "anomaly": "models.scoring.scorer:Scorer.anomaly",
    "rules and outcomes": "workers.score:judge",
    "SHAP": "models.scoring.explainer:Explainer.explain",
    "reasons": "workers.score:reasons",
    "insert decisions": "core.stores.flow:insert_decisions",
    "insert alerts": "core.stores.casework:insert_alerts",
    "audit events": "core.acts.audit:record",
    "commit": "core.infra.postgres:AsyncSession.commit",
    "the rest of scoring": "workers.score:_ScoringDesk.handle",
}
"""Step -> what is timed. A step's time is without that of the steps it calls."""


@dataclass
class _Running:
    inner_s: float = 0.0


@dataclass
class Trace:
    """Seconds by step since the start."""

    path: Path
    prefix: str
    seconds: dict[str, float] = field(default_factory=dict)
    _current: ContextVar[_Running | None] = field(default_factory=lambda: ContextVar("running", default=None))

    def timed(self, step: str, function: Callable[..., Any]) -> Callable[..., Any]:
        step = f"{self.prefix}: {step}"
        self.seconds[step] = 0.0

        def end(running: _Running, outer: _Running | None, began: float) -> None:
            took = time.perf_counter() - began
            self.seconds[step] += took - running.inner_s
            if outer:
                outer.inner_s += took

        @wraps(function)
        async def awaited(*args: Any, **named: Any) -> Any:
            outer, running, began = self._current.get(), _Running(), time.perf_counter()
            token = self._current.set(running)
            try:
                return await function(*args, **named)
            finally:
                self._current.reset(token)
                end(running, outer, began)

        @wraps(function)
        def called(*args: Any, **named: Any) -> Any:
            outer, running, began = self._current.get(), _Running(), time.perf_counter()
            token = self._current.set(running)
            try:
                return function(*args, **named)
            finally:
                self._current.reset(token)
                end(running, outer, began)

        return awaited if inspect.iscoroutinefunction(function) else called

    def write_for_ever(self) -> None:
        """In a thread: whoever stops the process need not be polite."""
        partial = self.path.with_suffix(".partial")
        while True:
            partial.write_text(json.dumps(self.seconds))
            partial.replace(self.path)
            time.sleep(WRITE_EVERY_S)


def replace(target: str, change: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """`target`: module:attribute or module:Class.attribute. Everybody who imported the function by name gets the changed one.

    Raises AttributeError when it is not there any more.
    """
    module_name, _, path = target.partition(":")
    owner: Any = import_module(module_name)
    *holders, name = path.split(".")
    for holder in holders:
        owner = getattr(owner, holder)
    before = getattr(owner, name)
    after = change(before)
    setattr(owner, name, after)
    for module in [] if holders else list(sys.modules.values()):
        names = getattr(module, "__dict__", {})
        if names.get(name) is before:
            names[name] = after


async def _no_event(*_args: Any) -> None: ...


def _unexplained(verdicts: Any, *_args: Any) -> Any:
    return verdicts


WITHOUT: dict[str, tuple[str, Callable[..., Any]]] = {
    "audit": ("core.acts.audit:record", _no_event),
    "shap": ("workers.score:_explained", _unexplained),
}
"""What can be left out: where it is, and what stands in for it."""


def prepare(arguments: Sequence[str], trace: Path, without: Sequence[str]) -> None:
    """Change this process before it runs `arguments`, a command line of Ronda."""
    steps, prefix = (SCORER, "scorer") if "score" in arguments else (WEB, "web")
    for target in steps.values():
        import_module(target.partition(":")[0])
    for name in without:
        target, instead = WITHOUT[name]
        if target.partition(":")[0] in sys.modules:
            replace(target, lambda _before, instead=instead: instead)  # type: ignore[misc]
    kept = Trace(trace, prefix)
    for step, target in steps.items():
        replace(target, lambda function, step=step: kept.timed(step, function))  # type: ignore[misc]
    threading.Thread(target=kept.write_for_ever, daemon=True).start()


def read(paths: Sequence[Path]) -> dict[str, float]:
    """Seconds by step, over several processes."""
    total: dict[str, float] = {}
    for path in paths:
        for step, seconds in json.loads(path.read_text()).items():
            total[step] = total.get(step, 0.0) + seconds
    return total
