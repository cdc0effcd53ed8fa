"""Words and patches of a pair matched by optimal transport (ViLT's word-patch alignment)."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import normalize


def transport_plan(
    cost: Float[Tensor, "pair word patch"],
    words: Bool[Tensor, "pair word"],
    patches: Bool[Tensor, "pair patch"],
    *,
    beta: float = 0.5,
    iterations: int = 50,
) -> Float[Tensor, "pair word patch"]:
    """The plan of least cost between uniform masses on valid words and valid patches.

    Inexact proximal point iteration (IPOT, Xie et al. 2018, arXiv 1802.04307) with one inner step,
    G = exp(-C / beta), T = 1 at the start:

        Q = G * T;  a = mu / (Q b);  b = nu / (Q^T a);  T = diag(a) Q diag(b)
    """
    mu, nu = (valid / valid.sum(1, keepdim=True).clamp(min=1) for valid in (words, patches))
    pairs = (words.unsqueeze(2) & patches.unsqueeze(1)).to(cost.dtype)
    kernel, plan = torch.exp(-cost / beta) * pairs, pairs
    b = nu.to(cost.dtype)
    for _ in range(iterations):
        q = kernel * plan
        a = _over(mu, torch.einsum("nwp,np->nw", q, b))
        b = _over(nu, torch.einsum("nwp,nw->np", q, a))
        plan = a.unsqueeze(2) * q * b.unsqueeze(1)
    return plan


def transport_distance(
    words: Float[Tensor, "pair word width"],
    patches: Float[Tensor, "pair patch width"],
    word_valid: Bool[Tensor, "pair word"],
    patch_valid: Bool[Tensor, "pair patch"],
) -> Float[Tensor, " pair"]:
    """sum T (1 - cos(word, patch)), gradients through the cost alone, the plan being held."""
    cost = 1 - normalize(words, dim=-1) @ normalize(patches, dim=-1).transpose(1, 2)
    with torch.no_grad():
        plan = transport_plan(cost, word_valid, patch_valid)
    return (plan * cost.clamp(min=0)).sum((1, 2))


def word_patch_alignment(
    distance: Float[Tensor, " pair"], matched: Bool[Tensor, " pair"]
) -> Float[Tensor, ""]:
    """Distances of true pairs minus those of replaced ones, over the batch (arXiv 2102.03334)."""
    return torch.where(matched, distance, -distance).mean()


def _over(mass: Tensor, reached: Tensor) -> Tensor:
    """mass / reached, zero where there is no mass."""
    return mass / reached.clamp(min=torch.finfo(reached.dtype).tiny)
