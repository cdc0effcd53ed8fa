"""Decoding after ever longer contexts: a state-space decoder against a transformer of its size.

`omnimamba`'s decoder (Mamba-2 mixers, nothing else) and a twin of equal width and depth whose
layers are attention and a feed-forward, both with random weights, reading text alone. For every
context the caches are filled once; then the models take turns, A, B, A, B, …, each decoding so many
tokens greedily from a copy of its cache, and medians are compared. What a cache holds is counted in
bytes. A Mamba-2 layer has about half the parameters of a transformer's of its width: the record
names both, and `--twin-layers` can make the twin as large instead of as deep.

    python benchmarks/ssm_decode.py
    python benchmarks/ssm_decode.py --contexts 16 64 --layers 1 --width 64 --out /tmp/decode.json
"""

import argparse
import copy
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
from recording import recorded
from torch import Tensor
from waiting import asleep, thread_waiting

from chiasm.assemble import build
from chiasm.backbone import Cache, StaticCache
from chiasm.compression import NoCompression
from chiasm.connectors import NoConnector
from chiasm.encoders import NoEncoder
from chiasm.experts import SharedWeights
from chiasm.fusion import NoFusion
from chiasm.heads import TextHead
from chiasm.model import Model
from chiasm.spec import Answers, Host, NoViews, Scale, StateSpace, registered
from chiasm.stream import Inputs, TokenTable

PIECE = 2048
"""Rows of a prompt that are read at once."""
MAMBA, TWIN = "omnimamba", "transformer"


def main() -> int:
    """Measures, prints, writes; 1 if the ratio does not grow from the first context to the last."""
    options = _options()
    asleep()
    torch.set_num_threads(options.threads)
    models = {name: build(each, seed=options.seed).eval() for name, each in _twins(options).items()}
    parameters = {name: sum(p.numel() for p in m.parameters()) for name, m in models.items()}
    print(
        f"width {options.width}, {options.threads} threads, {options.steps} tokens decoded, "
        f"median of {options.repeats}; parameters "
        + ", ".join(f"{name} {count / 1e6:.1f}M" for name, count in parameters.items())
    )
    heading = f"{'context':>8}" + "".join(f"{f'{n} tok/s':>20}{'cache MB':>10}" for n in models)
    print(heading + f"{'times faster':>14}")
    found = [_measured(models, context, options) for context in options.contexts]
    ratios = [each["times_faster"] for each in found]
    grows = ratios[-1] > ratios[0]
    _write(
        options,
        {
            "metric": "median tokens a second while decoding, and bytes of the cache",
            "baseline": TWIN,
            "parameters": parameters,
            "contexts": found,
            "required": "the ratio grows from the shortest context to the longest",
            "holds": grows,
        },
    )
    return 0 if grows else 1


