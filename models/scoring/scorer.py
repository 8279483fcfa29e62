"""Scoring with a compiled twin of the trained model, on one thread."""

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import treelite
from treelite.model_builder import Metadata, ModelBuilder, PostProcessorFunc, TreeAnnotation

from core.base.errors import ModelRefused
from models.features.catalogue import NAMES
from models.features.vector import FloatArray, FloatMatrix
from models.scoring.artifact import Artifact, Calibration, Thresholds, decode, unpack, unpack_ensemble
from models.scoring.ensemble import LEAF, Ensemble

GOLDEN_TOLERANCE: Final = 1e-9
_EDGE: Final = 1e-12


@dataclass(frozen=True)
class Scores:
    """margin: (n,) log-odds before calibration, what explanations add up to. probability: (n,) calibrated, strictly between 0 and 1."""

    margin: FloatArray
    probability: FloatArray


class Scorer:
    """Safe to share between threads. Makes no threads of its own: busy neighbours would cost it tens of milliseconds."""

    def __init__(self, artifact: Artifact, ensemble: Ensemble) -> None:
        self.ensemble = ensemble
        self.calibration = artifact.calibration
        self.thresholds: Thresholds = artifact.thresholds
        self.usual: FloatArray = unpack(artifact.usual)
        self.lineage: dict[str, Any] = artifact.lineage
        self._model = compile_ensemble(ensemble, len(NAMES))

    @classmethod
    def load(cls, data: bytes) -> Self:
        """Raises ModelRefused unless the file is sound and repeats scikit-learn's margins on its golden payments to 1e-9."""
        artifact = decode(data)
        ensemble = unpack_ensemble(artifact.ensemble)
        ensemble.check(len(NAMES))
        golden, expected = unpack(artifact.golden), unpack(artifact.golden_margins)
        if (
            golden.shape != (len(expected), len(NAMES))
            or len(expected) == 0
            or unpack(artifact.usual).shape != (len(NAMES),)
        ):
            raise ModelRefused("the model file has no golden payments to be verified with")
        scorer = cls(artifact, ensemble)
        worst = float(np.abs(scorer.score(golden).margin - expected).max())
        if not worst <= GOLDEN_TOLERANCE:
            raise ModelRefused(
                f"the model's golden payments differ by {worst:.3g} from what its training gave", difference=worst
            )
        return scorer

    def score(self, matrix: FloatMatrix) -> Scores:
        """matrix: (n, len(NAMES)), NaN = not known."""
        if len(matrix) == 0:
            return Scores(np.empty(0), np.empty(0))
        data = np.ascontiguousarray(matrix, dtype=np.float64)
        margin = treelite.gtil.predict(self._model, data, nthread=1, pred_margin=True).reshape(len(matrix))
        return Scores(margin, calibrated(self.calibration, margin))


def calibrated(calibration: Calibration, margin: FloatArray) -> FloatArray:
    """Probabilities; increasing in the margin, kept off 0 and 1 (nothing is certain)."""
    logit = np.clip(calibration.slope * margin + calibration.intercept, -700, 700)
    return np.asarray(np.clip(1 / (1 + np.exp(-logit)), _EDGE, 1 - _EDGE), dtype=np.float64)


def compile_ensemble(ensemble: Ensemble, features: int) -> treelite.Model:
    builder = ModelBuilder(
        threshold_type="float64",
        leaf_output_type="float64",
        metadata=Metadata(
            num_feature=features,
            task_type="kBinaryClf",
            average_tree_output=False,
            num_target=1,
            num_class=[1],
            leaf_vector_shape=(1, 1),
        ),
        tree_annotation=TreeAnnotation(
            num_tree=ensemble.trees, target_id=[0] * ensemble.trees, class_id=[0] * ensemble.trees
        ),
        postprocessor=PostProcessorFunc(name="identity"),
        base_scores=[ensemble.base],
    )
    for tree in range(ensemble.trees):
        builder.start_tree()  # type: ignore[no-untyped-call]
        _build_nodes(builder, ensemble, ensemble.nodes(tree))
        builder.end_tree()  # type: ignore[no-untyped-call]
    return builder.commit()


def _build_nodes(builder: ModelBuilder, ensemble: Ensemble, nodes: slice) -> None:
    for key, node in enumerate(range(nodes.start, nodes.stop)):
        builder.start_node(key)
        if ensemble.left[node] == LEAF:
            builder.leaf(float(ensemble.value[node]))
        else:
            builder.numerical_test(
                feature_id=int(ensemble.feature[node]),
                threshold=float(ensemble.threshold[node]),
                default_left=bool(ensemble.missing_left[node]),
                opname="<=",
                left_child_key=int(ensemble.left[node]),
                right_child_key=int(ensemble.right[node]),
            )
        builder.end_node()  # type: ignore[no-untyped-call]
