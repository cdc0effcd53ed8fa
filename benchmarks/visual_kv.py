"""Answers read from 1-bit visual keys and values: with and without clipping and calibration.

The models are those on which compression is judged (`compress_recipe.py`). Each held-out answer is
predicted from exact keys and values and from packed ones, and the logits are compared (KL from the
exact ones, nats a word). One effect is recorded: clipping and calibration together against neither.
All bits and all four variants stand in the result.

    python benchmarks/visual_kv.py
    python benchmarks/visual_kv.py --seeds 3 4 5 --results /tmp/kv
"""

import argparse
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from compress_recipe import DATA, PICTURES, recipe, taught

from chiasm import data
from chiasm.catalogue.provenance import measured_by
from chiasm.compressing.divergence import divergence
from chiasm.compressing.visual_cache import VisualCache
from chiasm.compression.methods.visual_kv_quant import VisualKVQuant
from chiasm.evaluation.committed_files import write
from chiasm.evaluation.effect import INTERVAL, paired
from chiasm.hub import open_checkpoint

ROOT = Path(__file__).parents[1]
PLAIN = {"key_scale": 1.0, "value_scale": 1.0, "calibration": 0.0}
VARIANTS: dict[str, dict[str, Any]] = {
    "1 bit": PLAIN,
    "1 bit, clipped": {"calibration": 0.0},
    "1 bit, calibrated": {"key_scale": 1.0, "value_scale": 1.0},
    "1 bit, clipped and calibrated": {},
    "1 bit, quantiles": {"quantiles": (0.1, 0.9), "calibration": 0.0},
    "1 bit, groups of 8": {**PLAIN, "group": 8},
    "2 bits": {**PLAIN, "bits": 2},
    "2 bits, calibrated": {"bits": 2},
    "4 bits": {"bits": 4},
    "8 bits": {"bits": 8},
}
NEITHER, BOTH = "1 bit", "1 bit, clipped and calibrated"


def moved(seed: int, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Mean KL and agreement of every variant, over the words of held-out answers."""
    opened = open_checkpoint(taught(options.scale, seed, options.runs, options.threads))
    opened.model.eval()
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in VARIANTS}
    for example in data.load(DATA, "test")[: options.asked]:
        inputs = opened.collator.batch([example], teach=True, packed=False)
        for row in range(inputs.ids.shape[0]):
            one = _sample(inputs, row)
            for name, settings in VARIANTS.items():
                how = VisualKVQuant(**settings).precision().visual_kv
                assert how is not None
                got = divergence(opened.model, one, VisualCache(how))
                found[name].append((float(got.kl.mean()), float(got.agrees.mean())))
    return {
        name: {"kl": fmean(kl for kl, _ in each), "agreement": fmean(a for _, a in each)}
        for name, each in found.items()
    }


def _sample(inputs: Any, row: int) -> Any:
    """One question with its picture, its padding cut off."""
    valid = inputs.table.valid[row].nonzero().flatten()[None]
    table = type(inputs.table)(**{n: c[row : row + 1] for n, c in inputs.table.columns()})
    own, at = inputs.owners, slice(row, row + 1)
    return replace(
        inputs,
        ids=inputs.ids[at].gather(1, valid),
        table=table.rows(valid),
        source=inputs.source[at].gather(1, valid),
        labels=inputs.labels[at].gather(1, valid),
        owners=None if own is None else own[at],
        memory=None
        if inputs.memory is None
        else type(inputs.table)(**{n: c[at] for n, c in inputs.memory.columns()}),
    )


def main() -> int:
    """Teach, ask, print, write the result."""
    options = _options()
    torch.set_num_threads(options.threads)
    by_seed = [moved(seed, options) for seed in options.seeds]
    values, baselines = ([one[name]["kl"] for one in by_seed] for name in (BOTH, NEITHER))
    metric = "KL of answers' logits at 1 bit"
    result: dict[str, Any] = {
        **paired(metric, values, baselines, better="lower", gain="gain"),
        "claim": "clipped endpoints and calibrated logits make 1 bit usable",
        "seeds": options.seeds,
        "system": recipe().slug,
        "scale": options.scale,
        "data": DATA,
        "samples": PICTURES[options.scale],
        "test_examples": options.asked,
        "variants": {
            name: {key: [one[name][key] for one in by_seed] for key in ("kl", "agreement")}
            for name in VARIANTS
        },
        **measured_by(Path(__file__)),
        "interval": INTERVAL,
    }
    path = options.results / "visual-kv-quant" / f"{recipe().slug}-{options.scale}-{DATA}.json"
    write(path, result)
    for name, each in result["variants"].items():
        kl, agreement = fmean(each["kl"]), fmean(each["agreement"])
        print(f"{name:>32}: KL {kl:.5f} nats, same word {100 * agreement:.2f}%")
    print(f"clipping and calibration: {result['outcome']}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scale", default="nano", choices=sorted(PICTURES))
    parser.add_argument("--asked", type=int, default=100, help="test pictures")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=Path, default=Path("runs/compress"))
    parser.add_argument("--results", type=Path, default=ROOT / "results")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
