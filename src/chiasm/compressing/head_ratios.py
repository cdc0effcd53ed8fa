"""How much of each head's attention goes to visual tokens: what YOPO chooses its heads by."""

from contextlib import ExitStack
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.compressing.context import Compressed
from chiasm.compressing.decoder_attention import HostAttention
from chiasm.compressing.fewer import ALL
from chiasm.compressing.host import Host
from chiasm.compressing.hosted import HostReducing
from chiasm.compressing.hosts import host_of
from chiasm.compressing.looking import told_of
from chiasm.compression.heads import visual_ratio
from chiasm.errors import Misuse


@torch.no_grad()
def head_ratios(model: nn.Module, told: dict[str, Any]) -> Float[Tensor, "sample layer head"]:
    """Mass on visual keys over mass on text keys of the row that generates the first token, for
    each sample of a batch, layer and head (arXiv 2410.06169); `heads.active_heads` reads it.

    Args:
        model: a transformers model, of the architectures that `compress` takes.
        told: the arguments of its call: prompts with pictures, whole.

    Raises:
        Misuse: an unknown architecture, or a sample without visual tokens.
    """
    weighing = Weighing(host_of(model))
    with Compressed(weighing):
        model(**told)
    if not weighing.ratios:
        raise Misuse("this batch has no visual tokens, so no head looks at any")
    return torch.stack(weighing.ratios, 1)


class Weighing(HostReducing):
    """A host that is run as it is, and asked in every layer for its last row's attention."""

    def __init__(self, host: Host) -> None:
        super().__init__(host, (ALL,), (), masked=False)
        self.ratios: list[Tensor] = []
        """Layer by layer, `[sample, head]`."""

    def attach(self, stack: ExitStack) -> None:
        super().attach(stack)
        for layer in self.host.decoder.layers:  # type: ignore[union-attr]
            hook = layer.register_forward_pre_hook(self._weigh, with_kwargs=True)
            stack.callback(hook.remove)

    def _weigh(self, layer: nn.Module, args: tuple[Any, ...], told: dict[str, Any]) -> None:
        reducing = self._reducing
        if reducing is None or not reducing.samples:
            return
        told = told_of(args, told)
        tables = told["position_embeddings"]
        attends = HostAttention(layer, told["hidden_states"], reducing.rows, tables, None)
        found: list[Tensor] = []
        for batch, sample in enumerate(reducing.samples):
            if not len(sample):
                count = len(reducing.samples)
                raise Misuse(f"sample {batch} of {count} has no visual tokens; give it a picture")
            own = reducing.rows.alive[batch].nonzero().squeeze(1)
            last = torch.tensor([len(own) - 1], device=own.device)
            weights = attends(batch, own, last, logits=False)[:, 0]
            found.append(visual_ratio(weights, torch.isin(own, sample.rows)))
        self.ratios.append(torch.stack(found))
