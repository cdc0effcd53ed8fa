"""Scaling laws of native models on a small grid: early, late and sparse fusion, from nothing.

Every family is taught at each width of a grid on captions of drawn scenes, every sample with its
picture, and its loss on held-out words is taken after each of a list of token counts, picture
tokens counted. One run gives one point of each count: the rate is constant after its warm-up, so
that an early point is what a shorter run gives. N counts the parameters that a token passes,
embeddings left out; C = 6 N D for all families alike. L = E + A / N^alpha + B / D^beta is fitted to
the mean over seeds at every (N, D), with intervals from resampled points.

    python benchmarks/native_scaling.py
    python benchmarks/native_scaling.py --families early --seeds 0 --resamples 3 --out /tmp/law.json
"""

import argparse
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any

import torch
from recording import recorded

from chiasm import data
from chiasm.assemble import build
from chiasm.cost import count
from chiasm.data.collate import Collator
from chiasm.data.templates import named
from chiasm.data.tokenizer import fit_tokenizer
from chiasm.errors import Misuse
from chiasm.evaluation.scaling import Run, ScalingLaw, bootstrap, fit, interval
from chiasm.lineages.native import EARLY, LATE, SPARSE
from chiasm.model import Model
from chiasm.spec import Answers, Scale

FAMILIES = {"early": EARLY, "late": LATE, "sparse": SPARSE}
CONSTANTS = ("floor", "parameters", "alpha", "tokens", "beta", "parameter_exponent")


