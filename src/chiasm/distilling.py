"""A stack ahead of the host, taught to stand for a vision encoder and for the host's own words."""

from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.backbone import Chain
from chiasm.connectors.tiled_patches import TiledRows, laid_out, own_grids
from chiasm.model import Model, per_sample
from chiasm.spec import Encoder
from chiasm.stream import Features, Inputs, Modality, Tokens
from chiasm.stream.table import take


class Distillation(nn.Module):
    """The first stage of HaploVL (arXiv 2503.14694): h what the stack ahead makes of a mixed
    sequence, each term a mean over its rows,

        loss = mean_image (1 - cos(A h, teacher)) + mean_text (1 - cos(B h, word embedding)),

    the teacher's map stretched (bilinear) to the image's patches; vectors at a row's end have no
    target. A, B and the teacher belong to this object alone: the model never holds them. Which
    distance the paper takes is not known to us.
    """

    def __init__(self, model: Model, teacher: Encoder, *, side: int) -> None:
        super().__init__()
        decoder = cast(Chain, model.decoder)
        width = decoder.ahead.host.width
        self.of_images = nn.Linear(width, teacher.width)
        self.of_words = nn.Linear(width, decoder.host.width)
        seeing = teacher.build()
        assert seeing is not None
        self.teacher, self.side = seeing.eval().requires_grad_(False), side

    def losses(self, model: Model, inputs: Inputs) -> dict[str, Float[Tensor, ""]]:
        """The two terms; one that has no row is left out."""
        decoder = cast(Chain, model.decoder)
        hidden = decoder.early(model.stream(inputs))
        words = inputs.table.valid & (inputs.table.modality == int(Modality.TEXT))
        right = decoder.embed_tokens(inputs.ids[words]).detach()
        found = {"text": _apart(self.of_words(hidden[words]), right)} if words.any() else {}
        if inputs.images is not None and inputs.owners is not None:
            at, seen = self._targets(model, inputs)
            found["image"] = _apart(self.of_images(hidden[at]), seen)
        return found

    @torch.no_grad()
    def _targets(self, model: Model, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """Which rows are patches, and what the teacher sees there, in their order."""
        assert inputs.images is not None and inputs.owners is not None
        encoder, connector = cast(nn.Module, model.encoder), cast(TiledRows, model.connector)
        own = own_grids(cast(Features, encoder(inputs.images, inputs.image_valid)))
        seen = cast(Features, self.teacher(self._squares(inputs.images, inputs.image_valid)))
        maps = seen.tokens.transpose(1, 2).unflatten(2, seen.grid)
        rows = [
            _with_ends(F.interpolate(one[None], connector.config.shrunk(grid), mode="bilinear")[0])
            for one, grid in zip(maps, own, strict=True)
        ]
        made = laid_out(rows)
        marked = per_sample(Tokens(made.embeddings, made.valid), inputs.owners)
        targets = take(marked, inputs.source.clamp(min=0))
        at = (inputs.source >= 0) & inputs.table.valid & (targets[..., -1] > 0)
        return at, targets[at][:, :-1]

    def _squares(self, images: Tensor, valid: Tensor | None) -> Float[Tensor, "image 3 y x"]:
        """Each image without its padding, stretched to the teacher's square."""
        shown = images.new_ones(len(images), *images.shape[2:]) if valid is None else valid
        heights, widths = shown.amax(2).sum(1).long(), shown.amax(1).sum(1).long()
        size = (self.side, self.side)
        return torch.cat(
            [
                F.interpolate(image[None, :, :high, :wide], size, mode="bilinear", antialias=True)
                for image, high, wide in zip(images, heights.tolist(), widths.tolist(), strict=True)
            ]
        )


def _with_ends(cells: Float[Tensor, "width row column"]) -> Float[Tensor, "token width_and_mark"]:
    """Cells in reading order, each marked 1 in a further channel; the end of a row is all zeros."""
    marked = torch.cat([cells, torch.ones_like(cells[:1])])
    return F.pad(marked, (0, 1)).flatten(1).T


def _apart(said: Float[Tensor, "row width"], right: Float[Tensor, "row width"]) -> Tensor:
    return (1 - F.cosine_similarity(said.float(), right.float(), dim=-1)).mean()
