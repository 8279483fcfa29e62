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
from functools import partial, wraps
from importlib import import_module
from pathlib import Path
from typing import Any

EVERY_S = 0.25
LEFT_OUT = "left-out"
"""The file beside the traces that names what the processes are to leave out."""
WEB = {
    "read the body": "backend.api.transactions:parse_transaction",
    "audit events": "core.acts.audit:record",
    "write the statement": "backend.ingest:Ingest._write",
    "store": "core.infra.postgres:Line.at_once",
    "publish": "core.acts.outbox:publish",
    "mark as sent": "core.stores.flow:mark_sent",
    "the rest of accepting": "backend.ingest:Ingest._commit",
}
SCORER = {
    "decode": "workers.score:read",
    "features": "models.features.online:OnlineFeatures.vectors",
    "model": "models.scoring.scorer:Scorer.score",
    "anomaly": "models.scoring.scorer:Scorer.anomaly",
    "rules and outcomes": "workers.score:judge",
    "SHAP": "models.scoring.explainer:Explainer.explain",
    "reasons": "workers.judging:reasons",
    "audit events": "core.acts.audit:record",
    "write the statement": "workers.score:_ScoringDesk._store",
    "store": "core.infra.postgres:Line.at_once",
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
    left_out: str = ""
    _current: ContextVar[_Running | None] = field(default_factory=lambda: ContextVar("running", default=None))

    def timed(self, step: str, function: Callable[..., Any]) -> Callable[..., Any]:
        step = f"{self.prefix}: {step}"
        self.seconds[step] = 0.0

        def end(running: _Running, outer: _Running | None, began: float) -> None:
            took = time.perf_counter() - began
            # Less than nothing is left where the steps inside ran beside each other.
            self.seconds[step] += max(0.0, took - running.inner_s)
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

    def wants(self, name: str) -> bool:
        return name != self.left_out

    def follow_for_ever(self) -> None:
        """In a thread: write the seconds, so that whoever stops the process need not be polite, and read what is to be left out."""
        partly, order = self.path.with_suffix(".partial"), self.path.with_name(LEFT_OUT)
        while True:
            partly.write_text(json.dumps(self.seconds))
            partly.replace(self.path)
            self.left_out = order.read_text() if order.exists() else ""
            time.sleep(EVERY_S)


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


def _no_events(wanted: Callable[[], bool], function: Callable[..., Any]) -> Callable[..., Any]:
    async def record(*args: Any) -> Any:
        return await function(*args) if wanted() else None

    return record


def _no_reasons(wanted: Callable[[], bool], function: Callable[..., Any]) -> Callable[..., Any]:
    def explained(verdicts: Any, *args: Any) -> Any:
        return function(verdicts, *args) if wanted() else verdicts

    return explained


WITHOUT = {"audit": ("core.acts.audit:record", _no_events), "shap": ("workers.judging:_explained", _no_reasons)}
"""What can be left out for a while: where it is, and what stands before it."""


def prepare(arguments: Sequence[str], trace: Path) -> None:
    """Change this process before it runs `arguments`, a command line of Ronda."""
    steps, prefix = (SCORER, "scorer") if "score" in arguments else (WEB, "web")
    for target in steps.values():
        import_module(target.partition(":")[0])
    kept = Trace(trace, prefix)
    for name, (target, stand_before) in WITHOUT.items():
        if target.partition(":")[0] in sys.modules:
            replace(target, partial(stand_before, partial(kept.wants, name)))
    for step, target in steps.items():
        replace(target, partial(kept.timed, step))
    threading.Thread(target=kept.follow_for_ever, daemon=True).start()


def read(paths: Sequence[Path]) -> dict[str, float]:
    """Seconds by step, over several processes."""
    total: dict[str, float] = {}
    for path in paths:
        for step, seconds in json.loads(path.read_text()).items():
            total[step] = total.get(step, 0.0) + seconds
    return total
