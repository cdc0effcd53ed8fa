"""How much of a model's answer survives a method: what VFlowOpt's search maximises (2508.05211)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.compressing.context import compress
from chiasm.compressing.host import Host
from chiasm.compressing.hosts import host_of
from chiasm.compression.method import Method
from chiasm.compression.schedule_search import agreement

Prompt = Mapping[str, Any]
"""Keyword arguments of one call of the model: ids, mask, pixels."""


def flow(model: nn.Module, prompts: Sequence[Prompt]) -> Callable[[Method], float]:
    """Of a method the sum over all samples of cos(full, compressed), both the last layer's states
    (behind the final norm) of the last row. The full model's are computed once.

    `search_schedule(flow(model, prompts), keep=0.1, shape=...)` searches a schedule for this model.
    """
    host = host_of(model)
    full = [_last_states(host, prompt) for prompt in prompts]

    def survives(method: Method) -> float:
        with compress(model, method):
            pairs = zip(full, prompts, strict=True)
            return sum(agreement(states, _last_states(host, prompt)) for states, prompt in pairs)

    return survives


@torch.no_grad()
def _last_states(host: Host, prompt: Prompt) -> Float[Tensor, "sample width"]:
    if hasattr(host.core, "rope_deltas"):
        # Qwen's models remember the positions of the prompt before.
        host.core.rope_deltas = None  # type: ignore[assignment]
    states = host.core(**prompt, use_cache=False).last_hidden_state
    mask = prompt.get("attention_mask")
    if mask is None:
        return states[:, -1]
    places = torch.arange(mask.shape[1], device=mask.device)
    last = (mask.bool() * places).amax(1)
    return states[torch.arange(len(states), device=states.device), last]
