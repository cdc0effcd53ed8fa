"""Peak memory of a load: predicted by a rehearsal, and measured by the allocator."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from chiasm.assemble import build
from chiasm.cost.hollow import Hollow
from chiasm.cost.load import Load, load_inputs
from chiasm.cost.rehearsal import Rehearsal, hollowed
from chiasm.cost.running import bear
from chiasm.spec import Answers
from chiasm.stream import Inputs


def predicted_peak(answers: Answers, load: Load) -> int:
    """Most bytes alive at once, weights, inputs and optimiser included; nothing is allocated.

    Raises:
        Misuse: sizes out of range, or a stage that teaches nothing.
        Unforeseen: how much is computed depends on what the weights have learned.
    """
    model = build(answers, device="meta", seed=None).to(load.floating)
    hollowed(model)
    inputs = load_inputs(answers, load, _hollow)
    with Rehearsal((*weights_of(model), *tensors_of(inputs))) as rehearsal:
        bear(model, load, inputs)
    return rehearsal.peak


def measured_peak(answers: Answers, load: Load, device: torch.device | str = "cpu") -> int:
    """The same of a run with random weights, as the allocator saw it.

    On a CPU what lived before (weights, inputs) is added to the most that the run's allocations
    amounted to at once, kernels' workspaces included; a GPU's allocator counts everything.
    """
    model = build(answers, device=device).to(load.floating)
    inputs = load_inputs(answers, load).to(device)
    if torch.device(device).type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        bear(model, load, inputs)
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device)
    before = sum(_bytes(tensor) for tensor in (*weights_of(model), *tensors_of(inputs)))
    return before + allocated(lambda: bear(model, load, inputs))


def allocated(run: Callable[[], object]) -> int:
    """Most bytes that a run's allocations on the CPU amount to at once, by torch's profiler."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True) as profiler:
        run()
    assert profiler.profiler is not None and profiler.profiler.kineto_results is not None
    events: list[Any] = [
        e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"
    ]
    live = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        live += event.nbytes()
        peak = max(peak, live)
    return peak


def weights_of(model: nn.Module) -> tuple[Tensor, ...]:
    """Weights and buffers, each once."""
    return tuple({id(t): t for t in (*model.parameters(), *model.buffers())}.values())


def tensors_of(inputs: Inputs) -> tuple[Tensor, ...]:
    """Every tensor of a batch."""
    tables = [table for table in (inputs.table, inputs.memory) if table is not None]
    columns = [column for table in tables for _, column in table.columns()]
    own = (inputs.ids, inputs.source, inputs.images, inputs.image_valid, inputs.owners)
    return (*columns, *(t for t in (*own, inputs.labels) if t is not None))


def _hollow(shape: tuple[int, ...], *, dtype: torch.dtype) -> Tensor:
    return Hollow(torch.empty(shape, dtype=dtype, device="meta"))


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
