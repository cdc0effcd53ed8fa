"""What a step costs that leaves at each exit."""

from collections.abc import Sequence
from dataclasses import replace

from chiasm.assemble import build
from chiasm.cost.count import BYTES, count
from chiasm.spec import Answers


def exit_flops(answers: Answers, layers: Sequence[int], *, text: int = 64) -> tuple[int, ...]:
    """FLOPs of the decoder's prefill that ends behind each of these layers."""
    shorter = [replace(answers, host=replace(answers.host, depth=layer + 1)) for layer in layers]
    return tuple(count(each, text=text).part_flops("decoder") for each in shorter)


def exit_bytes(answers: Answers, layers: Sequence[int], *, dtype: str = "bf16") -> tuple[int, ...]:
    """Bytes of the decoder layers, slots included, that a robot holds which never goes deeper."""
    stack = build(answers, device="meta", seed=None).decoder.stack
    each = [0] * stack.depth
    for name, parameter in stack.named_parameters():
        slot, layer, *_ = name.split(".")
        if layer.isdigit() and slot != "experts":
            each[int(layer)] += parameter.numel()
    return tuple(BYTES[dtype] * sum(each[: layer + 1]) for layer in layers)
