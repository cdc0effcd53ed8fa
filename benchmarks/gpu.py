"""Prefill, decoding, cache and peak of paper-sized models, full, compressed and fused, on a GPU.

Random weights of published sizes in bfloat16, drawn on the device: transformers' own LLaVA-1.5-7B,
LLaVA-NeXT-7B, Qwen2-VL-7B and LLaVA-OneVision-7B (64 frames), full (SDPA, and FlashAttention where
it is installed) and under every registered compression method, hooks and encoder included; and our
fusion systems beside the same parts with all tokens in the sequence. Contenders take turns, A, B,
C, A, B, C, …, timed by CUDA events; medians are compared, and stand beside the papers' headlines.
A part stops taking turns after `--minutes`, so that it ends within nine.

    python benchmarks/gpu.py --list
    PYTHONPATH=src python benchmarks/gpu.py --part llava-next-7b
    PYTHONPATH=src python benchmarks/gpu.py --part all --device cpu --tiny --repeats 1 --new 3
"""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import stand_ins  # noqa: F401 - before the engine, which imports what may be missing
import torch
from device_timer import Device
from gpu_contenders import FUSED, Contender, budgets, compressed, full, fused
from gpu_hosts import CASES, build_host, has_flash, prompt_of
from recording import recorded

from chiasm.errors import ChiasmError, Misuse
from chiasm.spec import Scale

ROOT = Path(__file__).parent.parent
HEADLINES: Mapping[tuple[str, str], tuple[str, str, float]] = {
    ("llava-next-7b", "vscan"): ("2.91x prefill at 320 of 2,880 tokens", "prefill", 2.91),
    ("llava-onevision-7b-video", "vflowopt"): ("3.8x inference, 90% pruned", "whole", 3.8),
    ("llava-1.5-7b", "recoverable-compression"): ("30.3 to 9.2 ms: 3.3x", "prefill", 0),
    ("llava-1.5-7b", "g-search"): ("over 2x without a drop", "whole", 0),
    ("llava-onevision-7b-video", "aim"): ("6.7x fewer prefill FLOPs at 32 frames", "prefill", 0),
    ("saisa", "saisa"): ("2.98x fewer FLOPs at 576", "prefill", 2.5),
    ("saisa-2880", "saisa"): ("more at 2,880 than at 576", "prefill", 2.5),
    ("ee-mllm", "ee-mllm"): ("277 to 79 ms on an H800: 3.5x", "prefill", 0),
    ("llava-mini", "llava-mini"): ("77% fewer FLOPs: 4.45x; KV 576x less", "prefill", 0),
    ("slow-fast", "slow-fast"): ("128 frames at the compute of 16, +3%", "prefill", 0),
}
"""By part and contender: what the paper says, of which time, and the least that is required."""
OWN_BUDGETS: Mapping[str, Mapping[str, float]] = {"llava-next-7b": {"vscan": 320 / 2880}}
"""Budgets at which papers measured, where they are not `--keep`."""


@dataclass
class Turns:
    """What was measured of a contender, turn by turn."""

    prefill: list[float] = field(default_factory=list[float])
    whole: list[float] = field(default_factory=list[float])
    kv_bytes: int = 0
    tokens: float = 0.0
    peak_bytes: int | None = None


def main() -> int:
    """Measures parts, prints and writes each; 1 if a part fails or misses what is required."""
    options = _options()
    if options.list:
        for name, part in {**CASES, **FUSED}.items():
            print(f"{name:<26}{part.said}")
        return 0
    names = [*CASES, *FUSED] if options.part == "all" else options.part.split(",")
    if unknown := [name for name in names if name not in {**CASES, **FUSED}]:
        print(f"no part is called {unknown[0]!r}; --list names them", file=sys.stderr)
        return 2
    device, worst = Device(options.device), 0
    for name in names:
        try:
            worst = max(worst, _part(name, device, options))
        except (ChiasmError, torch.OutOfMemoryError) as error:
            print(f"{name}: {' '.join(str(error).split())[:300]}", file=sys.stderr)
            worst = 1
        device.empty()
    return worst


def _part(name: str, device: Device, options: argparse.Namespace) -> int:
    started = time.monotonic()
    refused: dict[str, str] = {}
    encoder = None
    if name in CASES:
        contenders, refused, encoder = _hosted(name, device, options)
    else:
        scale = Scale.NANO if options.tiny else Scale.PAPER
        contenders = fused(
            FUSED[name],
            scale=scale,
            text=options.text,
            new=options.new,
            device=options.device,
            seed=options.seed,
        )
    first = contenders[0].name
    turns = _in_turns(contenders, device, options, started, refused)
    if first not in turns:
        raise Misuse(f"{name}: the full model could not be run: {refused[first]}")
    rows = _rows(name, turns, options)
    _print(name, rows, encoder, refused, device)
    measured = device.cuda and not options.tiny
    missed = [
        r["name"] for r in rows if measured and r["least"] and r["headline_ratio"] < r["least"]
    ]
    slower = [r["name"] for r in rows[1:] if r["prefill_times_faster"] < 1]
    record = {
        "part": name,
        "setting": ({**CASES, **FUSED})[name].said if not options.tiny else "tiny sizes",
        "metric": "median seconds; bytes of the cache behind the prompt; bytes at the peak",
        "baseline": rows[0]["name"],
        "encoder_seconds": encoder,
        "rows": rows,
        "refused": refused,
        "missed": missed,
        "slower_than_full": slower,
    }
    _write(name, record, device, options)
    return 1 if missed else 0


