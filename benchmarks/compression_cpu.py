"""Prefill time of every compression method on two CPU threads, beside its FLOPs.

A mid-size random LLaVA of transformers (by default a decoder of 12 layers of width 1,024 and a
tower of its proportions) reads two pictures of 576 tokens and 64 text tokens: full, and under every
registered method, hooks and encoder included. Contenders take turns, A, B, C, A, B, C, …, and
medians are compared. FLOPs are those of the encoder (torch's counter) and of the decoder's layers
(`chiasm.cost.reduced`, for the tokens that were alive in each); what a method multiplies itself is
left out, so that it shows as time. In further turns the method's own steps are timed apart: looks
at the encoder's blocks, what is made of them, looks at the decoder, and the choice itself. Where
the speed-up is below `SHARE` of the FLOPs ratio, the table names what ate most of the difference.

    python benchmarks/compression_cpu.py
    python benchmarks/compression_cpu.py --width 64 --layers 8 --repeats 1 --out /tmp/c.json
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import torch
import transformers as library
from gpu_contenders import Contender, budgets, compressed, full
from recording import recorded
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from waiting import asleep, thread_waiting

from chiasm.compressing.looking import Looking
from chiasm.compressing.showing import Shown
from chiasm.compression.reducer import Reducer
from chiasm.cost.reduced import prefill_flops
from chiasm.hub.hosts import host_of

# Its configuration classes are typed too narrowly for keywords in a dict.
transformers: Any = library
PATCH, IMAGE, PICTURES = 14, 10, 2
SHARE = 0.7
"""Of its FLOPs ratio a method's speed-up is to be at least so much."""
STEPS: Mapping[str, tuple[type, str]] = {
    "encoder attention": (Looking, "watch"),
    "maps of tokens": (Looking, "items"),
    "scoring rows": (Shown, "of"),
    "choosing": (Reducer, "reduce"),
}
"""What a method does besides the model's own work, by the step that does it."""


def main() -> int:
    """Measures, prints, writes; 1 if a method is slow and nothing that was timed says why."""
    options = _options()
    asleep()
    torch.set_num_threads(options.threads)
    model = _model(options)
    prompt = _prompt(model, options)
    keep = budgets(options.keep, {}, options.methods)
    reduced, refused = compressed(model, prompt, 1, keep)
    contenders = [full(model, prompt, 1, attention="sdpa"), *reduced]
    encode = _encoder(model, prompt)
    taken: dict[str, list[float]] = {one.name: [] for one in contenders}
    encoders: list[float] = []
    for turn in range(1 + options.repeats):
        for one in contenders:
            seconds = _seconds(one.prefill)
            if turn:
                taken[one.name].append(seconds)
        if turn:
            encoders.append(_seconds(encode))
    with FlopCounterMode(display=False) as counter:
        encode()
    encoder = {"seconds": median(encoders), "flops": counter.get_total_flops()}
    rows = _rows(contenders, taken, encoder, model, options)
    _print(rows, encoder, refused, options)
    unexplained = [row["name"] for row in rows if row["short"] and not row["eaten_by"]]
    _write(
        options,
        {
            "metric": "median seconds of a prefill, encoder included",
            "baseline": rows[0]["name"],
            "encoder": encoder,
            "rows": rows,
            "refused": refused,
            "required": f"a speed-up of {SHARE:g} of the FLOPs ratio, or what eats it",
            "short": [row["name"] for row in rows if row["short"]],
            "holds": not unexplained,
        },
    )
    return 1 if unexplained else 0