def sized(family: str, width: int, options: argparse.Namespace) -> Answers:
    """A family's nano answers at a width; an encoder, where there is one, is half as wide."""
    nano = FAMILIES[family][Scale.NANO]
    heads = max(1, width // 16)
    host = replace(
        nano.host,
        width=width,
        depth=options.layers,
        heads=heads,
        kv_heads=heads,
        head_width=width // heads,
        ff_width=2 * width,
        initial_std=width**-0.5,
    )
    encoder: Any = nano.encoder
    if encoder.work((64, 64)):
        half = max(16, width // 2)
        encoder = replace(encoder, width=half, heads=max(1, half // 16), ff_width=2 * half)
    return replace(nano, host=host, encoder=encoder)


def passed(answers: Answers) -> int:
    """N: parameters that a token passes, embeddings and head left out."""
    active = count(answers, text=16).parameters.active
    tables = answers.host.vocabulary * answers.host.width
    return int(active - tables * (1 if answers.host.tied_head else 2))


@torch.no_grad()
def judged(model: Model, held: list[Any]) -> float:
    """Mean loss of held-out words, the routers' own losses left out."""
    model.eval()
    losses = [(float(model.losses(one).main), int((one.labels >= 0).sum())) for one in held]
    model.train()
    return sum(loss * words for loss, words in losses) / sum(words for _, words in losses)


def curve(answers: Answers, collator: Collator, seed: int, options: Any) -> dict[int, float]:
    """Held-out loss by tokens taught, of one run."""
    train, test = (data.load(options.data, split) for split in ("train", "test"))
    held = [
        collator.batch(test[at : at + options.batch], teach=True)
        for at in range(0, min(options.held_out, len(test)), options.batch)
    ]
    model, draw = build(answers, seed=seed).train(), Random(seed)
    adam = torch.optim.AdamW(model.parameters(), lr=options.rate, betas=(0.9, 0.95))
    seen, step, found = 0, 0, dict[int, float]()
    while len(found) < len(options.tokens):
        drawn = [train[draw.randrange(len(train))] for _ in range(options.batch)]
        batch = collator.batch(drawn, teach=True)
        for group in adam.param_groups:
            group["lr"] = options.rate * min(1.0, (step + 1) / 50)
        adam.zero_grad(set_to_none=True)
        model.loss(batch).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        seen, step = seen + int(batch.table.valid.sum()), step + 1
        for mark in options.tokens:
            if seen >= mark and mark not in found:
                found[mark] = judged(model, held)
    return found


def measured(family: str, options: Any) -> list[dict[str, Any]]:
    """One point a width, a seed and a number of tokens."""
    template = named(FAMILIES[family][Scale.NANO].template)
    points = []
    for width in options.widths:
        answers = sized(family, width, options)
        texts = data.load(options.data, "train").texts()
        tokenizer = fit_tokenizer(texts, answers.host.vocabulary)
        answers = replace(answers, host=replace(answers.host, vocabulary=len(tokenizer)))
        collator, n = Collator(answers, template, tokenizer), passed(answers)
        for seed in options.seeds:
            for tokens, loss in sorted(curve(answers, collator, seed, options).items()):
                points.append(
                    {"width": width, "n": n, "tokens": tokens, "seed": seed, "loss": loss}
                )
                print(f"{family:<7} N {n:>9,}  D {tokens:>10,}  seed {seed}  loss {loss:.4f}")
    return points


def means(points: list[dict[str, Any]]) -> list[Run]:
    """The mean loss over seeds at every size and number of tokens."""
    held: dict[tuple[int, int], list[float]] = defaultdict(list)
    for point in points:
        held[point["n"], point["tokens"]].append(point["loss"])
    return [Run(n=n, d=d, loss=fmean(losses)) for (n, d), losses in held.items()]


def fitted(points: list[dict[str, Any]], options: Any) -> dict[str, Any]:
    """The law of a family, and the middle 95% of its resamples' constants."""
    runs = means(points)
    law = fit(runs)
    laws = bootstrap(runs, law, resamples=options.resamples)
    off = [abs(law.loss(r.n, r.d) / r.loss - 1) for r in runs]
    return {
        "law": {name: getattr(law, name) for name in CONSTANTS},
        "intervals": {name: interval([getattr(one, name) for one in laws]) for name in CONSTANTS},
        "mean_relative_error": fmean(off),
    }


def compared(families: dict[str, dict[str, Any]], options: Any) -> list[dict[str, Any]]:
    """Each family's least loss by its law, for FLOPs in the middle of the grid and at its end; None
    where its law does not fall with both sizes.
    """
    rows = []
    sizes = [p["n"] for one in families.values() for p in one["points"]]
    top = 6.0 * max(sizes) * max(options.tokens)
    for flops in (top / 16, top / 4, top):
        row: dict[str, Any] = {"flops": flops}
        for name, one in families.items():
            held = {k: one["law"][k] for k in ("floor", "parameters", "alpha", "tokens", "beta")}
            law = ScalingLaw(**held)
            if not law.falls:
                row[name] = None
                continue
            n, d = law.best(flops)
            row[name] = {"n": n, "d": d, "loss": law.loss(n, d)}
        rows.append(row)
    return rows


def main() -> int:
    """Measures, fits, prints, writes."""
    options = _options()
    if len(options.widths) * len(options.tokens) < 6:
        raise Misuse("a grid of fewer than 6 points decides no law; add widths or tokens")
    torch.set_num_threads(options.threads)
    found: dict[str, dict[str, Any]] = {}
    for family in options.families:
        points = measured(family, options)
        found[family] = {"points": points, **fitted(points, options)}
        law, near = found[family]["law"], found[family]["intervals"]["parameter_exponent"]
        print(
            f"{family}: E {law['floor']:.3f} alpha {law['alpha']:.3f} beta {law['beta']:.3f}; "
            f"N* ~ C^{law['parameter_exponent']:.3f} ({near[0]:.3f} to {near[1]:.3f})"
        )
    kept = ("data", "widths", "tokens", "layers", "batch", "rate", "held_out", "resamples")
    recorded(
        __file__,
        options.out,
        {
            "seeds": options.seeds,
            "metric": "held-out loss of words, and the law fitted to it",
            "baseline": "late",
            "setting": {name: getattr(options, name) for name in kept},
            "interval": "middle 95% of laws fitted to resampled points of the grid",
            "families": found,
            "at_equal_flops": compared(found, options),
        },
        name="cpu",
    )
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=[*FAMILIES])
    parser.add_argument("--data", default="scenes-captions")
    parser.add_argument("--widths", type=int, nargs="+", default=[32, 48, 64, 96, 128])
    parser.add_argument(
        "--tokens",
        type=int,
        nargs="+",
        default=[50_000, 100_000, 200_000, 400_000, 800_000],
    )
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--held-out", type=int, default=256)
    parser.add_argument("--resamples", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="default: results/native_scaling/cpu.json")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