def _hosted(
    name: str, device: Device, options: argparse.Namespace
) -> tuple[list[Contender], dict[str, str], float]:
    """A transformers host in all ways, and its encoder's median seconds."""
    case = CASES[name]
    model = build_host(case, tiny=options.tiny, device=options.device, seed=options.seed)
    prompt = prompt_of(case, model, text=options.text, tiny=options.tiny, seed=options.seed)
    attentions = ["sdpa"] + (["flash_attention_2"] if device.cuda and has_flash() else [])
    plain = [full(model, prompt, options.new, attention=each) for each in attentions]
    keep = budgets(options.keep, OWN_BUDGETS.get(name, {}), options.methods)
    reduced, refused = compressed(model, prompt, options.new, keep)
    core: Any = model.model
    # What the pixels of a clip are called differs between releases; they come first.
    pixels = next(key for key in prompt if key.startswith("pixel"))
    sizes = {key: prompt[key] for key in prompt if key.startswith("image_")}
    encode = core.get_video_features if pixels.endswith("videos") else core.get_image_features
    with torch.inference_mode():
        taken = [device.timed(lambda: encode(prompt[pixels], **sizes))[0] for _ in range(4)]
    return [*plain, *reduced], refused, median(taken[1:])


def _in_turns(
    contenders: Sequence[Contender],
    device: Device,
    options: argparse.Namespace,
    started: float,
    refused: dict[str, str],
) -> dict[str, Turns]:
    """Every contender once unmeasured, with its peak; then turns, until repeats or time run out."""
    turns: dict[str, Turns] = {}
    for one in contenders:
        try:
            found = Turns(kv_bytes=one.prefill(), tokens=one.tokens())
            found.peak_bytes = device.peak(one.answer)
        except (ChiasmError, torch.OutOfMemoryError) as error:
            refused[one.name] = " ".join(str(error).split())[:200]
            device.empty()
            continue
        turns[one.name] = found
    for turn in range(options.repeats):
        if turn and time.monotonic() - started > 60 * options.minutes:
            break
        for one in contenders:
            if one.name in turns:
                turns[one.name].prefill.append(device.timed(one.prefill)[0])
                turns[one.name].whole.append(device.timed(one.answer)[0])
    return turns


def _rows(
    part: str, turns: Mapping[str, Turns], options: argparse.Namespace
) -> list[dict[str, Any]]:
    """Medians, and ratios to the first contender."""
    first = next(iter(turns.values()))
    rows: list[dict[str, Any]] = []
    for name, of in turns.items():
        prefill, whole = median(of.prefill), median(of.whole)
        decode = (whole - prefill) / max(1, options.new - 1)
        said, which, least = HEADLINES.get((part, name), ("", "prefill", 0.0))
        ratios = {
            "prefill": median(first.prefill) / prefill,
            "whole": median(first.whole) / whole,
        }
        rows.append(
            {
                "name": name,
                "tokens": of.tokens,
                "prefill_seconds": prefill,
                "prefill_times_faster": ratios["prefill"],
                "whole_seconds": whole,
                "whole_times_faster": ratios["whole"],
                "decode_tokens_per_second": 1 / decode if decode > 0 else None,
                "kv_bytes": of.kv_bytes,
                "peak_bytes": of.peak_bytes,
                "headline": said,
                "headline_ratio": ratios[which],
                "least": least,
                "turns": {"prefill": of.prefill, "whole": of.whole},
            }
        )
    return rows


def _print(
    name: str,
    rows: Sequence[Mapping[str, Any]],
    encoder: float | None,
    refused: Mapping[str, str],
    device: Device,
) -> None:
    times = len(rows[0]["turns"]["prefill"])
    timed = "" if encoder is None else f"; encoder {1e3 * encoder:.1f} ms of each prefill"
    print(f"\n{name} on {device.label}: median of {times}{timed}")
    print(
        f"{'':<28}{'tokens':>9}{'prefill ms':>12}{'x':>7}{'whole ms':>11}{'x':>7}{'tok/s':>8}"
        f"{'KV MB':>9}{'peak GB':>9}  paper"
    )
    for row in rows:
        speed, peak = row["decode_tokens_per_second"], row["peak_bytes"]
        print(
            f"{row['name']:<28}{row['tokens']:>9.1f}{1e3 * row['prefill_seconds']:>12.1f}"
            f"{row['prefill_times_faster']:>7.2f}{1e3 * row['whole_seconds']:>11.1f}"
            f"{row['whole_times_faster']:>7.2f}{'-' if speed is None else f'{speed:.1f}':>8}"
            f"{row['kv_bytes'] / 1e6:>9.2f}{'-' if peak is None else f'{peak / 1e9:.2f}':>9}"
            f"  {row['headline']}"
        )
    for method, why in refused.items():
        print(f"{method:<28}{why[:100]}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--part", default="all", help="parts, by comma, or all")
    parser.add_argument("--list", action="store_true", help="name the parts")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="scaled down, to try it on a CPU")
    parser.add_argument("--methods", nargs="+", help="compression methods; default: all")
    parser.add_argument("--keep", type=float, default=0.1)
    parser.add_argument("--text", type=int, default=64)
    parser.add_argument("--new", type=int, default=64, help="tokens decoded")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--minutes", type=float, default=7.0, help="after which no turn begins")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "gpu", help="a folder")
    return parser.parse_args()


def _write(
    name: str, found: Mapping[str, Any], device: Device, options: argparse.Namespace
) -> None:
    record = {
        "seed": options.seed,
        "device": device.label,
        **{key: getattr(options, key) for key in ("text", "new", "keep", "repeats", "tiny")},
        **found,
    }
    recorded(__file__, options.out / f"{name}.json", record)


if __name__ == "__main__":
    sys.exit(main())
