"""MoMa against its dense model at equal training FLOPs, on interleaved image codes and words.

Documents alternate a caption (colour, place, size, ground) and the picture it tells of, as a grid
of codes with noise; some captions precede their picture, some follow it, so that words tell codes
and codes tell words. Every next id is taught. Each arm trains until the same FLOPs are spent, which
are counted on its own steps; at even shares of them its loss on held-out documents is taken, words
and codes apart: for MoMa with its causal predictors (as it would be used) and with expert choice
over the batch (as it is taught). Savings are the dense model's FLOPs over the arm's to reach the
dense model's last loss.

    python benchmarks/moma_flops.py
    python benchmarks/moma_flops.py --seeds 0 --teraflops 0.02 --out /tmp/moma.json
"""

import argparse
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from recording import recorded
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from chiasm.assemble import build
from chiasm.connectors import NoConnector
from chiasm.encoders import NoEncoder
from chiasm.experts import MixtureOfDepths, SharedWeights
from chiasm.fusion import NoFusion
from chiasm.lineages.hosts import NANO
from chiasm.model import Model
from chiasm.spec import Answers, NoViews, Scale, registered
from chiasm.stream import Inputs, Modality, TokenTable

COLOURS, SIDE, CODES = 8, 6, 32
"""Colours of objects, cells along a picture's side, and codes of the vocabulary (two shades of
every colour, two of every ground)."""
WORDS = {"colour": COLOURS, "row": SIDE - 1, "column": SIDE - 1, "size": 2, "ground": 8, "mark": 2}
FIRST = {name: CODES + sum(list(WORDS.values())[:at]) for at, name in enumerate(WORDS)}
VOCABULARY = CODES + sum(WORDS.values())


def documents(count: int, pairs: int, seed: int) -> tuple[Tensor, Tensor]:
    """Ids and modalities `[document, row]` of `pairs` captions and pictures each."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(below: int) -> Tensor:
        return torch.randint(0, below, (count,), generator=generator)

    ids, modality = [], []
    for _ in range(pairs):
        told = {name: drawn(size) for name, size in WORDS.items() if name != "mark"}
        caption = torch.stack([told[name] + FIRST[name] for name in told], 1)
        picture = _picture(told, generator)
        first = drawn(2)
        mark = (FIRST["mark"] + first).unsqueeze(1)
        words = torch.zeros(count, 1 + caption.shape[1], dtype=torch.long)
        codes = torch.full_like(picture, int(Modality.IMAGE))
        forth = torch.cat([mark, caption, picture], 1)
        back = torch.cat([mark, picture, caption], 1)
        ids.append(torch.where(first.unsqueeze(1).bool(), forth, back))
        kinds_forth = torch.cat([words, codes], 1)
        kinds_back = torch.cat([words[:, :1], codes, words[:, 1:]], 1)
        modality.append(torch.where(first.unsqueeze(1).bool(), kinds_forth, kinds_back))
    return torch.cat(ids, 1), torch.cat(modality, 1)


def _picture(told: dict[str, Tensor], generator: torch.Generator) -> Tensor:
    """`[document, cell]`: a square of one colour on a chequered ground, a twentieth of it noise."""
    count, at = len(told["row"]), torch.arange(SIDE)
    inside = [
        (at >= told[name].unsqueeze(1)) & (at <= (told[name] + told["size"] + 1).unsqueeze(1))
        for name in ("row", "column")
    ]
    square = inside[0].unsqueeze(2) & inside[1].unsqueeze(1)
    shade = (at.unsqueeze(1) + at.unsqueeze(0)) % 2
    ground = 2 * COLOURS + 2 * told["ground"].view(-1, 1, 1) + shade
    cells = torch.where(square, 2 * told["colour"].view(-1, 1, 1) + shade, ground).flatten(1)
    noise = torch.rand(cells.shape, generator=generator) < 0.05
    other = torch.randint(0, CODES, cells.shape, generator=generator)
    return torch.where(noise, other, cells).view(count, -1)


def inputs(ids: Tensor, modality: Tensor) -> Inputs:
    """Rows that teach their next id."""
    table = TokenTable.text(torch.ones_like(ids, dtype=torch.bool))
    labels = torch.cat([ids[:, 1:], torch.full_like(ids[:, :1], -100)], 1)
    source = torch.full_like(ids, -1)
    return Inputs(ids, replace(table, modality=modality), source, labels=labels)


def arms(options: argparse.Namespace) -> dict[str, Answers]:
    """The dense model, MoMa, and MoMa with mixture of depths, on one host."""
    base = registered()["moma"].at(Scale.NANO)
    host = replace(
        NANO,
        vocabulary=VOCABULARY,
        width=options.width,
        depth=options.layers,
        heads=options.width // 32,
        kv_heads=options.width // 32,
        ff_width=2 * options.width,
    )
    plain = replace(
        base,
        host=host,
        views=NoViews(),
        encoder=NoEncoder(),
        connector=NoConnector(),
        fusion=NoFusion(),
        experts=SharedWeights(),
    )
    depths = MixtureOfDepths(base=base.experts, capacity=0.25, first=1, stride=2, predictors=64)
    made = {
        "dense": plain,
        "moma": replace(plain, experts=base.experts),
        "moma+mod": replace(plain, experts=depths),
    }
    return {name: made[name] for name in options.arms}


def step_flops(model: Model, batch: Inputs) -> int:
    """FLOPs of one forward and backward pass, as torch counts what runs."""
    with sdpa_kernel([SDPBackend.MATH]), FlopCounterMode(display=False) as counter:
        model.loss(batch).backward()
    model.zero_grad(set_to_none=True)
    return counter.get_total_flops()


@torch.no_grad()
def held_out(model: Model, batch: Inputs) -> dict[str, float]:
    """Mean loss of each kind of next id, in both ways of choosing."""
    assert batch.labels is not None
    taught, found = batch.labels >= 0, {}
    kinds = {"text": batch.labels >= CODES, "image": (batch.labels < CODES) & taught, "all": taught}
    for name, training in (("causal", False), ("as taught", True)):
        model.train(training)
        logits = model(batch).float()
        for kind, rows in kinds.items():
            loss = torch.nn.functional.cross_entropy(logits[rows], batch.labels[rows])
            found[f"{kind}, {name}"] = float(loss)
    return found


def taught(answers: Answers, seed: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    """The curve of one arm: FLOPs spent and held-out losses."""
    model = build(answers, seed=seed).train()
    test = inputs(*documents(options.held_out, options.pairs, seed=10**6))
    adam = torch.optim.AdamW(model.parameters(), lr=options.rate, betas=(0.9, 0.95))
    batch = inputs(*documents(options.batch, options.pairs, seed=10**7))
    each, budget = step_flops(model, batch), options.teraflops * 1e12
    steps = max(1, round(budget / each))
    marks = {max(1, round(steps * at / options.points)) for at in range(1, options.points + 1)}
    curve = []
    for step in range(1, steps + 1):
        for group in adam.param_groups:
            group["lr"] = options.rate * min(1.0, 20 * step / steps) * (1 - 0.9 * step / steps)
        model.train()
        drawn = inputs(*documents(options.batch, options.pairs, seed=seed * 10**8 + step))
        adam.zero_grad(set_to_none=True)
        model.loss(drawn).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        if step in marks:
            curve.append({"step": step, "flops": step * each, **held_out(model, test)})
    return curve


def spent_to_reach(curve: list[dict[str, Any]], key: str, loss: float) -> float | None:
    """FLOPs at which a curve first falls to a loss, between its points; None if it never does."""
    before = None
    for point in curve:
        if point[key] <= loss:
            if before is None:
                return point["flops"]
            share = (before[key] - loss) / (before[key] - point[key])
            return before["flops"] + share * (point["flops"] - before["flops"])
        before = point
    return None


def savings(curves: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, float | None]]:
    """The dense model's FLOPs over an arm's to the dense model's last loss, by kind of id."""
    dense, found = curves["dense"], {}
    for name, curve in curves.items():
        found[name] = {}
        for key in (k for k in dense[-1] if k not in ("step", "flops")):
            spent = spent_to_reach(curve, key, dense[-1][key])
            found[name][key] = None if spent is None else dense[-1]["flops"] / spent
    return found


