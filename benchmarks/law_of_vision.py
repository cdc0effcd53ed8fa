r"""Does the AC score rank encoders as teaching a language model on them does?

One nano model is taught whole; its decoder is the language model of every setting, and its own
encoder, at 64 and at 96 pixels, the two references (the paper's CLIP-224 and CLIP-336). Every
setting is a frozen encoder with a fresh connector: (1) the connector alone is taught against the
frozen decoder, after which A is measured on held-out pictures; C is measured on the encoder's raw
features; (2) connector and decoder are taught on, and asked held-out questions: the score. The law
is fitted on all settings but one and predicts that one.

    python benchmarks/law_of_vision.py                # 12 settings, one seed
    python benchmarks/law_of_vision.py --seeds 3      # and the effect's record
    python benchmarks/law_of_vision.py --settings own-64 raw-16 random-64 --taught 64 --fit 32 \
        --adapt 64 --asked 20                         # a smoke run

Settings that are finished are not run again (`--runs`).
"""

import argparse
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

import torch
from recording import recorded

from chiasm import data
from chiasm.answering import Asker
from chiasm.assemble import build
from chiasm.catalogue.provenance import measured_by
from chiasm.data import Dataset
from chiasm.data.collate import Collator
from chiasm.data.pixels import Pixels
from chiasm.data.template import Template
from chiasm.encoders import ChannelConcat, EfficientNetLite0, RawPatches, VisionTransformer
from chiasm.errors import Misuse
from chiasm.evaluation.committed_files import write
from chiasm.evaluation.effect import paired
from chiasm.evaluation.predict import predict
from chiasm.evaluation.result import Score
from chiasm.evaluation.trial import alone
from chiasm.hub import Checkpoint
from chiasm.hub.folder import tokens_of_tokenizer
from chiasm.inspection.alignment import alignment, picture_tokens
from chiasm.inspection.correspondence import correspondence, matches
from chiasm.inspection.encoding import encoder_maps
from chiasm.inspection.law import ALONE, leave_one_out
from chiasm.inspection.ranks import bootstrap, pearson, spearman
from chiasm.inspection.subject import Subject, some
from chiasm.lineages.vision_language import DRAWINGS, LITE, VISION_LANGUAGE
from chiasm.model import Model
from chiasm.spec import Answers, Fixed, Scale, Stage, system
from chiasm.training import Budget, Trainer, prepare

NANO = VISION_LANGUAGE[Scale.NANO]
VIT = VisionTransformer(patch=16, width=128, depth=2, heads=4, ff_width=256)
CONNECT = Stage(name="alignment", trained=("connector",), learning_rate=1e-3, batch=16, questions=6)
ADAPT = Stage(
    name="adaptation",
    trained=("connector", "decoder", "head"),
    learning_rate=3e-4,
    batch=16,
    questions=6,
    clip=5.0,
)
REFERENCES = ("own-64", "own-96")
FIELDS = ("A", "C", "score")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """An encoder, the side and the normalisation of its pictures, and who taught it."""

    encoder: Any
    side: int = 64
    pixels: Pixels = DRAWINGS
    taught_on: str | None = None
    """Data whose taught nano encoder it is; None: fresh, or packaged weights."""
    share: float = 1.0
    """Of the teacher's samples."""

    @property
    def answers(self) -> Answers:
        return replace(
            NANO, views=Fixed(self.side, self.side), pixels=self.pixels, encoder=self.encoder
        )


def settings(of: str) -> dict[str, Setting]:
    """By name; `of` is the data that the language model is taught on."""
    moments = (DRAWINGS.mean, DRAWINGS.std)
    beside = ChannelConcat(
        parts=(RawPatches(patch=16), VIT), given=moments, moments=(moments, moments)
    )
    lite = EfficientNetLite0()
    return {
        "own-64": Setting(encoder=NANO.encoder, taught_on=of),
        "own-96": Setting(encoder=NANO.encoder, side=96, taught_on=of),
        "early-64": Setting(encoder=NANO.encoder, taught_on=of, share=0.15),
        "scenes-64": Setting(encoder=NANO.encoder, taught_on="scenes"),
        "random-64": Setting(encoder=NANO.encoder),
        "vit-random-64": Setting(encoder=VIT),
        "raw-16": Setting(encoder=RawPatches(patch=16)),
        "raw-8": Setting(encoder=RawPatches(patch=8)),
        "raw+vit-random": Setting(encoder=beside),
        "lite0-map": Setting(encoder=lite, side=128, pixels=LITE),
        "lite0-head": Setting(encoder=replace(lite, level="head"), side=128, pixels=LITE),
        "lite0-random": Setting(encoder=replace(lite, weights=None), side=128, pixels=LITE),
    }


