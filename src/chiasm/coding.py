"""Pictures as codes that follow a caption: taught in one pass, drawn one after another."""

from dataclasses import replace
from typing import cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from chiasm.backbone import Cache, GrowingCache
from chiasm.decoding import Sampling
from chiasm.heads.codes import TextAndCodes
from chiasm.model import Model
from chiasm.stream import Modality, Role, Stream, TokenTable


def code_loss(
    model: Model,
    words: Int[Tensor, "batch word"],
    valid: Bool[Tensor, "batch word"],
    codes: Int[Tensor, "batch code"],
) -> Float[Tensor, ""]:
    """Mean cross-entropy of every code given the caption and the codes before it.

    Captions are padded on the left. Words and codes share the decoder; the task is told by the
    rows: those of a picture, and the caption's last, which opens it, are latent rows.
    """
    count = words.shape[1]
    hidden = model.decoder(_stream(model, words, valid, codes[:, :-1]))[:, count - 1 :]
    scores = _head(model).codes(hidden)
    return torch.nn.functional.cross_entropy(scores.flatten(0, 1), codes.flatten())


@torch.inference_mode()
def draw_codes(
    model: Model,
    words: Int[Tensor, "batch word"],
    valid: Bool[Tensor, "batch word"],
    *,
    rows: int,
    sampling: Sampling | None = None,
    cache: Cache | None = None,
) -> Int[Tensor, "batch code"]:
    """The `rows` codes of a picture for every caption."""
    sampling = sampling or Sampling()
    generator = sampling.generator(words.device)
    cache = GrowingCache() if cache is None else cache
    whole = _table(valid, rows - 1)
    stream = _stream(model, words, valid, words[:, :0])
    made: list[Tensor] = []
    for at in range(rows):
        hidden = model.decoder(stream, cache=cache)[:, -1]
        made.append(sampling.choose(_head(model).codes(hidden), generator))
        place = torch.full_like(words[:, :1], at)
        row = slice(words.shape[1] + at, words.shape[1] + at + 1)
        entered = _head(model).enter_codes(made[-1].unsqueeze(1), place)
        stream = Stream(entered, whole.cut(row))
    return torch.stack(made, 1)


def _stream(model: Model, words: Tensor, valid: Tensor, codes: Tensor) -> Stream:
    """Caption and codes on their way into the decoder."""
    head = _head(model)
    caption = head.enter_caption(model.decoder.embed(words), _places(valid))
    numbers = torch.arange(codes.shape[1], device=codes.device).expand_as(codes)
    rows = [caption, head.enter_codes(codes, numbers)]
    return Stream(torch.cat(rows, 1), _table(valid, codes.shape[1]))


def _table(valid: Bool[Tensor, "batch word"], codes: int) -> TokenTable:
    """Identities of a caption's rows and of so many codes."""
    whole = torch.nn.functional.pad(valid, (0, codes), value=True)
    table = TokenTable.text(whole)
    place = torch.arange(whole.shape[1], device=valid.device)
    latent = (place >= valid.shape[1] - 1).expand_as(whole)
    modality = torch.where(latent, int(Modality.LATENT), table.modality)
    role = torch.where(place >= valid.shape[1], int(Role.ASSISTANT), table.role)
    return replace(table, modality=modality, role=role)


def _places(valid: Bool[Tensor, "batch word"]) -> Int[Tensor, "batch word"]:
    """The number of each word of a caption."""
    return (valid.long().cumsum(1) - 1).clamp(min=0)


def _head(model: Model) -> TextAndCodes:
    return cast(TextAndCodes, model.head)