def main() -> int:
    """Trains every arm over every seed, prints, writes."""
    options = _options()
    torch.set_num_threads(options.threads)
    runs, chosen = [], arms(options)
    for seed in options.seeds:
        curves = {name: taught(answers, seed, options) for name, answers in chosen.items()}
        runs.append({"seed": seed, "curves": curves, "savings": savings(curves)})
        for name, curve in curves.items():
            last = curve[-1]
            print(
                f"seed {seed}  {name:<9} {last['flops'] / 1e12:7.3f} TFLOPs  causal "
                f"text {last['text, causal']:.4f} image {last['image, causal']:.4f}  as taught "
                f"text {last['text, as taught']:.4f} image {last['image, as taught']:.4f}"
            )
    for name in chosen:
        told = [run["savings"][name]["all, causal"] for run in runs]
        reached = [value for value in told if value is not None]
        shown = f"{mean(reached):.2f} times" if reached else "never"
        seeds = f"{len(reached)} of {len(told)} seeds"
        print(f"{name:<9} reaches the dense model's last loss: {shown} ({seeds})")
    _write(options, runs)
    return 0


def _write(options: argparse.Namespace, runs: list[dict[str, Any]]) -> None:
    names = ("width", "layers", "batch", "pairs", "rate", "teraflops", "points", "held_out")
    record = {
        "seeds": options.seeds,
        "metric": "held-out loss against training FLOPs; savings to the dense model's last loss",
        "baseline": "dense",
        "setting": {name: getattr(options, name) for name in names},
        "runs": runs,
    }
    recorded(__file__, options.out, record, name="cpu")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--arms", nargs="+", default=["dense", "moma", "moma+mod"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--teraflops", type=float, default=30.0, help="of training, each arm")
    parser.add_argument("--points", type=int, default=20, help="of every curve")
    parser.add_argument("--width", type=int, default=128, help="a multiple of 32")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--batch", type=int, default=16, help="documents a step")
    parser.add_argument("--pairs", type=int, default=2, help="captions and pictures a document")
    parser.add_argument("--held-out", type=int, default=128, help="documents")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="default: results/moma_flops/cpu.json")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