@dataclass(frozen=True)
class Teacher:
    """The model whose decoder every setting leads into, and what its prompts are made of."""

    model: Model
    tokenizer: Any
    template: Template


class Bench:
    """One seed's run: teachers once, then settings."""

    def __init__(self, options: argparse.Namespace, seed: int) -> None:
        self.options, self.seed = options, seed
        whole = data.load(options.data, "train")
        self.taught = Dataset(whole.name, whole.split, whole.examples[: options.taught])
        self.asked = data.load(options.data, "test")[: options.asked]
        self.seen = some(alone([first_question(one) for one in self.asked]), options.pictures)
        self.pairs = matches(options.pairs)
        self.known = settings(options.data)
        self.teachers: dict[tuple[str, float], Teacher] = {}
        self.references: list[torch.Tensor] = []

    def teacher(self, name: str, share: float = 1.0) -> Teacher:
        """A nano model taught whole on some data."""
        if (name, share) not in self.teachers:
            whole = data.load(name, "train")
            shown = Dataset(whole.name, whole.split, whole.examples[: self.options.taught])
            ready = prepare(system("llava-1.5"), "nano", shown, self.seed)
            made = Teacher(ready.model, ready.tokenizer, ready.template)
            self.teach(made.model, NANO.teaching.stages, shown, made, share * self.options.taught)
            self.teachers[name, share] = made
        return self.teachers[name, share]

    def teach(
        self,
        model: Model,
        stages: Sequence[Stage],
        shown: Dataset,
        of: Teacher,
        samples: float,
    ) -> None:
        """Some stages, whose states are not kept."""
        collator = Collator(model.answers, of.template, of.tokenizer)
        budget = Budget(samples=max(1, round(samples)))
        with TemporaryDirectory() as out:
            Trainer(
                model,
                shown,
                collator,
                budget=budget,
                out=Path(out),
                seed=self.seed,
                stages=stages,
            ).run()
        model.eval()

    def connected(self, name: str) -> Model:
        """A setting's model before its first step: the teacher's decoder, a fresh connector."""
        setting, teacher = self.known[name], self.teacher(self.options.data)
        vocabulary = teacher.model.answers.host.vocabulary
        answers = replace(setting.answers, host=replace(NANO.host, vocabulary=vocabulary))
        model = build(answers, seed=self.seed + 1000)
        model.decoder.load_state_dict(teacher.model.decoder.state_dict())
        model.head.load_state_dict(teacher.model.head.state_dict())
        if setting.taught_on is not None:
            encoder = self.teacher(setting.taught_on, setting.share).model.encoder
            assert encoder is not None and model.encoder is not None
            model.encoder.load_state_dict(encoder.state_dict())
        return model.eval()

    def subject(self, model: Model) -> Subject:
        """The model with the held-out pictures that A is measured on."""
        teacher = self.teacher(self.options.data)
        tokens = tokens_of_tokenizer(teacher.tokenizer)
        checkpoint = Checkpoint(
            folder=Path(), model=model, tokens=tokens, slug="llava-1.5", scale="nano"
        )
        collator = Collator(model.answers, teacher.template, teacher.tokenizer)
        return Subject(Asker(checkpoint, collator), self.seen)

    def aligned(self, name: str) -> tuple[Model, torch.Tensor]:
        """The setting after stage 1, and its picture tokens."""
        model = self.connected(name)
        teacher = self.teacher(self.options.data)
        self.teach(model, (CONNECT,), self.taught, teacher, self.options.fit)
        return model, picture_tokens(self.subject(model))

    def measure(self, name: str) -> dict[str, float]:
        """A, C and score of a setting; remembered under all that decides them."""
        told = {key: value for key, value in vars(self.options).items() if key in DECIDES}
        digest = hashlib.sha256(repr((self.known[name], self.seed, sorted(told.items()))).encode())
        kept = self.options.runs / f"{name}-{self.seed}-{digest.hexdigest()[:12]}.json"
        if kept.is_file():
            return json.loads(kept.read_text(encoding="utf-8"))
        if not self.references:
            self.references = [self.aligned(one)[1] for one in REFERENCES]
        model, tokens = self.aligned(name)
        found = {
            "A": alignment(tokens, self.references),
            "C": correspondence(encoder_maps(model), self.pairs),
        }
        teacher = self.teacher(self.options.data)
        self.teach(model, (ADAPT,), self.taught, teacher, self.options.adapt)
        collator = Collator(model.answers, teacher.template, teacher.tokenizer)
        found["score"] = Score.of(list(predict(model, collator, self.asked))).accuracy
        write(kept, found)
        return found


