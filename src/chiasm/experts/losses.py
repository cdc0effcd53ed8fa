"""Pure losses over a router's scores; they teach the router and never enter the reported loss."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor


def mean_over(
    values: Float[Tensor, "row *any"], counted: Bool[Tensor, " row"]
) -> Float[Tensor, "*any"]:
    """Mean of the counted rows, zeros when there are none."""
    kept = values * counted.view(-1, *[1] * (values.dim() - 1))
    return kept.sum(0) / counted.sum().clamp(min=1)


def switch_balance(
    probabilities: Float[Tensor, "row expert"],
    chosen: Float[Tensor, "row expert"],
    counted: Bool[Tensor, " row"],
    experts: int,
) -> Float[Tensor, ""]:
    """E sum_e f_e p_e, f_e the share of rows that chose e and p_e its mean probability
    (Fedus et al. 2021, arXiv 2101.03961). `experts` is E: how many there were to choose from.

    A uniform router gives the choices per row, the least there is.
    """
    f = mean_over(chosen.to(probabilities.dtype), counted)
    return experts * (f * mean_over(probabilities, counted)).sum()


def z_loss(logits: Float[Tensor, "row expert"], counted: Bool[Tensor, " row"]) -> Float[Tensor, ""]:
    """Mean of logsumexp(logits)^2: keeps logits small (Zoph et al. 2022, arXiv 2202.08906)."""
    return mean_over(logits.logsumexp(-1).square(), counted)


def squared_variation(values: Float[Tensor, " expert"]) -> Float[Tensor, ""]:
    """The squared coefficient of variation, var / mean^2, of what each expert gets
    (Shazeer et al. 2017, arXiv 1701.06538).
    """
    return values.var(correction=0) / values.mean().square().clamp(min=1e-10)


def symmetric_divergence(
    p: Float[Tensor, " expert"], q: Float[Tensor, " expert"]
) -> Float[Tensor, ""]:
    """(KL(p | q) + KL(q | p)) / 2 of two distributions over experts."""
    ratio = p.clamp(min=1e-9).log() - q.clamp(min=1e-9).log()
    return ((p - q) * ratio).sum() / 2


def outside_band(value: Tensor, least: float, most: float) -> Tensor:
    """relu(least - value) + relu(value - most): nothing inside the band."""
    return F.relu(least - value) + F.relu(value - most)


def choice_prediction(
    predicted: Float[Tensor, "row expert"],
    chosen: Bool[Tensor, "row expert"],
    eligible: Bool[Tensor, "row expert"],
) -> Float[Tensor, ""]:
    """Binary cross-entropy of predicting, from a row alone, which experts take it."""
    each = F.binary_cross_entropy_with_logits(predicted.float(), chosen.float(), reduction="none")
    return torch.where(eligible, each, 0.0).sum() / eligible.sum().clamp(min=1)
