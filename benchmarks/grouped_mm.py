"""Experts as one grouped product against one expert after the other, side by side.

For every number of experts and of rows, `execute` (rows sorted, `F.grouped_mm`) and
`execute_slowly` (the per-expert loop) run the same routes through the same gated feed-forwards,
forward, and forward with backward. They take turns, A, B, A, B, …, and medians are compared. Rows
choose `--k` experts by random scores: shares are uneven, as a router's are. The loop's experts are
modules of their own with the same weights: of one stacked tensor, each expert's gradient would be
as large as that of all, and the loop slower than anybody's.

    python benchmarks/grouped_mm.py
    python benchmarks/grouped_mm.py --experts 4 64 --rows 256 4096 --device cuda --dtype bfloat16
"""

import argparse
import copy
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from recording import recorded
from torch import nn

from chiasm.experts.execute import execute, execute_slowly
from chiasm.experts.routes import Routes
from chiasm.experts.selection import by_row
from chiasm.experts.stacked import StackedFeedForward
from chiasm.layers import GroupedLinear

WAYS = {"grouped": execute, "loop": execute_slowly}


def main() -> int:
    """Measures, prints, writes."""
    options = _options()
    if options.threads:
        torch.set_num_threads(options.threads)
    found = []
    print(f"{'experts':>8}{'rows':>8}{'pass':>18}{'loop ms':>10}{'grouped ms':>12}{'times':>8}")
    for experts in options.experts:
        for rows in options.rows:
            for name, taken in _measured(options, experts, rows).items():
                medians = {way: median(times) for way, times in taken.items()}
                faster = medians["loop"] / medians["grouped"]
                found.append(
                    {
                        "experts": experts,
                        "rows": rows,
                        "pass": name,
                        "seconds": medians,
                        "samples": taken,
                        "times_faster": faster,
                    }
                )
                print(
                    f"{experts:>8}{rows:>8}{name:>18}{1e3 * medians['loop']:>10.2f}"
                    f"{1e3 * medians['grouped']:>12.2f}{faster:>8.2f}"
                )
    _write(options, found)
    return 0


class Apart(nn.Module):
    """The experts of a stack as modules of their own, asked one at a time."""

    def __init__(self, stack: StackedFeedForward) -> None:
        super().__init__()
        count = stack.up_proj.weight.shape[0]
        self.each = nn.ModuleList(copy.deepcopy(stack) for _ in range(count))
        with torch.no_grad():
            for at, one in enumerate(self.each):
                for parameter in one.parameters():
                    parameter.data = parameter[at : at + 1].clone()

    def single(self, x: torch.Tensor, expert: int) -> torch.Tensor:
        """One expert alone."""
        return self.each[expert].single(x, 0)


def _measured(
    options: argparse.Namespace, experts: int, rows: int
) -> dict[str, dict[str, list[float]]]:
    """Seconds by pass and way, in the order taken; the first turn warms up and is not kept."""
    torch.manual_seed(options.seed)
    number, device = getattr(torch, options.dtype), torch.device(options.device)
    module = StackedFeedForward(
        lambda site, width, out: GroupedLinear(experts, width, out),
        options.width,
        options.hidden,
        gated=True,
        activation="silu",
    ).to(device, number)
    apart = Apart(module)
    x = torch.randn(rows, options.width, device=device, dtype=number, requires_grad=True)
    scores = torch.randn(rows, experts, device=device).topk(min(options.k, experts))
    routes = by_row(scores.indices, scores.values.softmax(-1), experts)
    passes: dict[str, Callable[[Any], None]] = {
        "forward": lambda way: _forward(WAYS[way], x, routes, apart if way == "loop" else module),
        "forward+backward": lambda way: _both(
            WAYS[way], x, routes, apart if way == "loop" else module
        ),
    }
    taken: dict[str, dict[str, list[float]]] = {n: {way: [] for way in WAYS} for n in passes}
    for turn in range(options.repeats + 1):
        for name, run in passes.items():
            for label in WAYS:
                _settle(device)
                start = time.perf_counter()
                run(label)
                _settle(device)
                if turn:
                    taken[name][label].append(time.perf_counter() - start)
    return taken


@torch.no_grad()
def _forward(way: Any, x: torch.Tensor, routes: Routes, module: Any) -> None:
    way(x, routes, module)


def _both(way: Any, x: torch.Tensor, routes: Routes, module: Any) -> None:
    module.zero_grad(set_to_none=True)
    x.grad = None
    way(x, routes, module).square().sum().backward()


def _settle(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def _write(options: argparse.Namespace, found: list[dict[str, Any]]) -> None:
    record = {
        "seed": options.seed,
        "metric": "median seconds, grouped product against one expert after the other",
        "setting": {
            name: getattr(options, name)
            for name in ("width", "hidden", "k", "dtype", "device", "repeats")
        },
        "found": found,
    }
    recorded(__file__, options.out, record, name=options.device)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--experts", type=int, nargs="+", default=[4, 8, 16, 64])
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 64, 512, 4096])
    parser.add_argument("--k", type=int, default=2, help="experts a row")
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--dtype", default="float32", help="float32 or bfloat16")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2, help="0: as torch chooses")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="default: results/grouped_mm/DEVICE.json")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