DECIDES = ("data", "taught", "fit", "adapt", "asked", "pictures", "pairs")


def first_question(example: Any) -> Any:
    """The example with its first question alone: A looks at pictures."""
    return replace(example, turns=example.turns[:1])


def correlations(
    found: Sequence[dict[str, float]], ridge: float, *, draws: int = 2000
) -> dict[str, Any]:
    """Of A and C with the scores, and of what laws without a setting predict of it."""
    a, c, scores = ([one[name] for one in found] for name in FIELDS)
    each = {"A": a, "C": c} | {
        f"law of {which}, left out": leave_one_out(a, c, scores, terms=terms, ridge=ridge)
        for which, terms in ALONE.items()
    }
    told: dict[str, Any] = {}
    for name, values in each.items():
        told[name] = {"predicted": values}
        for kind, measure in (("pearson", pearson), ("spearman", spearman)):
            low, high = -1.0, 1.0  # of settings that are all alike nothing is known
            if len(set(zip(values, scores, strict=True))) > 1:
                low, high = bootstrap(measure, values, scores, draws=draws)
            told[name] |= {kind: measure(values, scores), f"{kind}_low": low, f"{kind}_high": high}
    return told


def main() -> int:
    options = _options()
    torch.set_num_threads(options.threads)
    known = settings(options.data)
    chosen = options.settings or list(known)
    for name in chosen:
        if name not in known:
            raise Misuse(f"no setting is called {name!r}; there are {', '.join(known)}")
    by_seed: list[list[dict[str, float]]] = []
    for seed in range(options.seeds):
        bench = Bench(options, seed)
        by_seed.append([])
        for name in chosen:
            one = bench.measure(name)
            by_seed[-1].append(one)
            told = ", ".join(f"{key} {one[key]:.4f}" for key in FIELDS)
            print(f"seed {seed}, {name}: {told}", flush=True)
    means = [
        {key: fmean(run[at][key] for run in by_seed) for key in FIELDS} for at in range(len(chosen))
    ]
    found = correlations(means, options.ridge)
    for name, one in found.items():
        print(
            f"{name}: Pearson {one['pearson']:+.3f} "
            f"({one['pearson_low']:+.3f} to {one['pearson_high']:+.3f}), "
            f"Spearman {one['spearman']:+.3f} "
            f"({one['spearman_low']:+.3f} to {one['spearman_high']:+.3f})"
        )
    record = {
        "settings": [
            {"setting": name, **mean, "by_seed": [run[at] for run in by_seed]}
            for at, (name, mean) in enumerate(zip(chosen, means, strict=True))
        ],
        "correlations": found,
        "interval": "95%, settings drawn again with replacement, 2000 draws",
        "ridge": options.ridge,
        "references": list(REFERENCES),
        "seed": 0,
        "seeds": list(range(options.seeds)),
        **{name: getattr(options, name) for name in DECIDES},
    }
    recorded(__file__, options.out, record)
    if options.seeds >= 3:
        _effect(options, by_seed)
    return 0


def _effect(options: argparse.Namespace, by_seed: Sequence[Sequence[dict[str, float]]]) -> None:
    """How AC's left-out predictions go with scores, seed by seed, against no relation at all."""
    each = [correlations(run, options.ridge)["law of AC, left out"]["spearman"] for run in by_seed]
    record = {
        **paired("Spearman of left-out predictions with scores", each, [0.0] * len(each)),
        "seeds": list(range(options.seeds)),
        "system": "the law of alignment and correspondence, fitted on the other settings",
        "baseline_system": "predictions that say nothing",
        "claim": "alignment and correspondence tell which encoder a language model will do best on",
        "data": options.data,
        "interval": "Student's t over seeds, 95%; the outcome is that of the differences from zero",
        **measured_by(Path(__file__)),
    }
    write(options.results / "law-of-vision" / "ac-predicts.json", record)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--settings", nargs="*", help="names; all of them by default")
    parser.add_argument("--data", default="easy-vqa")
    parser.add_argument("--seeds", type=int, default=1, help="how many, from 0")
    parser.add_argument("--taught", type=int, default=3000, help="pictures taught")
    parser.add_argument("--fit", type=int, default=500, help="samples of stage 1")
    parser.add_argument("--adapt", type=int, default=1500, help="samples of stage 2")
    parser.add_argument("--asked", type=int, default=200, help="test pictures")
    parser.add_argument("--pictures", type=int, default=100, help="test pictures that A looks at")
    parser.add_argument("--pairs", type=int, default=100, help="pairs of scenes for C")
    parser.add_argument("--ridge", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=Path, default=Path("runs/law_of_vision"))
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--out", type=Path, help="the result's file")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
