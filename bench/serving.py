"""What serving a model costs, on this machine and one thread.

    OMP_NUM_THREADS=1 python -m bench.serving FILE.parquet
    OMP_NUM_THREADS=1 python -m bench.serving FILE.parquet --model ARTIFACT

FILE holds labelled payments, as for `ronda evaluate`. Without --model the default model is trained on it first. The figures stand beside
the limits they are to keep.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from backend.commands.common import Json, show_json
from backend.evaluation.options import EvaluationOptions
from backend.evaluation.reading import read_stream
from core.infra.artifacts import FolderBlobs, SignedArtifacts
from core.infra.signing import KeyPair, Keys
from models.features.offline import replay
from models.features.vector import FloatMatrix
from models.scoring.artifact import decode, unpack
from models.scoring.dataset import Dataset
from models.scoring.explainer import Explainer
from models.scoring.scorer import Scorer
from models.scoring.training import TrainingOptions, train

BATCH = 256
ROWS = 4096
"""Payments of the file that are scored, evenly over it."""


@dataclass(frozen=True)
class Figure:
    name: str
    value: float
    unit: str
    limit: float | None = None

    @property
    def kept(self) -> bool:
        return self.limit is None or self.value <= self.limit


def seconds(act: Callable[[], object], times: int) -> list[float]:
    """After one call that is not counted."""
    act()
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        act()
        taken.append(time.perf_counter() - start)
    return taken


def median_ms(act: Callable[[], object], times: int) -> float:
    return statistics.median(seconds(act, times)) * 1000


def measure(artifact: bytes, matrix: FloatMatrix) -> list[Figure]:
    figures = loading(artifact)
    scorer = Scorer.load(artifact)
    explainer = Explainer(scorer)
    batch, one = matrix[:BATCH], matrix[:1]
    single = seconds(lambda: scorer.score(one), 3000)
    figures += [
        Figure("golden payments, largest difference", golden_difference(artifact, scorer), "log-odds", 1e-9),
        Figure("a row at 256 rows", median_ms(lambda: scorer.score(batch), 300) * 1000 / BATCH, "us", 60),
        Figure("one row, median", statistics.median(single) * 1000, "ms", 0.5),
        Figure("one row, 99th percentile", float(np.quantile(single, 0.99)) * 1000, "ms"),
    ]
    if scorer.anomaly(one) is not None:
        figures.append(
            Figure("anomaly, a row at 256 rows", median_ms(lambda: scorer.anomaly(batch), 100) * 1000 / BATCH, "us")
        )
    for rows, times, limit in ((1, 300, 5), (100, 20, 100), (1000, 5, 1000)):
        chosen = matrix[:rows]
        figures.append(
            Figure(f"explain {rows:,}", median_ms(lambda c=chosen: explainer.explain(c), times), "ms", limit)
        )
    explanation = explainer.explain(matrix[:1000])
    error = np.abs(explanation.contributions.sum(axis=1) + explanation.base - scorer.score(matrix[:1000]).margin).max()
    figures.append(Figure("additivity, largest error of 1,000", float(error), "log-odds", 1e-6))
    return figures


def loading(artifact: bytes) -> list[Figure]:
    """shap is imported before the clock starts."""
    scorer = Scorer.load(artifact)
    Explainer(scorer)
    with tempfile.TemporaryDirectory() as folder:
        pair = KeyPair.new()
        store = SignedArtifacts(FolderBlobs(Path(folder)), lambda: Keys(pair.private, [pair.public]))
        sha = store.put(artifact)
        verify = median_ms(lambda: store.get(sha), 20)
    return [
        Figure("artifact", len(artifact) / 1024, "KiB"),
        Figure("read, verify hash and signature", verify, "ms"),
        Figure("load, golden payments included", median_ms(lambda: Scorer.load(artifact), 5), "ms"),
        Figure("build the explainer", median_ms(lambda: Explainer(scorer), 5), "ms"),
    ]


def golden_difference(artifact: bytes, scorer: Scorer) -> float:
    parsed = decode(artifact)
    return float(np.abs(scorer.score(unpack(parsed.golden)).margin - unpack(parsed.golden_margins)).max())


def main(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    model: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="A model file instead of training one.")
    ] = None,
    as_json: Json = False,
) -> None:
    console = Console(stderr=True, highlight=False)
    with threadpool_limits(limits=1):
        stream = read_stream(EvaluationOptions(files=(file,)))
        matrix = replay(stream.history)
        if model:
            artifact = model.read_bytes()
        else:
            dataset = Dataset.of(stream, matrix)
            artifact = train(
                dataset, TrainingOptions(), lambda done, words: console.print(f"{done:4.0%} {words}")
            ).artifact
        rows = np.linspace(len(matrix) // 2, len(matrix) - 1, ROWS).astype(np.int64)
        figures = measure(artifact, np.ascontiguousarray(matrix[rows]))
    if as_json:
        show_json([asdict(figure) | {"kept": figure.kept} for figure in figures])
    else:
        table = Table("figure", "value", "", "limit", "kept", box=None)
        for figure in figures:
            limit = "" if figure.limit is None else f"{figure.limit:g}"
            table.add_row(
                figure.name,
                f"{figure.value:.3g}",
                figure.unit,
                limit,
                "" if not limit else "yes" if figure.kept else "NO",
            )
        Console().print(table)
    raise typer.Exit(0 if all(figure.kept for figure in figures) else 1)


if __name__ == "__main__":
    typer.run(main)
