"""AdamW over the parts that learn, with each part's own rate; its state as named tensors."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from chiasm.errors import ChiasmError, Misuse
from chiasm.model import PARTS, part_of
from chiasm.spec import Stage
from chiasm.training.schedule import rate

DECAYED = (nn.Linear, nn.modules.conv._ConvNd)
"""Only the matrices of these layers decay: no norm, bias, gate, embedding or learned query."""


def optimiser(model: nn.Module, stage: Stage) -> AdamW:
    """AdamW (Loshchilov & Hutter 2017, arXiv 1711.05101) over the parameters that need a gradient.

    One group for each (rate factor of the part, decays or not); `scale` holds the factor. Fused
    where the device offers it. Raises Misuse if `Stage.rates` names a part that no model has.
    """
    factors = dict(stage.rates)
    if unknown := sorted(set(factors) - set(PARTS)):
        raise Misuse(
            f"stage {stage.name!r} sets a rate for {unknown[0]!r}; a model has {', '.join(PARTS)}"
        )
    decayed = _decayed(model)
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decay = stage.weight_decay if id(parameter) in decayed else 0.0
            key = (factors.get(part_of(name), 1.0), decay)
            groups.setdefault(key, []).append(parameter)
    return AdamW(
        [
            {"params": members, "scale": scale, "weight_decay": decay}
            for (scale, decay), members in groups.items()
        ],
        lr=stage.learning_rate,
        betas=stage.betas,
        fused=all(_fusable(p) for members in groups.values() for p in members),
    )


def set_rate(chosen: AdamW, stage: Stage, progress: float) -> float:
    """Give every group its rate at `progress` of the stage; returns the rate of factor 1."""
    current = rate(stage, progress)
    for group in chosen.param_groups:
        group["lr"] = current * group["scale"]
    return current


def state_of(chosen: AdamW, model: nn.Module) -> dict[str, Tensor]:
    """Moments and step counts as `{parameter name}:{entry}`, for a safetensors file."""
    return {
        f"{name}:{entry}": value
        for name, parameter in model.named_parameters()
        for entry, value in chosen.state.get(parameter, {}).items()
    }


def restore(chosen: AdamW, model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """The reverse of `state_of`, in place. Raises ChiasmError for a name the model lacks."""
    parameters = dict(model.named_parameters())
    for key, value in state.items():
        name, _, entry = key.rpartition(":")
        if name not in parameters:
            raise ChiasmError(
                f"the optimiser's state names {name!r}, which this model lacks; "
                f"resume with the system and options the run began with"
            )
        parameter = parameters[name]
        chosen.state.setdefault(parameter, {})[entry] = value.to(parameter.device)


def clip(chosen: AdamW, most: float) -> Tensor:
    """Scale all gradients to a joint L2 norm of at most `most`; returns the norm before."""
    members = [p for group in chosen.param_groups for p in group["params"]]
    return nn.utils.clip_grad_norm_(members, most)


def _decayed(model: nn.Module) -> set[int]:
    shared = {id(p) for m in model.modules() if isinstance(m, nn.Embedding) for p in m.parameters()}
    weights: Iterable[int] = (id(m.weight) for m in model.modules() if isinstance(m, DECAYED))
    return set(weights) - shared


def _fusable(parameter: nn.Parameter) -> bool:
    return parameter.device.type in ("cpu", "cuda") and torch.is_floating_point(parameter)
