"""What every image-and-text format must pass: one check each, called by the formats' own tests."""

from pathlib import Path
from typing import Any

import torch
from tests.hub.cases import CLOSE, check_cached, check_generation, check_logits, scores
from torch import Tensor

import chiasm
from chiasm.hub import export, exportable


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def check_everything(
    ours: Any,
    theirs: Any,
    ids: Tensor,
    media: dict[str, Tensor],
    other: dict[str, Tensor],
    *,
    cached: bool = True,
) -> None:
    """Equal scores under each padding, in chunks of a cache, in greedy text; images are read.

    `other` is the same prompt's media with other pixels. Without `cached`, chunks of a cache are
    left to the caller, whose media speak of every row.
    """
    check_logits(ours, theirs, ids, **media)
    length = ids.shape[1]
    if cached:
        check_cached(ours, theirs, ids, prefill=length - 4, chunk=1, **media)
        check_cached(ours, theirs, ids, prefill=length - 5, chunk=3, **media)
    check_generation(ours, theirs, ids, **media)
    difference = scores(ours, input_ids=ids, **other) - scores(ours, input_ids=ids, **media)
    assert difference[0].abs().max() > 1e-2


def check_export(
    theirs: Any, auto: Any, folder: Path, ids: Tensor, media: dict[str, Tensor]
) -> Any:
    """transformers → chiasm → transformers, with equal scores; `folder/first` holds the first."""
    ours = chiasm.load(str(folder / "first"))
    assert exportable(ours) is None
    export(ours, folder / "second")
    again, told = auto.from_pretrained(folder / "second", output_loading_info=True)
    assert not any(told[name] for name in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert type(again) is type(theirs)
    wanted = scores(theirs, input_ids=ids, **media)
    torch.testing.assert_close(scores(again.eval(), input_ids=ids, **media), wanted, **CLOSE)
    return again


def check_headless(theirs: Any, folder: Path, ids: Tensor, media: dict[str, Tensor]) -> None:
    """Hidden states of a folder without a head."""
    ours = chiasm.load(str(folder))
    with torch.no_grad():
        wanted = theirs(input_ids=ids, **media).last_hidden_state
        found = ours(input_ids=ids, **media).last_hidden_state
    torch.testing.assert_close(found, wanted, **CLOSE)
