"""Prefill time of in-sequence, tied-memory, half-path and pre-fused decoders, side by side.

Paper-like proportions at a size that two CPU threads can run: a random Llama-type decoder (by
default 12 layers of width 1,024, feed-forward 2.69 times as wide), features of width 1,024, 1,024
visual and 64 text tokens. The features are given, so that no encoder is timed; its time is measured
apart, for one of the decoder's proportions (CLIP-L holds 4.5% of Vicuna-7B's parameters). Systems
take turns, A, B, C, A, B, C, …, and medians are compared.

    python benchmarks/prefill.py
    python benchmarks/prefill.py --layers 6 --width 768 --repeats 3 --out /tmp/prefill.json
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
from recording import recorded
from torch import Tensor, nn
from waiting import asleep, thread_waiting

from chiasm.assemble import build
from chiasm.cost import count, sample_inputs
from chiasm.cost.latency import samples
from chiasm.encoders import VisionTransformer
from chiasm.model import Model
from chiasm.spec import Answers, Fixed, Host, Scale, Size, Work, registered
from chiasm.stream import Features

SYSTEMS = ("llava-1.5", "saisa", "ee-mllm", "llava-mini")
FASTER = 2.0
"""How many times faster than llava-1.5 saisa must be."""


@dataclass(frozen=True, kw_only=True)
class GivenFeatures:
    """An encoder whose output is given: `side x side` random features of `width` numbers."""

    side: int
    width: int

    def grid(self, size: Size) -> tuple[int, int]:
        return self.side, self.side

    def build(self) -> nn.Module:
        return Given(self)

    def work(self, size: Size) -> Sequence[Work]:
        return ()


class Given(nn.Module):
    """Hands on the features, whatever the pixels."""

    features: Tensor

    def __init__(self, config: GivenFeatures) -> None:
        super().__init__()
        self.config = config
        features = torch.randn(1, config.side**2, config.width)
        self.register_buffer("features", features, persistent=False)

    def forward(self, images: Tensor, image_valid: Tensor | None = None) -> Features:
        tokens = self.features.expand(images.shape[0], -1, -1)
        return Features(tokens, (self.config.side, self.config.side))


def main() -> int:
    """Measures, prints, writes; 1 if saisa is not `FASTER` than llava-1.5."""
    options = _options()
    asleep()
    torch.set_num_threads(options.threads)
    host = Host(
        vocabulary=32_000,
        width=options.width,
        depth=options.layers,
        heads=options.width // 64,
        kv_heads=options.width // 64,
        head_width=64,
        ff_width=round(2.69 * options.width),
        tied_head=True,
    )
    known = registered()
    answers = {name: _resized(known[name].at(Scale.NANO), host, options) for name in SYSTEMS}
    models: dict[str, Model] = {}
    for name, each in answers.items():
        models[name] = build(each, seed=options.seed).eval()
    inputs = {
        name: sample_inputs(each, text=options.text, seed=options.seed)
        for name, each in answers.items()
    }
    counts = {name: count(each, text=options.text, name=name) for name, each in answers.items()}
    times = samples(models, inputs, options.repeats)
    medians = {name: median(taken) for name, taken in times.items()}
    encoder = _encoder_seconds(options)
    first = SYSTEMS[0]
    print(
        f"{options.side**2} visual + {options.text} text tokens, {host.depth} layers of width "
        f"{host.width}, {options.threads} threads, median of {options.repeats}, no encoder"
    )
    print(f"{'system':<12}{'prefill ms':>11}{'times faster':>14}{'counted':>9}{'GFLOPs':>9}")
    for name, seconds in medians.items():
        counted = counts[first].prefill_flops / counts[name].prefill_flops
        print(
            f"{name:<12}{1e3 * seconds:>11.1f}{medians[first] / seconds:>14.2f}{counted:>9.2f}"
            f"{counts[name].prefill_flops / 1e9:>9.1f}"
        )
    print(f"an encoder of these proportions: {1e3 * encoder:.1f} ms more for each; then", end=" ")
    with_encoder = {name: (medians[first] + encoder) / (s + encoder) for name, s in medians.items()}
    print(", ".join(f"{name} {ratio:.2f}" for name, ratio in with_encoder.items()))
    faster = medians[first] / medians["saisa"]
    _write(
        options,
        {
            "metric": "median seconds of a prefill, encoder excluded",
            "baseline": first,
            "seconds": medians,
            "samples": times,
            "times_faster": {name: medians[first] / s for name, s in medians.items()},
            "times_faster_with_encoder": with_encoder,
            "encoder_seconds": encoder,
            "counted_prefill_flops": {n: bill.prefill_flops for n, bill in counts.items()},
            "counted_prefill_flops_executed": {
                n: bill.prefill_flops_executed for n, bill in counts.items()
            },
            "required": f"saisa at least {FASTER:g} times faster",
            "holds": faster >= FASTER,
        },
    )
    return 0 if faster >= FASTER else 1


def _resized(answers: Answers, host: Host, options: argparse.Namespace) -> Answers:
    """A system's answers on a mid-size host, its features given."""
    encoder = GivenFeatures(side=options.side, width=options.features)
    return replace(answers, host=host, encoder=encoder, views=Fixed(2, 2))


def _encoder_seconds(options: argparse.Namespace) -> float:
    """One ViT layer of CLIP-L's width over as many patches: 8% of the default decoder's size."""
    width = options.features
    answer = VisionTransformer(
        patch=14, width=width, depth=1, heads=width // 64, ff_width=4 * width
    )
    torch.manual_seed(options.seed)
    encoder = answer.build().eval()
    images = torch.randn(1, 3, 14 * options.side, 14 * options.side)
    taken = []
    with torch.inference_mode():
        for _ in range(options.repeats + 1):
            start = time.perf_counter()
            encoder(images)
            taken.append(time.perf_counter() - start)
    return median(taken[1:])


def _write(options: argparse.Namespace, found: dict[str, Any]) -> None:
    record = {
        "seed": options.seed,
        "thread_waiting": thread_waiting(),
        "setting": {
            "visual_tokens": options.side**2,
            "text_tokens": options.text,
            "layers": options.layers,
            "width": options.width,
            "features": options.features,
            "repeats": options.repeats,
        },
        **found,
    }
    recorded(__file__, options.out, record)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=1024, help="the decoder's; a multiple of 64")
    parser.add_argument("--features", type=int, default=1024, help="width of the visual features")
    parser.add_argument("--side", type=int, default=32, help="side x side visual tokens")
    parser.add_argument("--text", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="default: results/prefill/MACHINE.json")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
