"""What a bench found: one table for people, one JSON object for programs."""

import os
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from backend.bench.growth import Grown
from backend.bench.options import BATCH, WAIT_RATE, BenchOptions, Counts, Flow, Percentiles

SHAP = "shap_ms_per_alert"


@dataclass(frozen=True)
class Machine:
    """`load`: the one-minute load average before the bench began; near 0 = nobody else was working."""

    cores: int
    load: float

    @classmethod
    def now(cls) -> "Machine":
        return cls(len(os.sched_getaffinity(0)), os.getloadavg()[0])


@dataclass
class Result:
    """Filled while the bench goes on. Rates are payments a second, but `generator_per_s` and `echo_per_s`: requests."""

    machine: Machine
    options: BenchOptions
    seconds: float = 0.0
    bus: str = ""
    generator_per_s: float = 0.0
    echo_per_s: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)
    singles: Flow | None = None
    batches: Flow | None = None
    paced: dict[int, Flow] = field(default_factory=dict)
    waited: Flow | None = None
    whole: list[Flow] = field(default_factory=list)
    """Batches with everything: before, between and after those of `without`."""
    without: dict[str, Flow] = field(default_factory=dict)
    growth: list[Grown] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)

    @property
    def limits(self) -> dict[str, float]:
        return {name: rate for name, rate in self.stages.items() if name != SHAP}

    def over_slowest(self) -> float:
        assert self.batches
        return self.batches.decisions_per_s / min(self.limits.values())

    def cost_ratio(self, name: str) -> float:
        """Rate with everything, the mean of just before and just after, over the rate without this."""
        before, after = self._beside(name)
        return (before.decisions_per_s + after.decisions_per_s) / 2 / self.without[name].decisions_per_s

    def cpu_ratio(self, name: str) -> float:
        """CPU of a payment without this over that with everything: what other work on the machine hardly changes."""
        before, after = (sum(flow.cpu_ms.values()) for flow in self._beside(name))
        return sum(self.without[name].cpu_ms.values()) / ((before + after) / 2)

    def _beside(self, name: str) -> tuple[Flow, Flow]:
        place = [*self.without].index(name)
        return self.whole[place], self.whole[place + 1]

    def as_json(self) -> dict[str, Any]:
        assert self.singles
        assert self.batches
        assert self.waited
        assert self.waited.answer_ms
        return {
            "single_posts_per_s": round(self.singles.decisions_per_s, 1),
            "single_posts_accepted_per_s": round(self.singles.accepts_per_s, 1),
            "batch_decisions_per_s": round(self.batches.decisions_per_s, 1),
            "batch_accepted_per_s": round(self.batches.accepts_per_s, 1),
            "pipeline_over_slowest_stage": round(self.over_slowest(), 3),
            "latency_ms": {str(rate): _rounded(flow.latency_ms) for rate, flow in self.paced.items()},
            "accept_ms": {str(rate): _rounded(flow.answer_ms) for rate, flow in self.paced.items()},
            "prefer_wait_ms_at_100": _rounded(self.waited.answer_ms),
            "stages": {name: round(rate, 1) for name, rate in self.limits.items()},
            "shap_ms_per_alert": round(self.stages[SHAP], 3),
            "audit_cost_ratio": round(self.cost_ratio("audit"), 3),
            "audit_cpu_ratio": round(self.cpu_ratio("audit"), 3),
            "shap_cost_ratio": round(self.cost_ratio("shap"), 3),
            "shap_cpu_ratio": round(self.cpu_ratio("shap"), 3),
            "cpu_ms_per_payment": {"singles": _tidy(self.singles.cpu_ms), "batches": _tidy(self.batches.cpu_ms)},
            "step_ms_per_payment": {"singles": _tidy(self.singles.steps), "batches": _tidy(self.batches.steps)},
            "time_share": {"singles": _tidy(self.singles.shares()), "batches": _tidy(self.batches.shares())},
            "generator": {
                "kind": "processes of a keep-alive HTTP/1.1 client",
                "requests_per_s": round(self.generator_per_s, 1),
                "web_stack_requests_per_s": round(self.echo_per_s, 1),
            },
            "counts": asdict(self.counts),
            **({"growth": [asdict(one) for one in self.growth]} if self.growth else {}),
            "machine": asdict(self.machine),
            "bus": self.bus,
            "seed": self.options.seed,
            "seconds": round(self.seconds, 1),
        }