def _twins(options: argparse.Namespace) -> dict[str, Answers]:
    """The decoder of `omnimamba` alone, resized, and the same answers on a transformer."""
    mixer = StateSpace(heads=options.width // 32, head_width=64, state=options.state)
    host = Host(
        vocabulary=options.vocabulary,
        width=options.width,
        depth=options.layers,
        heads=options.width // 64,
        kv_heads=options.width // 64,
        head_width=64,
        ff_width=4 * options.width,
        gated=False,
        tied_head=True,
        max_positions=max(options.contexts) + options.steps,
    )
    own = registered()[MAMBA].at(Scale.NANO)
    alone = replace(
        own,
        views=NoViews(),
        encoder=NoEncoder(),
        connector=NoConnector(),
        fusion=NoFusion(),
        compression=NoCompression(),
        experts=SharedWeights(),
        head=TextHead(),
    )
    twin_depth = options.twin_layers or options.layers
    recurrent = replace(
        host, heads=0, kv_heads=0, head_width=0, ff_width=0, positions="none", mixer=mixer
    )
    return {
        MAMBA: replace(alone, host=recurrent),
        TWIN: replace(alone, host=replace(host, depth=twin_depth)),
    }


def _measured(
    models: dict[str, Model], context: int, options: argparse.Namespace
) -> dict[str, Any]:
    """Both models' speed and bytes after `context` rows."""
    generator = torch.Generator().manual_seed(options.seed)
    ids = torch.randint(0, options.vocabulary, (1, context), generator=generator)
    caches = {name: _filled(model, ids, options.steps) for name, model in models.items()}
    speeds: dict[str, list[float]] = {name: [] for name in models}
    for turn in range(options.repeats + 1):
        for name, model in models.items():
            cache = copy.deepcopy(caches[name])
            taken = _decoded(model, cache, context, options.steps)
            if turn:
                speeds[name].append(options.steps / taken)
    held = {name: _held(cache, context) for name, cache in caches.items()}
    medians = {name: median(each) for name, each in speeds.items()}
    faster = medians[MAMBA] / medians[TWIN]
    columns = "".join(f"{medians[n]:>20.1f}{held[n] / 1e6:>10.2f}" for n in models)
    print(f"{context:>8}{columns}{faster:>14.2f}", flush=True)
    return {
        "context": context,
        "tokens_per_second": medians,
        "samples": speeds,
        "cache_bytes": held,
        "times_faster": faster,
    }


@torch.inference_mode()
def _filled(model: Model, ids: Tensor, steps: int) -> Cache:
    """A cache that holds the context, with room for the steps."""
    cache = StaticCache(ids.shape[1] + steps)
    table = TokenTable.text(torch.ones_like(ids, dtype=torch.bool))
    for start in range(0, ids.shape[1], PIECE):
        rows = slice(start, min(start + PIECE, ids.shape[1]))
        piece = ids[:, rows]
        source = torch.full_like(piece, -1)
        model.hidden(Inputs(ids=piece, table=table.cut(rows), source=source), cache=cache)
    return cache


@torch.inference_mode()
def _decoded(model: Model, cache: Cache, context: int, steps: int) -> float:
    """Seconds of so many greedy steps."""
    table = TokenTable.text(torch.ones(1, context + steps, dtype=torch.bool))
    ids = torch.zeros(1, 1, dtype=torch.long)
    start = time.perf_counter()
    for at in range(context, context + steps):
        row = table.cut(slice(at, at + 1))
        inputs = Inputs(ids=ids, table=row, source=torch.full_like(ids, -1))
        ids = model.scores(model.hidden(inputs, cache=cache)).argmax(-1)
    return time.perf_counter() - start


def _held(cache: Cache, context: int) -> int:
    """Bytes of the context's keys, values and states, without room that is still empty."""
    states = sum(t.numel() * t.element_size() for kept in cache.memory.values() for t in kept)
    rows = cache.bytes - states
    assert isinstance(cache, StaticCache)
    return states + rows * context // cache.capacity


def _write(options: argparse.Namespace, found: dict[str, Any]) -> None:
    record = {
        "seed": options.seed,
        "thread_waiting": thread_waiting(),
        "setting": {
            "width": options.width,
            "layers": options.layers,
            "twin_layers": options.twin_layers or options.layers,
            "state": options.state,
            "vocabulary": options.vocabulary,
            "steps": options.steps,
            "repeats": options.repeats,
            "dtype": "float32",
        },
        **found,
    }
    recorded(__file__, options.out, record)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--contexts", type=int, nargs="+", default=[256, 1024, 4096, 16_384])
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--twin-layers", type=int, help="default: as many")
    parser.add_argument("--width", type=int, default=512, help="a multiple of 64")
    parser.add_argument("--state", type=int, default=128, help="numbers a head keeps of a channel")
    parser.add_argument("--vocabulary", type=int, default=8192)
    parser.add_argument("--steps", type=int, default=32, help="tokens decoded in one turn")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="default: results/ssm_decode/MACHINE.json")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
