"""MaxSim (ColBERT, arXiv 2004.12832): each query vector's best match in a document, summed."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from chiasm.errors import Misuse
from chiasm.retrieval.embedding import Multi
from chiasm.retrieval.threads import each_on_a_thread
from chiasm.retrieval.tokens import BLOCK_TOKENS, Block, Tokens


def maxsim(queries: Multi, documents: Multi) -> Float[Tensor, "query document"]:
    """s(q, d) = sum_i max_j <q_i, d_j>, over the vectors that there are, with gradients.

    What the vectors' lengths are is up to the caller: unit vectors make sums of cosines. Equals
    `maxsim_slowly` in values and gradients.
    """
    return summed(queries, products(queries, documents), documents.valid)


def products(
    queries: Multi, documents: Multi
) -> Float[Tensor, "query document query_token document_token"]:
    """<q_i, d_j> of all pairs, padding included."""
    _check_widths(queries.vectors.shape[-1], documents.vectors.shape[-1])
    return torch.einsum("qiw,djw->qdij", queries.vectors, documents.vectors)


def summed(
    queries: Multi, found: Tensor, among: Bool[Tensor, "document document_token"]
) -> Float[Tensor, "query document"]:
    """Each query vector's best product among some of a document's vectors, summed."""
    best = found.masked_fill(~among[None, :, None], torch.finfo(found.dtype).min).amax(-1)
    return (best * queries.valid[:, None]).sum(-1)


def maxsim_slowly(queries: Multi, documents: Multi) -> Float[Tensor, "query document"]:
    """The equation, a pair at a time, in float64."""
    rows = [
        torch.stack(
            [
                torch.stack(
                    [torch.stack([q.double() @ d.double() for d in document]).max() for q in query]
                ).sum()
                for document in _items(documents)
            ]
        )
        for query in _items(queries)
    ]
    return torch.stack(rows)


def _items(of: Multi) -> list[Tensor]:
    return [vectors[valid] for vectors, valid in zip(of.vectors, of.valid, strict=True)]


@torch.inference_mode()
def maxsim_all(
    queries: Sequence[Float[Tensor, "token width"]],
    tokens: Tokens,
    documents: Int[Tensor, " document"] | None = None,
) -> Float[Tensor, "query document"]:
    """MaxSim of every query with every packed document, or with those named, in their order.

    Threads share the documents; each multiplies a group and reduces it while it lies in the cache,
    and the products of all vectors are never held at once.

    Raises:
        Misuse: a query without a vector, or of another width.
    """
    lengths = [len(query) for query in queries]
    if not queries or not min(lengths):
        raise Misuse("a query without a vector cannot be scored; give at least 1 vector each")
    asked = torch.cat(list(queries))
    _check_widths(asked.shape[-1], tokens.width)
    out = torch.empty(len(tokens), len(queries))
    multiply = _multiplying(asked)
    # One short operation a group, for any number of queries.
    summing = torch.block_diag(*(torch.ones(length, 1) for length in lengths))

    def score(part: Block | Tensor) -> None:
        group = tokens.group(part)
        pairs = multiply(group.vectors).unflatten(0, (len(group.documents), -1))
        out[group.documents] = pairs.amax(1).float() @ summing

    each_on_a_thread(score, tokens.groups(documents))
    return (out if documents is None else out[documents]).T


def _multiplying(
    asked: Float[Tensor, "query_token width"],
) -> Callable[[Float[Tensor, "row width"]], Float[Tensor, "row query_token"]]:
    """Products with all query vectors.

    oneDNN brings the few query vectors into its order once and reads the documents' as they lie,
    where a plain product brings the many of every block into order first.
    """
    if torch.backends.mkldnn.is_available() and asked.device.type == "cpu":
        packed = torch.ops.mkldnn._reorder_linear_weight(asked.float(), BLOCK_TOKENS)
        return lambda rows: torch.ops.mkldnn._linear_pointwise(rows, packed, None, "none", [], "")
    return lambda rows: rows @ asked.to(rows.dtype).T


def _check_widths(query: int, document: int) -> None:
    if query != document:
        raise Misuse(f"query vectors are {query} wide and documents' {document}; embed both alike")