def _model(options: argparse.Namespace) -> Any:
    heads, tower = max(1, options.width // 64), options.width // 4
    text = transformers.LlamaConfig(
        vocab_size=options.vocabulary,
        hidden_size=options.width,
        intermediate_size=round(2.69 * options.width),
        num_hidden_layers=options.layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=4096,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    vision = transformers.CLIPVisionConfig(
        hidden_size=tower,
        intermediate_size=4 * tower,
        num_hidden_layers=options.blocks,
        num_attention_heads=max(1, tower // 64),
        image_size=options.side,
        patch_size=PATCH,
    )
    torch.manual_seed(options.seed)
    config = transformers.LlavaConfig(
        vision_config=vision, text_config=text, image_token_index=IMAGE
    )
    model = transformers.LlavaForConditionalGeneration._from_config(
        config, attn_implementation="sdpa"
    )
    return model.eval().requires_grad_(False)


def _prompt(model: Any, options: argparse.Namespace) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(options.seed)
    words = torch.randint(20, 60, (options.text,), generator=generator).tolist()
    each = [IMAGE] * (options.side // PATCH) ** 2
    ids = torch.tensor([[words[0], *each, words[1], *each, *words[2:]]])
    pixels = torch.randn(PICTURES, 3, options.side, options.side, generator=generator)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "pixel_values": pixels}


def _encoder(model: Any, prompt: Mapping[str, torch.Tensor]) -> Callable[[], object]:
    core: Any = model.model

    @torch.inference_mode()
    def encode() -> object:
        return core.get_image_features(pixel_values=prompt["pixel_values"])

    return encode


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


@contextmanager
def _timed_steps() -> Iterator[dict[str, float]]:
    """Seconds spent in each of `STEPS` while entered."""
    spent = dict.fromkeys(STEPS, 0.0)
    plain = {name: getattr(of, method) for name, (of, method) in STEPS.items()}

    def timed(name: str) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return plain[name](*args, **kwargs)
            finally:
                spent[name] += time.perf_counter() - start

        return run

    try:
        for name, (of, method) in STEPS.items():
            setattr(of, method, timed(name))
        yield spent
    finally:
        for name, (of, method) in STEPS.items():
            setattr(of, method, plain[name])


def _rows(
    contenders: list[Contender],
    taken: Mapping[str, list[float]],
    encoder: Mapping[str, float],
    model: nn.Module,
    options: argparse.Namespace,
) -> list[dict[str, Any]]:
    host = host_of(model.config.text_config, tied_head=False)  # type: ignore[union-attr]
    whole = [round(contenders[0].tokens())] * host.depth
    dense = prefill_flops(host, whole, text=options.text)
    first = median(taken[contenders[0].name])
    rows: list[dict[str, Any]] = []
    for one in contenders:
        turns: list[dict[str, float]] = []
        for _ in range(options.repeats):
            with _timed_steps() as spent:
                one.prefill()
            turns.append(spent)
        spent = {name: median(turn[name] for turn in turns) for name in STEPS}
        seconds = median(taken[one.name])
        alive = one.alive() or whole
        decoder = prefill_flops(host, alive, text=options.text)
        ratio = (dense + encoder["flops"]) / (decoder + encoder["flops"])
        # Were the decoder as fast on few rows as on many, this would be its time.
        expected = (first - encoder["seconds"]) * decoder / dense
        rest = seconds - encoder["seconds"] - sum(spent.values()) - expected
        lost = {**spent, "smaller products and hooks": rest}
        most = max(lost, key=lambda name: lost[name])
        faster = first / seconds
        short = faster < SHARE * ratio
        rows.append(
            {
                "name": one.name,
                "tokens": sum(alive) / host.depth,
                "seconds": seconds,
                "times_faster": faster,
                "flops": decoder + encoder["flops"],
                "flops_ratio": ratio,
                "share": faster / ratio,
                "short": short,
                "lost_seconds": lost,
                "eaten_by": most if short else "",
                "samples": taken[one.name],
            }
        )
    return rows


def _print(
    rows: list[dict[str, Any]],
    encoder: Mapping[str, float],
    refused: Mapping[str, str],
    options: argparse.Namespace,
) -> None:
    tokens = PICTURES * (options.side // PATCH) ** 2
    print(
        f"{tokens} visual + {options.text} text tokens, {options.layers} layers of width "
        f"{options.width}, {options.threads} threads, keep {options.keep:g}, median of "
        f"{options.repeats}; encoder {1e3 * encoder['seconds']:.1f} ms of each"
    )
    heads = "".join(f"{name.split()[0]:>10}" for name in (*STEPS, "rest"))
    print(f"{'':<28}{'tokens':>8}{'ms':>9}{'faster':>8}{'FLOPs':>8}{'share':>7}{heads}  eaten by")
    for row in rows:
        lost = "".join(f"{1e3 * value:>10.1f}" for value in row["lost_seconds"].values())
        print(
            f"{row['name']:<28}{row['tokens']:>8.1f}{1e3 * row['seconds']:>9.1f}"
            f"{row['times_faster']:>8.2f}{row['flops_ratio']:>8.2f}{row['share']:>7.2f}{lost}"
            f"  {row['eaten_by']}"
        )
    for name, why in refused.items():
        print(f"{name:<28}{why[:100]}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--blocks", type=int, default=8, help="blocks of the tower")
    parser.add_argument("--side", type=int, default=336, help="pixels of each square picture")
    parser.add_argument("--text", type=int, default=64)
    parser.add_argument("--vocabulary", type=int, default=32_000)
    parser.add_argument("--keep", type=float, default=0.1)
    parser.add_argument("--methods", nargs="+", help="default: all")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def _write(options: argparse.Namespace, found: Mapping[str, Any]) -> None:
    kept = ("width", "layers", "blocks", "side", "text", "keep", "threads", "repeats")
    setting = {name: getattr(options, name) for name in kept}
    told = {"seed": options.seed, "thread_waiting": thread_waiting(), "setting": setting}
    recorded(__file__, options.out, {**told, **found})


if __name__ == "__main__":
    sys.exit(main())
