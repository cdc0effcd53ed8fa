"""CLaMR's loss (arXiv 2506.06144): a document's positive score is that of the asked modality."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from chiasm.embedders.stages.align import Round
from chiasm.errors import Misuse
from chiasm.objectives import Contrastive
from chiasm.retrieval.embedding import Embedding, Multi
from chiasm.retrieval.maxsim import products, summed


@dataclass(frozen=True, kw_only=True)
class ModalityAware:
    """Contrast over max_m s_m(q, d), s_m the late score among a document's tokens of modality m; a
    query's own document scores as the modality that its task asks about does.
    """

    contrast: Contrastive

    def build(self, widths: dict[str, int]) -> nn.Module:
        return _ModalityAware(self.contrast)


class _ModalityAware(nn.Module):
    def __init__(self, contrast: Contrastive) -> None:
        super().__init__()
        self.contrast = contrast

    def forward(self, of: Round, scorer: nn.Module) -> dict[str, Tensor]:
        queries, documents = _unit(of.queries.embedding), _unit(of.candidates.embedding)
        found = products(queries, documents)
        lengths = queries.valid.sum(-1, keepdim=True)
        least = torch.finfo(found.dtype).min
        best = found.new_full(found.shape[:2], least)
        asked = best.clone()
        for kind in documents.modality[documents.valid].unique():
            among = documents.valid & (documents.modality == kind)
            own = summed(queries, found, among).masked_fill(~among.any(-1)[None], least)
            best = torch.maximum(best, own)
            asked = torch.where((of.about == kind).unsqueeze(-1) & among.any(-1), own, asked)
        told = (of.targets > 0) & (asked > least)
        scores = torch.where(told, asked, best) / lengths
        return {"contrast": self.contrast.judge(scores, of.targets)}


def _unit(of: Embedding) -> Multi:
    if not isinstance(of, Multi):
        raise Misuse("a loss by modality needs many vectors an item; give them")
    return replace(of, vectors=of.unit())
