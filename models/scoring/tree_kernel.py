"""The walk through boosted trees, compiled by numba. It follows indices unchecked: only `trees.CompiledTrees` calls it."""

import numpy as np
import numpy.typing as npt

from models.compiled import compiled
from models.features.vector import FloatArray, FloatMatrix


@compiled
def add_leaves(
    root: npt.NDArray[np.uint64],
    depth: npt.NDArray[np.int64],
    feature: npt.NDArray[np.uint64],
    threshold: FloatArray,
    missing_left: npt.NDArray[np.bool_],
    child: npt.NDArray[np.uint64],
    value: FloatArray,
    matrix: FloatMatrix,
    sums: FloatArray,
) -> None:
    """sums: (n,) += one leaf of each tree, tree by tree, in the order scikit-learn adds them.

    child: right and left child of node k at 2k and 2k + 1, a leaf's are itself. Every row takes `depth` steps in a tree: a fixed
    number of steps without a branch costs half of stopping at the leaf, which the processor cannot foresee.
    """
    one = np.uint64(1)
    for tree in range(len(root)):
        for row in range(len(matrix)):
            node = root[tree]
            for _ in range(depth[tree]):
                x = matrix[row, feature[node]]
                left = (x <= threshold[node]) | ((x != x) & missing_left[node])
                node = child[(node << one) | np.uint64(left)]
            sums[row] += value[node]
