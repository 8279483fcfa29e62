"""One short run of the whole bench: what it counts must add up, whatever the speed of this machine."""

import json
import math
from typing import Any

import pytest
from rich.console import Console

from backend.bench.options import BenchOptions, Flow
from backend.bench.report import Result, table
from backend.bench.running import bench
from backend.display import Display

KEYS = {
    "single_posts_per_s", "batch_decisions_per_s", "pipeline_over_slowest_stage", "latency_ms", "stages", "time_share",
    "prefer_wait_ms_at_100", "shap_ms_per_alert", "audit_cost_ratio", "shap_cost_ratio", "generator", "machine", "seed",
    "seconds", "counts", "bus",
}  # fmt: skip
RATE = 50
OPTIONS = BenchOptions(seconds=0.5, rates=(RATE,))


@pytest.fixture(scope="module")
async def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    display = Display(Console(stderr=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(tmp_path_factory.mktemp("bench")))
        # A source's own servers and secrets are none of the bench's business.
        patch.setenv("RONDA_DATABASE_URL", "postgresql://nobody@127.0.0.1:9/none")
        patch.setenv("RONDA_ARTIFACTS_URL", "s3://nobody/none")
        return await bench(OPTIONS, display)


def flows(result: Result) -> list[Flow]:
    assert result.singles
    assert result.batches
    assert result.waited
    return [
        result.singles,
        *result.whole,
        *result.paced.values(),
        result.waited,
        *result.without.values(),
    ]


@pytest.mark.timeout(600)
async def test_every_figure_is_there_and_readable_by_a_program(result: Result) -> None:
    found: dict[str, Any] = json.loads(json.dumps(result.as_json(), allow_nan=False))
    assert found.keys() >= KEYS
    for spread in (found["latency_ms"][str(RATE)], found["prefer_wait_ms_at_100"]):
        assert 0 < spread["p50"] <= spread["p95"] <= spread["p99"]
    console = Console(width=160, record=True)
    console.print(table(result))
    assert f"decision latency at {RATE}/s" in console.export_text()


@pytest.mark.timeout(600)
async def test_everything_accepted_was_decided_once_with_features(result: Result) -> None:
    for counts in [result.counts, *(flow.counts for flow in flows(result))]:
        assert counts.accepted > 0
        assert counts.accepted == counts.decided
        assert (counts.lost, counts.doubled, counts.degraded, counts.refused) == (0, 0, 0, 0)
    driven = sum(flow.counts.accepted for flow in flows(result))
    assert result.counts.accepted == driven + 100 + 400  # warming up counts as well
    assert result.counts.alerts > 0
    assert result.paced[RATE].counts.accepted == round(RATE * OPTIONS.seconds)


@pytest.mark.timeout(600)
async def test_the_figures_stand_in_the_order_they_must(result: Result) -> None:
    assert result.singles
    assert result.batches
    assert result.generator_per_s > result.echo_per_s > result.singles.accepts_per_s
    assert all(rate > 0 for rate in result.limits.values())
    for flow in flows(result):
        assert flow.accepts_per_s > 0
        assert flow.decisions_per_s > 0
        assert {name for name, spent in flow.cpu_ms.items() if spent > 0} >= {"web", "scorer", "postgres", "valkey"}
        for process in ("web", "scorer"):
            shares = [share for name, share in flow.shares().items() if name.startswith(process)]
            assert math.isclose(sum(shares), 1.0)
            assert min(shares) >= 0


@pytest.mark.timeout(600)
async def test_what_is_left_out_is_left_out_and_only_that(result: Result) -> None:
    assert result.batches
    explained, recorded = "scorer: SHAP", "scorer: audit events"
    assert result.batches.steps[explained] > 0
    assert result.without["shap"].steps[explained] == 0
    assert result.without["audit"].steps[explained] > 0
    assert result.without["audit"].steps[recorded] < result.batches.steps[recorded] / 10
    assert result.without["shap"].steps[recorded] > result.batches.steps[recorded] / 10
    assert all(flow.steps[explained] > 0 < flow.steps[recorded] for flow in result.whole)
