"""The models on which compression is judged: LLaVA-1.5 with enough visual tokens to lose some.

Both scales keep the system's answers but for what reductions need. `nano` has patches of 8 pixels
(64 visual tokens), two encoder blocks with attention maps, and 12 decoder layers, so that a method
that begins before the second layer can still meet a budget of a tenth. `smol` is the packaged
SmolLM2-135M behind EfficientNet-Lite0: 49 visual tokens, no attention maps in the encoder.

    python benchmarks/compress_recipe.py nano --seeds 0 1 2 --out runs/compress
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from chiasm.spec import Answers, Scale, System, system
from chiasm.training import Budget, Options, train

PICTURES = {"nano": 16000, "smol": 800}
BATCH = {"nano": 16, "smol": 4}
DATA = "easy-vqa"


def _nano(answers: Answers) -> Answers:
    encoder: Any = answers.encoder
    encoder = replace(encoder, patch=8, depth=2, stem=(32, 64, 128))
    return replace(answers, encoder=encoder, host=replace(answers.host, depth=12))


def _smol(answers: Answers) -> Answers:
    """Connector and host learn from the first step, on few pictures a step."""
    (_, adaptation) = answers.teaching.stages
    stage = replace(adaptation, share=1.0, batch=4, questions=6, rates=(("connector", 5.0),))
    return replace(answers, teaching=replace(answers.teaching, stages=(stage,)))


def recipe() -> System:
    """LLaVA-1.5 with these answers at nano and smol scale."""
    base = system("llava-1.5")
    scales = dict(base.scales)
    scales[Scale.NANO] = _nano(scales[Scale.NANO])
    scales[Scale.SMOL] = _smol(scales[Scale.SMOL])
    return replace(base, scales=scales)


def taught(scale: str, seed: int, out: Path, threads: int | None = None) -> Path:
    """The checkpoint folder of a seed; a run that was stopped goes on, a finished one is kept."""
    return train(
        recipe(),
        scale,
        DATA,
        Budget(samples=PICTURES[scale]),
        out / f"{scale}-{seed}",
        seed=seed,
        options=Options(batch=BATCH[scale]),
        threads=threads,
        resume=(out / f"{scale}-{seed}").exists(),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("scale", choices=sorted(PICTURES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("runs/compress"))
    parser.add_argument("--threads", type=int, default=None)
    told = parser.parse_args()
    for seed in told.seeds:
        taught(told.scale, seed, told.out, told.threads)


if __name__ == "__main__":
    main()