def _rounded(found: Percentiles | None) -> dict[str, float] | None:
    return {name: round(value, 2) for name, value in asdict(found).items()} if found else None


def _tidy(found: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in found.items()}


def table(result: Result) -> Table:
    """One row a figure."""
    assert result.singles
    assert result.batches
    rows = Table("figure", "value", "beside it", title=_title(result), title_justify="left", show_edge=False)
    rows.add_row("decisions/s, single posts", *_rates(result.singles))
    rows.add_row(f"decisions/s, batches of {BATCH}", *_rates(result.batches))
    for rate, flow in result.paced.items():
        accepted = f"accepted p99 {flow.answer_ms.p99:.1f} ms" if flow.answer_ms else ""
        rows.add_row(f"decision latency at {rate:,}/s", _spread(flow.latency_ms), accepted)
    rows.add_row(
        f"Prefer: wait at {WAIT_RATE}/s",
        _spread(result.waited.answer_ms if result.waited else None),
        "the answer's time",
    )
    rows.add_section()
    for name, alone in sorted(result.limits.items(), key=lambda one: one[1]):
        rows.add_row(f"alone: {name}", f"{alone:,.0f}/s", "")
    rows.add_row("alone: web stack that does nothing", f"{result.echo_per_s:,.0f}/s", "requests")
    rows.add_row("alone: load generator", f"{result.generator_per_s:,.0f}/s", "requests")
    rows.add_row("batches / slowest stage alone", f"{result.over_slowest():.2f}", "")
    rows.add_row("SHAP and reasons", f"{result.stages[SHAP]:.2f} ms", "per alert")
    for name, flow in result.without.items():
        rows.add_row(
            f"rate with / without {name}",
            f"{result.cost_ratio(name):.2f}",
            f"{flow.decisions_per_s:,.0f}/s without; by CPU {result.cpu_ratio(name):.2f}",
        )
    rows.add_section()
    for name, value in _largest(result.batches.cpu_ms):
        rows.add_row(
            f"CPU, batches: {name}", f"{value:.3f} ms", f"a payment; singles {result.singles.cpu_ms[name]:.3f}"
        )
    for name, value in _largest(result.batches.steps):
        share = result.batches.shares()[name]
        rows.add_row(f"step, batches: {name}", f"{value:.3f} ms", f"{share:.0%} of its process's steps")
    rows.add_section()
    for row in result.growth:
        beside = f"{row.ratio:.2f} of before, {row.of_first:.2f} of the first"
        if row.degraded:
            beside += f", {row.degraded:,} degraded"
        rows.add_row(row.words, f"{row.decisions_per_s:,.0f}/s", beside)
    rows.add_section()
    counts = result.counts
    rows.add_row("accepted, decided", f"{counts.accepted:,}, {counts.decided:,}", f"{counts.alerts:,} alerts")
    rows.add_row(
        "lost, doubled", f"{counts.lost}, {counts.doubled}", f"{counts.degraded} degraded, {counts.refused} refused"
    )
    return rows


def _title(result: Result) -> str:
    return (
        f"{result.machine.cores} cores, load {result.machine.load:.2f} before; bus: {result.bus}; "
        f"seed {result.options.seed}; {result.seconds:.0f} s"
    )


def _rates(flow: Flow) -> tuple[str, str]:
    return f"{flow.decisions_per_s:,.0f}", f"{flow.accepts_per_s:,.0f}/s accepted"


def _spread(found: Percentiles | None) -> str:
    return f"{found.p50:.1f} / {found.p95:.1f} / {found.p99:.1f} ms" if found else "-"


def _largest(found: dict[str, float]) -> list[tuple[str, float]]:
    return sorted(found.items(), key=lambda one: -one[1])


def show(result: Result) -> None:
    console = Console()
    console.print(table(result), width=None if console.is_terminal else 120)
