"""MultiModN's missing-not-at-random experiment: a state that skips against parallel fusion.

Each example's features are split into modalities. In training every modality but the first is
missing, with probability `--missing`, in examples of the positive class alone; the test has the
same, then the reverse (missing in the negative class alone), then nothing missing. Parallel fusion
encodes modalities side by side and joins them, a missing one given the training mean; the state
skips it. Both have the same encoders and decoder widths, optimiser, steps and folds. A seed's value
is the area under the ROC curve over stratified folds that test every example once.

    python benchmarks/missing_not_at_random.py                  # both sets, seeds 0 to 2
    python benchmarks/missing_not_at_random.py tumours --epochs 2 --folds 2 --results /tmp/mnar
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from torch import Tensor, nn

from chiasm.catalogue.provenance import measured_by
from chiasm.errors import Misuse
from chiasm.evaluation.committed_files import write
from chiasm.evaluation.effect import INTERVAL, paired
from chiasm.evaluation.interval import student
from chiasm.layers.states import StateSteps

STATE, HIDDEN, DROPOUT = 50, 32, 0.2
TESTS = ("same", "reversed", "whole")


@dataclass(frozen=True)
class Table:
    """Examples, their binary label, and the columns of each modality."""

    about: str
    features: Tensor
    label: Tensor
    columns: tuple[list[int], ...]


def tables() -> dict[str, Table]:
    """The packaged sets by name."""
    tumours, digits = load_breast_cancer(), load_digits()
    ten, side = range(10), np.arange(64).reshape(8, 8)
    quarters = tuple(
        side[top : top + 4, left : left + 4].ravel().tolist() for top in (0, 4) for left in (0, 4)
    )
    return {
        "tumours": Table(
            "scikit-learn's breast cancer set; modalities: mean, error and worst of ten measures",
            torch.tensor(tumours.data, dtype=torch.float32),
            torch.tensor(1 - tumours.target),
            tuple([10 * group + one for one in ten] for group in range(3)),
        ),
        "digits": Table(
            "scikit-learn's digits, five and above against below; modalities: four quarters",
            torch.tensor(digits.data, dtype=torch.float32),
            torch.tensor((digits.target >= 5).astype(np.int64)),
            quarters,
        ),
    }


class Sequential(nn.Module):
    """MultiModN: a state that visits the modalities, and a decoder of every state."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.steps = StateSteps(widths, state=STATE, hidden=HIDDEN, dropout=DROPOUT)
        self.decoder = decoder(STATE)

    def forward(self, given: list[Tensor], present: Tensor) -> Tensor:
        return self.decoder(self.steps(given, present))

    def loss(self, given: list[Tensor], present: Tensor, label: Tensor) -> Tensor:
        """The mean over examples of the cross-entropy of s_0 and of each changed state."""
        scores = self(given, present)
        new = F.pad(present, (1, 0), value=True)
        right = label.unsqueeze(1).expand_as(new)
        return F.cross_entropy(scores[new], right[new], reduction="sum") / new.numel()

    def score(self, given: list[Tensor], present: Tensor) -> Tensor:
        return self(given, present)[:, -1].log_softmax(-1)[:, 1]


