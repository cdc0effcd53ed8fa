"""Zorro's unimodal inference: one modality's rows alone against the whole model, equal outputs.

Because no row of a modality reads another's, the rows of the other modality and of the fusion can
be left out. Both ways run the same weights over the same rows of the modality; their outputs are
compared and their times, taken in turns (whole, text, image, whole, …), by their medians. By
default a ViT-B over 196 patches, 16 fusion rows and 64 words.

    python benchmarks/zorro_unimodal.py
    python benchmarks/zorro_unimodal.py --layers 2 --width 128 --repeats 3 --out /tmp/zorro.json
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
from recording import recorded

from chiasm.assemble import build
from chiasm.cost import sample_inputs
from chiasm.model import Model
from chiasm.spec import Fixed, Scale, registered
from chiasm.stream import Modality, Stream

KINDS = {"text": Modality.TEXT, "image": Modality.IMAGE}
CLOSE = 1e-4
"""Most by which outputs may differ: other kernels round other sums."""


def main() -> int:
    """Measures, prints, writes; 1 if an output differs."""
    options = _options()
    torch.set_num_threads(options.threads)
    model = _model(options)
    inputs = sample_inputs(model.answers, text=options.text, seed=options.seed)
    with torch.inference_mode():
        whole = model.stream(inputs)
        # What answers read is no modality's own: the tag in front of it is left out.
        whole = _kept(whole, whole.table.role[0] < 2)
        alone = {name: _only(whole, kind) for name, kind in KINDS.items()}
        hidden = model.decoder(whole)
        differences = {
            name: float((model.decoder(alone[name]) - _rows(hidden, whole, kind)).abs().max())
            for name, kind in KINDS.items()
        }
        times = _samples(model, {"whole": whole, **alone}, options.repeats)
    medians = {name: median(taken) for name, taken in times.items()}
    faster = {name: medians["whole"] / medians[name] for name in KINDS}
    print(f"{'rows':<8}{'count':>7}{'ms':>9}{'times faster':>14}{'largest difference':>20}")
    for name, stream in {"whole": whole, **alone}.items():
        print(
            f"{name:<8}{stream.table.shape[1]:>7}{1e3 * medians[name]:>9.1f}"
            f"{medians['whole'] / medians[name]:>14.2f}{differences.get(name, 0.0):>20.1e}"
        )
    holds = max(differences.values()) <= CLOSE
    _write(
        options,
        {
            "metric": "median seconds of a forward pass of the trunk",
            "baseline": "whole",
            "rows": {n: s.table.shape[1] for n, s in {"whole": whole, **alone}.items()},
            "seconds": medians,
            "samples": times,
            "times_faster": faster,
            "largest_difference": differences,
            "required": f"outputs within {CLOSE:g}",
            "holds": holds,
        },
    )
    return 0 if holds else 1


def _model(options: argparse.Namespace) -> Model:
    """Zorro's nano answers on a trunk of the asked size."""
    nano = registered()["zorro"].at(Scale.NANO)
    heads = max(1, options.width // 64)
    host = replace(
        nano.host,
        width=options.width,
        depth=options.layers,
        heads=heads,
        kv_heads=heads,
        head_width=options.width // heads,
        ff_width=4 * options.width,
    )
    side = options.side * nano.encoder.patch
    connector = replace(nano.connector, side=(options.side, options.side))
    answers = replace(nano, host=host, views=Fixed(side, side), connector=connector)
    return build(answers, seed=options.seed).eval()


def _kept(stream: Stream, rows: torch.Tensor) -> Stream:
    index = rows.nonzero()[:, 0]
    return Stream(stream.embeddings[:, index], stream.table.rows(index[None]))


def _only(stream: Stream, kind: Modality) -> Stream:
    return _kept(stream, stream.table.modality[0] == int(kind))


def _rows(hidden: torch.Tensor, stream: Stream, kind: Modality) -> torch.Tensor:
    return hidden[:, stream.table.modality[0] == int(kind)]


def _samples(model: Model, streams: dict[str, Stream], repeats: int) -> dict[str, list[float]]:
    """Seconds of each way, in turns, after one turn that is not counted."""
    taken: dict[str, list[float]] = {name: [] for name in streams}
    for turn in range(repeats + 1):
        for name, stream in streams.items():
            start = time.perf_counter()
            model.decoder(stream)
            if turn:
                taken[name].append(time.perf_counter() - start)
    return taken


def _write(options: argparse.Namespace, found: dict[str, Any]) -> None:
    kept = ("layers", "width", "side", "text", "repeats")
    setting = {name: getattr(options, name) for name in kept}
    recorded(__file__, options.out, {"seed": options.seed, "setting": setting, **found})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=768, help="a multiple of 64")
    parser.add_argument("--side", type=int, default=14, help="side x side patches")
    parser.add_argument("--text", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="default: results/zorro_unimodal/MACHINE.json")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
