"""Gates that choose for a whole sample: from its prompt, or from its task."""

from typing import Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from chiasm.experts.penalties import Penalty
from chiasm.experts.router import Router
from chiasm.experts.routes import everyone
from chiasm.experts.selection import TopProbabilities
from chiasm.spec.reading import Reading
from chiasm.stream import Role, Rows, TokenTable

Choice = tuple[Int[Tensor, "batch k"], Float[Tensor, "batch k"]]
"""Experts of each sample, and their weights."""


class SampleGate(Protocol):
    """One choice a sample, the same for all of its rows and for every cached step."""

    def __call__(self, reading: Reading) -> Choice: ...


class PromptGate(nn.Module):
    """The best expert of softmax(W RMSNorm(z) + noise N(0, 1)), and its probability.

    z is the mean of the prompt's embeddings as they entered, without their gradient; the noise is
    for training only (Awaker2.5-VL, arXiv 2411.10669). The answer is no part of z, and a cached
    step keeps the prompt's choice.
    """

    def __init__(
        self, key: str, width: int, experts: int, *, noise: float, penalties: tuple[Penalty, ...]
    ) -> None:
        super().__init__()
        self.key = key
        self.norm = nn.RMSNorm(width)
        self.routing = Router(
            eligibility=everyone(experts),
            selection=TopProbabilities(1, renormalise=False),
            penalties=penalties,
            noise=noise,
        ).build(width)

    def forward(self, reading: Reading) -> Choice:
        notes, key = reading.call.notes, ("gate", self.key, reading.layer)
        if key not in notes:
            notes[key] = self._choice(reading, key)
        return notes[key]

    def _choice(self, reading: Reading, key: tuple[str, str, int]) -> Choice:
        cache = reading.cache
        if cache is not None and key in cache.memory:
            expert, weight = cache.memory[key]
            return expert, weight
        stream = reading.call.stream
        z = self.norm(prompt_mean(stream.embeddings.detach(), stream.table))
        samples = torch.zeros(len(z), dtype=torch.long, device=z.device)
        routes = self.routing(
            z, samples, torch.ones_like(samples, dtype=torch.bool), reading.losses
        )
        choice = routes.expert.view(-1, 1), routes.weight.view(-1, 1)
        if cache is not None:
            cache.memory[key] = choice
        return choice


class TaskGate(nn.Module):
    """The expert of a sample's task: the last of `tasks` that it holds a row of, at one `weight`.

    A cached step keeps the prompt's task, to which rows belong that are known to follow it.
    """

    def __init__(self, tasks: tuple[Rows, ...], weight: float = 1.0) -> None:
        super().__init__()
        self.tasks, self.weight = tasks, weight

    def forward(self, reading: Reading) -> Choice:
        notes, cache, key = reading.call.notes, reading.cache, ("task", self.tasks, self.weight)
        if key not in notes:
            if cache is not None and key in cache.memory:
                (task,) = cache.memory[key]
            else:
                task = task_of(self.tasks, reading.call.stream.table)
                if cache is not None and cache.following is not None:
                    task = task.maximum(task_of(self.tasks, cache.following))
            if cache is not None:
                cache.memory[key] = (task,)
            weight = torch.full_like(task, self.weight, dtype=torch.float32)
            notes[key] = task.unsqueeze(1), weight.unsqueeze(1)
        return notes[key]


def prompt_mean(
    embeddings: Float[Tensor, "batch token width"], table: TokenTable
) -> Float[Tensor, "batch width"]:
    """Mean over each sample's rows before its answer: images, instruction, tag."""
    prompt = (table.valid & (table.role != int(Role.ASSISTANT))).unsqueeze(-1)
    return (embeddings * prompt).sum(1) / prompt.sum(1).clamp(min=1)


def task_of(tasks: tuple[Rows, ...], table: TokenTable) -> Int[Tensor, " batch"]:
    """The number of each sample's task."""
    task = torch.zeros(table.shape[0], dtype=torch.long, device=table.device)
    for at, rows in enumerate(tasks):
        task = task.masked_fill((rows.select(table) & table.valid).any(1), at)
    return task
