"""Drawing systems against their baselines: what a probe sees in the pictures that they draw.

Both arms learn from the same captioned pictures in the same order; each then draws the held-out
captions, and a probe taught on real pictures names shape and colour. Accuracy is the share of
pictures where both are as asked. The error of the velocity on held-out pictures is recorded too.

    python benchmarks/drawing.py                        # every pair, seeds 0 to 2
    python benchmarks/drawing.py latte-groups --samples 30000
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from chiasm.answering import Artist
from chiasm.data import Example, load
from chiasm.data.easy_vqa_captions import COLOURS, SHAPES
from chiasm.data.latents import to_cells, to_latent
from chiasm.data.media import read_image
from chiasm.decoding import Drawing, Guidance
from chiasm.drawing import drafted
from chiasm.errors import Misuse
from chiasm.evaluation.committed_files import write
from chiasm.evaluation.effect import Pair, record
from chiasm.evaluation.interval import student
from chiasm.experts import SharedWeights
from chiasm.objectives import GroupTimes
from chiasm.spec import Latent, Scale, Stage, System, registered
from chiasm.training import Budget, train
from chiasm.training.display import Silent

DATA = "easy-vqa-captions"
TIMES = 8
"""Times at which velocities are judged."""
STEPS = 24
"""Steps of a picture, where an arm takes all of them."""


@dataclass(frozen=True)
class Measured:
    """A pair, and how many steps each arm draws in: their layer calls are equal."""

    pair: Pair
    steps: int
    baseline_steps: int


def altered(of: System, name: str, **answers: Any) -> System:
    """A system under another name, some of its nano answers replaced."""
    nano = replace(of.at(Scale.NANO), **answers)
    return replace(of, slug=name, scales={**of.scales, Scale.NANO: nano})


def without_copies(stages: Sequence[Stage]) -> tuple[Stage, ...]:
    """Stages for one set of weights: what experts would learn, the host learns."""
    return tuple(
        replace(
            stage,
            copies=False,
            trained=tuple(dict.fromkeys("decoder" if p == "experts" else p for p in stage.trained)),
        )
        for stage in stages
    )


def pairs(samples: int, asked: int) -> dict[str, Measured]:
    """The measurements by name."""
    known = registered()
    plain: dict[str, Any] = dict(data=DATA, samples=samples, asked=asked)
    found = []
    latte = known["latte-flow"].at(Scale.NANO)
    flow = replace(latte.teaching.objective.flow, times=GroupTimes(1))
    objective = replace(latte.teaching.objective, flow=flow)
    groups = latte.experts.times
    found.append(
        Measured(
            Pair(
                name="latte-groups",
                system=known["latte-flow"],
                baseline=altered(
                    known["latte-flow"],
                    "latte-flow-whole",
                    experts=replace(latte.experts, times=1),
                    fusion=replace(latte.fusion, times=1),
                    teaching=replace(latte.teaching, objective=objective),
                ),
                claim="at equal layer calls, groups of layers that each draw in their own interval "
                "draw no worse than the whole depth in fewer steps",
                differs=f"{groups} groups of layers in {STEPS} steps, against the whole depth in "
                f"{STEPS // groups}",
                **plain,
            ),
            STEPS,
            STEPS // groups,
        )
    )
    for slug, name, claim in (
        ("bagel", "bagel-two-sets", "two weight sets beat one at equal active compute"),
        ("x-fusion", "x-fusion-towers", "a tower beside a frozen model beats one tuned tower"),
    ):
        nano = known[slug].at(Scale.NANO)
        stages = without_copies(nano.teaching.stages)
        found.append(
            Measured(
                Pair(
                    name=name,
                    system=known[slug],
                    baseline=altered(
                        known[slug],
                        f"{slug}-shared",
                        experts=SharedWeights(),
                        teaching=replace(nano.teaching, stages=stages),
                    ),
                    claim=claim,
                    differs="weights of their own for latents, against the host's for every row",
                    **plain,
                ),
                STEPS,
                STEPS,
            )
        )
    return {measured.pair.name: measured for measured in found}


class Probe(nn.Module):
    """Shape and colour of a small picture: three convolutions, a mean, two linear heads."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 32, 64, 64)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        self.body = nn.Sequential(*layers, nn.Flatten())
        self.shape, self.colour = nn.LazyLinear(len(SHAPES)), nn.LazyLinear(len(COLOURS))

    def forward(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        body = self.body(cells)
        return self.shape(body), self.colour(body)

    @torch.no_grad()
    def right(self, cells: Tensor, shapes: Tensor, colours: Tensor) -> float:
        """Share of pictures whose shape and colour are both named."""
        shape, colour = self(cells)
        return ((shape.argmax(1) == shapes) & (colour.argmax(1) == colours)).float().mean().item()


def cells_of(images: Sequence[Image.Image], latent: Latent) -> Tensor:
    return to_cells(torch.stack([to_latent(image, latent) for image in images]), latent)


def named(examples: Sequence[Example]) -> tuple[Tensor, Tensor]:
    """The numbers of the shapes and colours that captions ask for."""
    words = [example.turns[0].question.split() for example in examples]
    return (
        torch.tensor([SHAPES.index(shape) for _, _, shape in words]),
        torch.tensor([COLOURS.index(colour) for _, colour, _ in words]),
    )


def asked_for(split: str) -> list[Example]:
    """The examples that draw."""
    return [example for example in load(DATA, split) if example.turns[0].picture is not None]


def pictures(examples: Sequence[Example]) -> list[Image.Image]:
    return [read_image(turn.picture) for e in examples for turn in e.turns if turn.picture]


def taught_probe(latent: Latent, epochs: int) -> tuple[Probe, float]:
    """A probe of real pictures at the latent's size, and how often it is right on held-out ones."""
    torch.manual_seed(0)
    examples = asked_for("train")
    cells, (shapes, colours) = cells_of(pictures(examples), latent), named(examples)
    probe = Probe()
    probe(cells[:2])
    optimiser = torch.optim.AdamW(probe.parameters(), lr=2e-3)
    for _ in range(epochs):
        for at in torch.randperm(len(cells)).split(64):
            noisy = cells[at] + 0.1 * torch.randn_like(cells[at])
            shape, colour = probe(noisy)
            loss = nn.functional.cross_entropy(shape, shapes[at])
            loss = loss + nn.functional.cross_entropy(colour, colours[at])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    held_out = asked_for("test")
    right = probe.right(cells_of(pictures(held_out), latent), *named(held_out))
    return probe.eval(), right


def run_arm(
    of: System, measured: Measured, steps: int, seed: int, folder: Path, probe: Probe, guided: float
) -> dict[str, float]:
    """One arm taught and judged; finished arms are not taught again."""
    pair = measured.pair
    out = folder / f"{of.slug}-{pair.samples}-{seed}"
    train(
        of,
        pair.scale,
        DATA,
        Budget(samples=pair.samples),
        out,
        seed=seed,
        resume=out.exists(),
        display=Silent(),
    )
    artist, examples = Artist.open(out), asked_for("test")[: pair.asked]
    how = Drawing(steps=steps, guidance=Guidance(text=guided), seed=seed)
    drawn: list[Image.Image] = []
    for at in range(0, len(examples), 64):
        prompts = [(example.turns[0].question, ()) for example in examples[at : at + 64]]
        drawn += artist.of_prompts(prompts, how=replace(how, seed=seed + at))
    latent = artist.collator.answers.head.latent
    assert latent is not None
    return {
        "accuracy": probe.right(cells_of(drawn, latent), *named(examples)),
        "velocity_error": velocity_error(artist, examples),
    }


@torch.no_grad()
def velocity_error(artist: Artist, examples: Sequence[Example]) -> float:
    """The flow's loss on held-out pictures: eight times, the same noise for every arm."""
    model, found = artist.checkpoint.model.eval(), []
    objective, latent = model.answers.teaching.objective, model.answers.head.latent
    assert latent is not None
    for number in range(TIMES):
        part = examples[number::TIMES]
        inputs = artist.collator.batch(part, teach=True)
        assert inputs.latents is not None
        share = (number + 0.5) / TIMES
        # The same share of noise, whichever way a path leads.
        time = torch.full((len(part), 1), abs(objective.flow.direction.clean - share))
        noise = torch.randn(inputs.latents.shape, generator=torch.Generator().manual_seed(number))
        made = drafted(inputs, objective.flow, latent.rows, time=time, noise=noise)
        said = model.velocity(model.hidden(made.inputs)[made.rows])
        found.append(float(objective.flow.judge(said, made.velocity[made.rows])))
    return fmean(found)


def measure(measured: Measured, options: argparse.Namespace) -> dict[str, Any]:
    """The result record of a pair."""
    pair, seeds = measured.pair, list(range(options.seeds))
    latent = pair.system.at(pair.scale).head.latent
    assert latent is not None
    probe, real = taught_probe(latent, options.probe_epochs)
    arms: dict[str, list[dict[str, float]]] = {"system": [], "baseline": []}
    for seed in seeds:
        for arm, of, steps in (
            ("system", pair.system, measured.steps),
            ("baseline", pair.baseline, measured.baseline_steps),
        ):
            found = run_arm(of, measured, steps, seed, options.runs, probe, options.guidance)
            arms[arm].append(found)
            print(f"{pair.name}, seed {seed}, {arm} {of.slug}: {found}", flush=True)
    values, baselines = ([arm["accuracy"] for arm in arms[name]] for name in arms)
    errors = [
        one["velocity_error"] - other["velocity_error"]
        for one, other in zip(arms["system"], arms["baseline"], strict=True)
    ]
    low, high = student(errors)
    return record(pair, seeds, values, baselines, Path(__file__)) | {
        "metric": "share of drawn held-out captions whose shape and colour a probe names as asked",
        "probe_accuracy_on_real_pictures": real,
        "steps": measured.steps,
        "baseline_steps": measured.baseline_steps,
        "guidance": options.guidance,
        "velocity_errors": [arm["velocity_error"] for arm in arms["system"]],
        "baseline_velocity_errors": [arm["velocity_error"] for arm in arms["baseline"]],
        "velocity_error_difference": fmean(errors),
        "velocity_error_difference_low": low,
        "velocity_error_difference_high": high,
    }


def main() -> int:
    options = _options()
    torch.set_num_threads(options.threads)
    if options.seeds < 3:
        raise Misuse(f"{options.seeds} seeds given; an effect needs at least three")
    known = pairs(options.samples, options.asked)
    for name in options.pairs or known:
        if name not in known:
            raise Misuse(f"no pair is called {name!r}; there are {', '.join(known)}")
        result = measure(known[name], options)
        out = options.results / known[name].pair.system.slug / f"{name}.json"
        write(out, result)
        print(f"{name}: {result['outcome']}, {100 * result['difference']:+.2f} points; {out}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pairs", nargs="*", help="names of pairs; all of them by default")
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 0")
    parser.add_argument("--samples", type=int, default=30_000, help="examples taught to each arm")
    parser.add_argument("--asked", type=int, default=480, help="held-out captions drawn")
    parser.add_argument("--guidance", type=float, default=2.0)
    parser.add_argument("--probe-epochs", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=Path, default=Path("runs/drawing"))
    parser.add_argument("--results", type=Path, default=Path("results"))
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
