"""A boosted ensemble as plain arrays: what scikit-learn trained, without scikit-learn."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from core.base.errors import ModelRefused

LEAF: Final = -1
MOST_NODES: Final = 5_000_000


@dataclass(frozen=True)
class Ensemble:
    """Margin (log-odds) = base + the value of one leaf in each tree.

    Nodes of tree i are offset[i] to offset[i+1]; left and right count from the tree's first node, LEAF in a leaf. A payment goes left
    when its feature is <= threshold, or is NaN and missing_left. cover: training rows that reached the node.
    """

    base: float
    offset: npt.NDArray[np.int32]
    feature: npt.NDArray[np.int32]
    threshold: npt.NDArray[np.float64]
    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    missing_left: npt.NDArray[np.bool_]
    value: npt.NDArray[np.float64]
    cover: npt.NDArray[np.float64]

    @property
    def trees(self) -> int:
        return len(self.offset) - 1

    def nodes(self, tree: int) -> slice:
        return slice(int(self.offset[tree]), int(self.offset[tree + 1]))

    def check(self, features: int) -> None:
        """Raises ModelRefused unless following any path ends in a leaf and reads only existing features."""
        nodes = len(self.feature)
        arrays = (self.threshold, self.left, self.right, self.missing_left, self.value, self.cover)
        sizes = np.diff(self.offset)
        sound = (
            0 < nodes <= MOST_NODES
            and all(len(array) == nodes for array in arrays)
            and self.trees > 0
            and self.offset[0] == 0
            and self.offset[-1] == nodes
            and bool((sizes > 0).all())
        )
        if not sound:
            raise ModelRefused("the model's trees are cut or do not fit together")
        number = np.arange(nodes) - np.repeat(self.offset[:-1], sizes)
        size = np.repeat(sizes, sizes)
        inner = self.left != LEAF
        # Children come after their parent: no path can turn in a circle.
        children = all(bool(((side > number) & (side < size))[inner].all()) for side in (self.left, self.right))
        numbers = np.isfinite(self.value).all() and np.isfinite(self.base) and not np.isnan(self.threshold).any()
        known = bool(((self.feature >= 0) & (self.feature < features))[inner].all())
        leaves = bool((self.right[~inner] == LEAF).all())
        if not (children and numbers and known and leaves and bool((self.cover > 0).all())):
            raise ModelRefused("the model's trees hold nodes that lead nowhere")


def from_histogram_boosting(model: Any) -> Ensemble:
    """The arrays of a fitted binary HistGradientBoostingClassifier without categorical splits."""
    tables = [predictors[0].nodes for predictors in model._predictors]
    if any(table["is_categorical"].any() for table in tables):
        raise ValueError("categorical splits cannot be explained exactly")
    nodes = np.concatenate(tables)
    leaf = nodes["is_leaf"].astype(bool)
    sizes = [len(table) for table in tables]
    return Ensemble(
        base=float(np.ravel(model._baseline_prediction)[0]),
        offset=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32),
        feature=np.where(leaf, 0, nodes["feature_idx"]).astype(np.int32),
        threshold=np.where(leaf, 0.0, nodes["num_threshold"]),
        left=np.where(leaf, LEAF, nodes["left"].astype(np.int64)).astype(np.int32),
        right=np.where(leaf, LEAF, nodes["right"].astype(np.int64)).astype(np.int32),
        missing_left=nodes["missing_go_to_left"].astype(bool),
        value=np.where(leaf, nodes["value"], 0.0),
        cover=nodes["count"].astype(np.float64),
    )
