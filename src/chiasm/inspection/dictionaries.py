"""Dictionaries of hidden states: semi-non-negative factors, and what they are measured against.

Semi-NMF by dictionary learning, Z about V U, of n states in d numbers by K atoms:

    min 1/2 |Z - V U|^2 + penalty |V|_1    V >= 0, |u_k| <= 1

Codes and atoms are found in turn, each by coordinate descent (Mairal et al. 2009, arXiv 0908.0050).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from chiasm.errors import Misuse

Codes = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Dictionary:
    """Atoms, and how much of each a state holds."""

    name: str
    atoms: Float[Tensor, "atom width"]
    codes: Codes
    """States `[state, width]` to activations `[state, atom]`."""
    rebuild: Codes
    """Activations to the states that they stand for."""

    def residual(self, states: Float[Tensor, "state width"]) -> float:
        """|Z - Z'|^2 / |Z|^2, Z' rebuilt from the activations."""
        made = self.rebuild(self.codes(states))
        return float((states - made).square().sum() / states.square().sum())


def lasso(
    states: Float[Tensor, "state width"],
    atoms: Float[Tensor, "atom width"],
    penalty: float,
    *,
    start: Float[Tensor, "state atom"] | None = None,
    sweeps: int = 1000,
    tolerance: float = 1e-8,
) -> Float[Tensor, "state atom"]:
    """argmin over v >= 0 of 1/2 |z - v U|^2 + penalty |v|_1, of all states at once."""
    gram, target = atoms @ atoms.T, states @ atoms.T
    codes = torch.zeros_like(target) if start is None else start.clone()
    squares = gram.diagonal().tolist()
    scale = max(float(target.abs().max()), 1e-30)
    for _ in range(sweeps):
        before = codes.clone()
        for k, square in enumerate(squares):
            if square > 0:
                slope = target[:, k] - codes @ gram[:, k] + codes[:, k] * square
                codes[:, k] = (slope - penalty).clamp(min=0) / square
        if float((codes - before).abs().max()) <= tolerance * scale:
            break
    return codes


def improved(
    states: Float[Tensor, "state width"],
    codes: Float[Tensor, "state atom"],
    atoms: Float[Tensor, "atom width"],
) -> Float[Tensor, "atom width"]:
    """One sweep of block coordinate descent: each atom at its best, within the unit ball.

    An atom that no state holds becomes the state that is worst explained.
    """
    atoms = atoms.clone()
    held, target = codes.T @ codes, codes.T @ states
    for k in range(len(atoms)):
        if held[k, k] > 0:
            new = atoms[k] + (target[k] - held[k] @ atoms) / held[k, k]
        else:
            worst = (states - codes @ atoms).square().sum(1).argmax()
            new = states[worst] / states[worst].norm().clamp(min=1e-30)
        atoms[k] = new / new.norm().clamp(min=1)
    return atoms


def semi_nmf(
    states: Float[Tensor, "state width"],
    count: int,
    *,
    penalty: float = 1.0,
    rounds: int = 100,
    seed: int = 0,
    tolerance: float = 1e-6,
) -> Dictionary:
    """Atoms that start as states drawn by `seed`, improved until the objective stands still.

    Raises:
        Misuse: more atoms than states, or none.
    """
    states = _checked(states, count)
    generator = torch.Generator().manual_seed(seed)
    atoms = states[torch.randperm(len(states), generator=generator)[:count]].clone()
    atoms = atoms / atoms.norm(dim=1, keepdim=True).clamp(min=1e-30)
    codes: Tensor | None = None
    before = float("inf")
    for _ in range(rounds):
        codes = lasso(states, atoms, penalty, start=codes, sweeps=50)
        atoms = improved(states, codes, atoms)
        now = float((states - codes @ atoms).square().sum() / 2 + penalty * codes.sum())
        if before - now <= tolerance * max(now, 1e-30):
            break
        before = now
    return Dictionary(
        "semi-nmf",
        atoms,
        lambda given: lasso(given.double(), atoms, penalty),
        lambda codes: codes @ atoms,
    )


def principal(states: Float[Tensor, "state width"], count: int) -> Dictionary:
    """Principal directions of the centred states; codes are projections of either sign."""
    states = _checked(states, count)
    mean = states.mean(0)
    atoms = torch.linalg.svd(states - mean, full_matrices=False).Vh[:count]
    return Dictionary(
        "pca",
        atoms,
        lambda given: (given.double() - mean) @ atoms.T,
        lambda codes: codes @ atoms + mean,
    )


def clusters(
    states: Float[Tensor, "state width"], count: int, *, rounds: int = 100, seed: int = 0
) -> Dictionary:
    """Means of k-means (Lloyd), begun at states drawn by `seed`; a state holds 1 / (1 + distance)
    of each.
    """
    states = _checked(states, count)
    generator = torch.Generator().manual_seed(seed)
    means = states[torch.randperm(len(states), generator=generator)[:count]].clone()
    for _ in range(rounds):
        nearest = torch.cdist(states, means).argmin(1)
        new = torch.stack(
            [
                states[nearest == k].mean(0) if bool((nearest == k).any()) else means[k]
                for k in range(count)
            ]
        )
        if torch.equal(new, means):
            break
        means = new
    return Dictionary(
        "k-means",
        means,
        lambda given: 1 / (1 + torch.cdist(given.double(), means)),
        lambda codes: means[codes.argmax(1)],
    )


def largest(states: Float[Tensor, "state width"], count: int) -> Dictionary:
    """The states of the largest norms themselves; codes are cosines, at least 0."""
    states = _checked(states, count)
    atoms = states[states.norm(dim=1).argsort(descending=True, stable=True)[:count]]
    unit = atoms / atoms.norm(dim=1, keepdim=True).clamp(min=1e-30)

    def codes(given: Tensor) -> Tensor:
        length = given.double().norm(dim=1, keepdim=True).clamp(min=1e-30)
        return (given.double() / length @ unit.T).clamp(min=0)

    return Dictionary("largest", atoms, codes, lambda codes: atoms[codes.argmax(1)])


def _checked(states: Tensor, count: int) -> Tensor:
    if not 0 < count <= len(states):
        raise Misuse(f"{count} atoms of {len(states)} states; ask for 1 to {len(states)}")
    return states.double()
