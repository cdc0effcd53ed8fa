"""Fewer vectors a document: those that lie close together become their mean.

Ward's hierarchical clusters, as ColPali and PyLate pool (Clavie et al., arXiv 2409.14683).
"""

import numpy as np

from chiasm.errors import Misuse


def pooled(vectors: np.ndarray, factor: int) -> np.ndarray:
    """Unit means of at most ceil(n / factor) clusters of n unit vectors, `[cluster, width]`.

    Raises:
        Misuse: a factor below 1.
    """
    if factor < 1:
        raise Misuse(f"vectors pooled by {factor}; give 1, which keeps them, or more")
    wanted = -(-len(vectors) // factor)
    if wanted == len(vectors):
        return vectors
    from scipy.cluster.hierarchy import fcluster, linkage

    cluster = fcluster(linkage(vectors, method="ward"), wanted, criterion="maxclust") - 1
    sums = np.zeros((cluster.max() + 1, vectors.shape[1]))
    np.add.at(sums, cluster, vectors)
    # Opposite vectors may cancel out; their cluster is then its first vector.
    lengths = np.linalg.norm(sums, axis=1)
    for one in np.flatnonzero(lengths < 1e-6):
        sums[one], lengths[one] = vectors[np.flatnonzero(cluster == one)[0]], 1.0
    return (sums / lengths[:, None]).astype(np.float32)
