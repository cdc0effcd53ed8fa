"""The nearest wrong document of the batch against the right one (ColPali, SV-RAG)."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from chiasm.errors import Misuse


def hardest_in_batch(scores: Float[Tensor, "query document"]) -> Float[Tensor, ""]:
    """mean_i softplus(max_{j != i} s_ij - s_ii), document i being that of query i
    (arXiv 2407.01449, 2411.01106).

    Raises:
        Misuse: the scores are not square, or of one query alone: there is no wrong document.
    """
    queries, documents = scores.shape
    if queries != documents or queries < 2:
        raise Misuse(
            f"scores of {queries} queries and {documents} documents; give as many of each, "
            "2 at least"
        )
    own = torch.eye(queries, dtype=torch.bool, device=scores.device)
    wrong = scores.masked_fill(own, torch.finfo(scores.dtype).min).amax(1)
    return F.softplus(wrong - scores.diagonal()).mean()
