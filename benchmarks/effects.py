"""Effects of published systems against their baselines, taught from scratch on two cores.

Every pair differs in the answers that it names, and in nothing else; see `chiasm.evaluation.effect`
for how an outcome follows. Arms that are finished are not run again.

    python benchmarks/effects.py                     # every pair, seeds 0 to 2
    python benchmarks/effects.py sail-mask --seeds 5
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from chiasm.connectors import MLP
from chiasm.errors import Misuse
from chiasm.evaluation.committed_files import write
from chiasm.evaluation.effect import Pair, measure
from chiasm.experts import SharedWeights
from chiasm.fusion import InSequence
from chiasm.lineages.single_stream import PREFIX
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
    joined = known["linear-clip-vizwiz"]
    kinds: Any = joined.at(Scale.NANO).head
    easy: dict[str, Any] = dict(data="easy-vqa", samples=4_000, asked=400)
    fewer: dict[str, Any] = dict(data="easy-vqa", samples=2_000, asked=200)
    scenes: dict[str, Any] = dict(data="scenes-relations", samples=2_000, asked=200)
    found = [
        Pair(
            name="against-a-projector",
            system=known["inverse-llava"],
            baseline=llava,
            claim="vision that joins the first layer's queries, keys and values gains on reasoning",
            differs="no projector; a F(v) inside the first layer's q, k and v",
            **easy,
        ),
        Pair(
            name="against-one-feed-forward",
            system=known["moiie"],
            baseline=llava,
            claim="experts within and between modalities beat one dense feed-forward",
            differs="four experts in every second layer, two a row",
            **easy,
        ),
        Pair(
            name="against-an-mlp",
            system=known["ml-mamba"],
            baseline=altered("ml-mamba", "ml-mamba-mlp", connector=MLP()),
            claim="a connector that scans both ways helps with left and right",
            differs="MSC in place of the two-layer MLP, before the same Mamba-2 host",
            **scenes,
        ),
        Pair(
            name="against-fast-alone",
            system=known["slow-fast"],
            baseline=altered("slow-fast", "fast-alone", fusion=InSequence()),
            claim="what pooling drops is found again through cross-attention to all tokens",
            differs="hybrid layers read the slow tokens beside the pooled ones in the sequence",
            **easy,
        ),
        Pair(
            name="against-concatenation",
            system=known["mplug-owl3"],
            baseline=llava,
            claim="a memory read inside a few layers matches concatenated image tokens",
            differs="image tokens stay out of the sequence; hyper attention reads them",
            **easy,
        ),
        Pair(
            name="against-no-mask",
            system=known["zorro"],
            baseline=altered("zorro", "zorro-unmasked", visibility=PREFIX),
            claim="streams kept pure cost no accuracy on the joint task",
            differs="the modality-pure rule; the baseline's rows all see each other",
            **easy,
        ),
        Pair(
            name="against-dense",
            system=known["moma"],
            baseline=altered("moma", "moma-dense", experts=SharedWeights()),
            claim="modality-aware experts learn more from the same samples and FLOPs",
            differs="four text and four image experts that choose their rows",
            **fewer,
        ),
        Pair(
            name="against-a-plain-mixture",
            system=known["smar"],
            baseline=altered("smar", "smar-free", experts=_unbanded(known["smar"])),
            claim="holding routing by modality within a band does not cost accuracy",
            differs="the penalty on the divergence of mean routing",
            **fewer,
        ),
        Pair(
            name="against-one-dense-model",
            system=known["uni-moe"],
            baseline=llava,
            claim="four experts, two a row, beat one feed-forward on mixed data",
            differs="mixtures of experts in every layer",
            **easy,
        ),
        Pair(
            name="against-no-reads",
            system=known["mudaif"],
            baseline=altered("mudaif", "mudaif-plain", fusion=InSequence()),
            claim="words and patches that read each other gain over a plain decoder of patches",
            differs="gated reads between words and patches before every second layer",
            **easy,
        ),
        Pair(
            name="against-one-dense-decoder",
            system=known["nmm-scaling"],
            baseline=altered("nmm-scaling", "native-dense", experts=SharedWeights()),
            claim="eight experts, one a row, beat a dense decoder that costs as much",
            differs="eight experts a layer from one router for all rows",
            **fewer,
        ),
        Pair(
            name="against-no-loss-of-kinds",
            system=joined,
            baseline=altered(joined.slug, "no-kinds", head=replace(kinds, kind_weight=0.0)),
            claim="without the loss of kinds, answers of disjoint kinds are told worse",
            differs="the kind of the answer is taught too",
            **easy,
        ),
    ]
    return {pair.name: pair for pair in found}


def _unbanded(of: System) -> Any:
    """A mixture's answer with the balance penalty alone."""
    experts: Any = of.at(Scale.NANO).experts
    router = replace(experts.router, penalties=experts.router.penalties[:1])
    return replace(experts, router=router)


def main() -> int:
    options = _options()
    torch.set_num_threads(options.threads)
    known = pairs()
    for name in options.pairs or known:
        if name not in known:
            raise Misuse(f"no pair is called {name!r}; there are {', '.join(known)}")
        result = measure(known[name], range(options.seeds), options.runs, tell=print)
        out = options.results / known[name].system.slug / f"{name}.json"
        write(out, result)
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
