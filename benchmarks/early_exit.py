"""DeeR-VLA's early exits against fixed depths, on the toy control task: error at equal FLOPs.

One small model a seed, taught by imitation at every exit (`chiasm.training.exits`). Thresholds are
solved on other episodes for the FLOPs of each inner exit; held-out episodes then leave early, and
are compared with the same model always cut at that exit. Error is the root mean square of the pose
against the expert's, teacher-forced; both ways use the same policy. What the thresholds really
spent stands beside what was demanded.

    python benchmarks/early_exit.py
    python benchmarks/early_exit.py --updates 50 --seeds 3 --out /tmp/exits.json
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from recording import recorded

from chiasm.assemble import build
from chiasm.compression import EarlyExits, ExitBudget, quantile_thresholds, solve_shares
from chiasm.cost import sample_inputs
from chiasm.cost.exits import exit_flops
from chiasm.data.reach import Episodes, demonstrate
from chiasm.decoding.early_exit import EarlyActing, exit_layers
from chiasm.evaluation.interval import student
from chiasm.heads import ActionHead, Policy
from chiasm.model import Model
from chiasm.objectives import Imitation
from chiasm.spec import Fixed, registered
from chiasm.stream import Inputs, TokenTable
from chiasm.training.exits import exit_features, exit_loss

SIZE, STEPS, WORDS = (32, 32), 8, 3


def main() -> None:
    """Teaches, measures, prints, writes."""
    options = _options()
    torch.set_num_threads(options.threads)
    found = [_measured(seed, options) for seed in range(options.seeds)]
    budgets: list[dict[str, Any]] = []
    for at in range(len(found[0])):
        rows = [each[at] for each in found]
        gains = [row["fixed_error"] - row["early_error"] for row in rows]
        low, high = student(gains)
        means = {name: fmean(row[name] for row in rows) for name in rows[0]}
        budgets.append({**means, "gain": fmean(gains), "gain_low": low, "gain_high": high})
        print({name: round(value, 4) for name, value in budgets[-1].items()})
    content = {
        "metric": "RMS pose error on held-out episodes, early exit against a fixed exit",
        "better": "lower",
        "budgets": budgets,
        "by_seed": found,
        "interval": "Student's t over seeds, 95%, of the paired gains",
        "settings": {n: v for n, v in vars(options).items() if n not in ("out", "threads")},
    }
    recorded(__file__, options.out, content)


def _measured(seed: int, options: argparse.Namespace) -> list[dict[str, float]]:
    """Both errors at the FLOPs of every inner exit."""
    model = _taught(seed, options)
    known, asked = (demonstrate(64, STEPS, SIZE, seed=1000 + 2 * seed + new) for new in (0, 1))
    exits = exit_layers(model)
    costs = exit_flops(model.answers, exits, text=WORDS)
    _, _, distances = _run(model, known, [-1.0] * len(exits))
    found: list[dict[str, float]] = []
    for number in range(1, len(exits) - 1):
        budget = ExitBudget(average=costs[number])
        eta = quantile_thresholds(distances, solve_shares(costs, budget))
        early, taken, _ = _run(model, asked, eta)
        cut = [-1.0] * number + [torch.inf] * (len(exits) - number)
        fixed, _, _ = _run(model, asked, cut)
        spent = fmean(costs[each] for each in taken)
        found.append(
            {
                "fixed_layers": exits[number] + 1,
                "fixed_mflops": costs[number] / 1e6,
                "early_mflops": spent / 1e6,
                "fixed_error": fixed,
                "early_error": early,
            }
        )
    return found


def _taught(seed: int, options: argparse.Namespace) -> Model:
    nano = registered()["deer-vla"].at("nano")
    host = replace(nano.host, width=64, depth=6, heads=4, kv_heads=4, head_width=16, ff_width=128)
    host = replace(host, initial_std=0.125)
    head = ActionHead(layers=2, lstm_width=64)
    answers = replace(nano, views=Fixed(*SIZE), host=host, head=head)
    model = build(replace(answers, compression=EarlyExits(every=1)), seed=seed).train()
    own = torch.nn.ModuleList(Policy(head, host.width) for _ in exit_layers(model))
    adam = torch.optim.AdamW([*model.parameters(), *own.parameters()], lr=1e-3)
    generator = torch.Generator().manual_seed(seed)
    for update in range(options.updates):
        shown = demonstrate(options.batch, STEPS, SIZE, seed=10**6 * (seed + 1) + update)
        features = exit_features(model, _inputs(model, shown, range(STEPS)))
        features = features.unflatten(1, (options.batch, STEPS))
        policy = model.head.action
        loss = exit_loss(Imitation(), policy, [*own], features, shown.pose, shown.closed, generator)
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
    return model.eval()


def _run(
    model: Model, shown: Episodes, thresholds: Sequence[float]
) -> tuple[float, list[int], torch.Tensor]:
    """Error, the exit of every step, and distances where all exits ran."""
    acting = EarlyActing(model, thresholds)
    acted = [acting.step(_inputs(model, shown, [step])) for step in range(STEPS)]
    poses = torch.stack([each.pose for each in acted], 1)
    error = float((poses - shown.pose)[..., :2].square().mean().sqrt())
    taken = torch.cat([each.left.exit for each in acted]).tolist()
    deepest = min(each.left.distances.shape[1] for each in acted)
    return error, taken, torch.cat([each.left.distances[:, :deepest] for each in acted])


def _inputs(model: Model, shown: Episodes, steps: Sequence[int]) -> Inputs:
    """The pictures of these steps, an episode's one after another, each with its word."""
    one = sample_inputs(model.answers, text=WORDS, image_size=SIZE)
    pictures = shown.images[:, list(steps)].flatten(0, 1)
    count = len(pictures)
    words = shown.word.repeat_interleave(len(steps))
    assert one.memory is not None

    def table(of: TokenTable) -> TokenTable:
        columns = {name: value.expand(count, *value.shape[1:]) for name, value in of.columns()}
        return TokenTable(**columns)

    return replace(
        one,
        ids=torch.stack([torch.full_like(words, 1), words + 2, torch.full_like(words, 5)], 1),
        table=table(one.table),
        source=one.source.expand(count, -1),
        images=pictures,
        image_valid=None,
        owners=torch.arange(count).unsqueeze(1),
        memory=table(one.memory),
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--updates", type=int, default=400)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("results/early-exit/reach.json"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
