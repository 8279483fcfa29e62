"""Clocks inside a process: whose time is whose, and that a step which is gone is noticed."""

import asyncio
import sys
from pathlib import Path
from types import ModuleType

import pytest

from backend.bench import probe
from backend.bench.probe import Trace, replace


async def test_a_steps_time_is_without_that_of_the_steps_it_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = 0.0
    monkeypatch.setattr(probe.time, "perf_counter", lambda: clock)
    trace = Trace(tmp_path / "t.json", "web")

    def inner() -> None:
        nonlocal clock
        clock += 3.0

    timed_inner = trace.timed("inner", inner)

    async def outer() -> None:
        nonlocal clock
        clock += 0.5
        timed_inner()
        await asyncio.sleep(0)

    timed_outer = trace.timed("outer", outer)
    await timed_outer()
    assert trace.seconds == {"web: inner": 3.0, "web: outer": 0.5}
    await asyncio.gather(timed_outer(), timed_outer())
    # While the first one waits, the second one's 3.5 pass; they are the first one's waiting, not its inner step.
    assert trace.seconds == {"web: inner": 9.0, "web: outer": 0.5 + (0.5 + 3.5) + 0.5}


def test_who_imported_it_by_name_gets_the_changed_one(monkeypatch: pytest.MonkeyPatch) -> None:
    maker, user = ModuleType("bench_maker"), ModuleType("bench_user")
    vars(maker)["act"] = vars(user)["act"] = lambda: "as it was"
    for module in (maker, user):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    replace("bench_maker:act", lambda _: lambda: "changed")
    assert vars(maker)["act"]() == vars(user)["act"]() == "changed"


@pytest.mark.parametrize(
    "target", [*probe.WEB.values(), *probe.SCORER.values(), *(t for t, _ in probe.WITHOUT.values())]
)
def test_every_step_is_still_there(target: str) -> None:
    replace(target, lambda function: function)


def test_a_step_that_is_gone_is_an_error() -> None:
    with pytest.raises(AttributeError, match="no_such_step"):
        replace("workers.score:no_such_step", lambda function: function)
