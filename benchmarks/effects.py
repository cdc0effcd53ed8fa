"""Effects of published systems against their baselines, taught from scratch on two cores.

Every pair differs in the answers that it names, and in nothing else; see `chiasm.evaluation.effect`
for how an outcome follows. Arms that are finished are not run again.

    python benchmarks/effects.py                     # every pair, seeds 0 to 2
    python benchmarks/effects.py sail-mask --seeds 5
"""

import argparse
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from chiasm.errors import Misuse
from chiasm.evaluation.effect import Pair, measure
from chiasm.spec import Scale, System, registered


def altered(slug: str, name: str, **answers: Any) -> System:
    """A registered system under another name, with some of its nano answers replaced."""
    of = registered()[slug]
    nano = replace(of.at(Scale.NANO), **answers)
    return replace(of, slug=name, scales={**of.scales, Scale.NANO: nano})


def pairs() -> dict[str, Pair]:
    """The measurements by name."""
    known = registered()
    llava = known["llava-1.5"]
    plain = dict(baseline=llava, data="easy-vqa", samples=6_000, asked=600)
    found = [
        Pair(
            name="storm-mlp",
            system=known["storm"],
            claim="a temporal scan before the language model helps where frames matter; on single "
            "pictures it should not hurt",
            differs="a bidirectional scan over the tokens between MLP and host",
            **plain,
        ),
    ]
    return {pair.name: pair for pair in found}


def main() -> int:
    options = _options()
    torch.set_num_threads(options.threads)
    known = pairs()
    for name in options.pairs or known:
        if name not in known:
            raise Misuse(f"no pair is called {name!r}; there are {', '.join(known)}")
        result = measure(known[name], range(options.seeds), options.runs, tell=print)
        out = options.results / known[name].system.slug / f"{name}.json"
        out.parent.mkdir(parents=True, exist_ok=True)
        new = out.with_suffix(".new")
        new.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        os.replace(new, out)
        print(
            f"{name}: {result['outcome']}, {100 * result['difference']:+.2f} points "
            f"({100 * result['difference_low']:+.2f} to {100 * result['difference_high']:+.2f})"
        )
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pairs", nargs="*", help="names of pairs; all of them by default")
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 0")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=Path, default=Path("runs/effects"))
    parser.add_argument("--results", type=Path, default=Path("results"))
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