class Parallel(nn.Module):
    """Parallel fusion: encoders side by side, joined; a missing modality is its training mean."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(
            nn.Sequential(
                nn.Linear(width, HIDDEN), nn.ReLU(), nn.Dropout(DROPOUT), nn.Linear(HIDDEN, STATE)
            )
            for width in widths
        )
        self.decoder = decoder(STATE * len(widths))

    def forward(self, given: list[Tensor], present: Tensor) -> Tensor:
        # Features are standardised: zero is the mean.
        filled = [x.masked_fill(~present[:, at, None], 0.0) for at, x in enumerate(given)]
        encoded = [one(x) for one, x in zip(self.encoders, filled, strict=True)]
        return self.decoder(torch.cat(encoded, -1))

    def loss(self, given: list[Tensor], present: Tensor, label: Tensor) -> Tensor:
        return F.cross_entropy(self(given, present), label)

    def score(self, given: list[Tensor], present: Tensor) -> Tensor:
        return self(given, present).log_softmax(-1)[:, 1]


ARMS = {"multimodn": Sequential, "parallel": Parallel}


def decoder(width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(width, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2))


def missing(label: Tensor, of: int, modalities: int, share: float, seed: int) -> Tensor:
    """`[example, modality]`, False where a modality but the first is missing: in examples of class
    `of`, each with probability `share`.
    """
    drawn = torch.rand(len(label), modalities, generator=torch.Generator().manual_seed(seed))
    gone = (drawn < share) & (label == of).unsqueeze(1)
    gone[:, 0] = False
    return ~gone


def areas(table: Table, arm: str, regime: str, seed: int, options: Any) -> dict[str, float]:
    """The area under the ROC curve of each test, over all folds of a seed together."""
    share = options.missing if regime == "missing" else 0.0
    folds = StratifiedKFold(options.folds, shuffle=True, random_state=seed)
    scores = {test: torch.zeros(len(table.label)) for test in TESTS}
    many = len(table.columns)
    patterns = {
        "same": missing(table.label, 1, many, share, seed),
        "reversed": missing(table.label, 0, many, share, seed + 1000),
        "whole": torch.ones(len(table.label), many, dtype=torch.bool),
    }
    for fold, (taught, asked) in enumerate(folds.split(table.features, table.label)):
        mean, spread = table.features[taught].mean(0), table.features[taught].std(0)
        scaled = (table.features - mean) / spread.clamp(min=1e-6)
        given = [scaled[:, columns] for columns in table.columns]
        model = teach(arm, given, patterns["same"], table.label, taught, seed * 100 + fold, options)
        with torch.inference_mode():
            for test, present in patterns.items():
                scores[test][asked] = model.score([x[asked] for x in given], present[asked])
    label = table.label.numpy()
    return {test: float(roc_auc_score(label, found.numpy())) for test, found in scores.items()}


def teach(
    arm: str,
    given: list[Tensor],
    present: Tensor,
    label: Tensor,
    taught: np.ndarray,
    seed: int,
    options: Any,
) -> Any:
    """One arm on one fold: Adam at 3e-3, batches of 128 in an order of the seed."""
    torch.manual_seed(seed)
    model = ARMS[arm]([x.shape[1] for x in given])
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    rows = torch.as_tensor(taught)
    for _ in range(options.epochs):
        for batch in rows[torch.randperm(len(rows))].split(128):
            adam.zero_grad()
            model.loss([x[batch] for x in given], present[batch], label[batch]).backward()
            adam.step()
    return model.eval()


def measure(name: str, table: Table, options: Any) -> dict[str, Any]:
    """The record of a set: each arm's drop from the same missingness to the reverse, and all the
    areas that it comes from.
    """
    seeds = list(range(options.seeds))
    found: dict[str, dict[str, list[dict[str, float]]]] = {
        regime: {arm: [areas(table, arm, regime, seed, options) for seed in seeds] for arm in ARMS}
        for regime in ("missing", "complete")
    }
    drops = {arm: [one["same"] - one["reversed"] for one in found["missing"][arm]] for arm in ARMS}
    compared = paired(
        "drop of the area under the ROC curve when missingness turns round",
        drops["multimodn"],
        drops["parallel"],
        better="lower",
        gain="smaller_by",
    )
    whole = {arm: [one["whole"] for one in found["complete"][arm]] for arm in ARMS}
    ahead = [one - other for one, other in zip(*whole.values(), strict=True)]
    low, high = student(ahead)
    kept = ("missing", "epochs", "folds")
    return {
        **compared,
        "seeds": seeds,
        "values": drops["multimodn"],
        "baseline_values": drops["parallel"],
        "areas": {
            regime: {
                arm: {test: [one[test] for one in each] for test in TESTS}
                for arm, each in arms.items()
            }
            for regime, arms in found.items()
        },
        "complete_difference": {"mean": fmean(ahead), "low": low, "high": high},
        "parameters": {
            arm: sum(p.numel() for p in made([len(c) for c in table.columns]).parameters())
            for arm, made in ARMS.items()
        },
        "system": "multimodn",
        "baseline_system": "parallel fusion with the training mean for what is missing",
        "claim": "where missingness depends on the label in training and turns round in the test, "
        "parallel fusion collapses and a state that skips holds",
        "differs": "modalities change a state in turn and missing ones are skipped",
        "data": table.about,
        "setting": {key: getattr(options, key) for key in kept},
        "interval": INTERVAL,
        **measured_by(Path(__file__)),
    }


def main() -> int:
    """Measures, prints, writes."""
    options = _options()
    torch.set_num_threads(options.threads)
    known = tables()
    for name in options.sets or known:
        if name not in known:
            raise Misuse(f"no set is called {name!r}; there are {', '.join(known)}")
        result = measure(name, known[name], options)
        write(options.results / "multimodn" / f"missing-{name}.json", result)
        print(
            f"{name}: {result['outcome']}; drop {result['value']:.3f} ({result['low']:.3f} to "
            f"{result['high']:.3f}) against {result['baseline']:.3f} "
            f"({result['baseline_low']:.3f} to {result['baseline_high']:.3f})"
        )
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sets", nargs="*", help="tumours, digits; both by default")
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 0")
    parser.add_argument("--missing", type=float, default=0.8)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--results", type=Path, default=Path("results"))
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
