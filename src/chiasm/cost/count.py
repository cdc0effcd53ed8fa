"""`count`: the bill of a system for one prompt about one image, without allocating its weights."""

from chiasm.build import build
from chiasm.cost.activations import peak_bytes
from chiasm.cost.bill import Bill
from chiasm.cost.geometry import Prompt, make_prompt
from chiasm.cost.parameters import count_parameters
from chiasm.cost.prefill import decode_lines, prefill_lines
from chiasm.cost.visible import chosen
from chiasm.errors import Misuse
from chiasm.model import Model
from chiasm.spec import Answers, Scale, Size, System, system

IMAGE: Size = (336, 336)
"""The image that is counted when none is named."""
BYTES = {"fp32": 4, "bf16": 2, "fp16": 2}
"""Bytes of a number, by the name of its type."""


def count(
    what: System | Answers | str,
    scale: Scale | str = Scale.PAPER,
    *,
    visual: int | None = None,
    text: int = 64,
    image_size: Size | None = None,
    dtype: str = "bf16",
    name: str | None = None,
) -> Bill:
    """Parameters, multiply-adds and bytes of a system, a slug or bare answers.

    `visual` sets how many tokens the encoder gives the connector (0: no image), whatever the image;
    by default the geometry of `image_size` (height, width) says it. `dtype` is the type of weights
    and activations. `name` is what the bill calls bare answers.

    Raises:
        Misuse: unknown system, scale or type, or a count out of range.
    """
    chosen_system = system(what) if isinstance(what, str) else what
    if isinstance(chosen_system, System):
        answers, slug = answers_at(chosen_system, scale), chosen_system.slug
    else:
        answers, slug = chosen_system, "answers"
    if dtype not in BYTES:
        raise Misuse(f"no number type is called {dtype!r}; choose {', '.join(BYTES)}")
    image = IMAGE if image_size is None else image_size
    prompt = make_prompt(answers, text, visual, image)
    model = build(answers, device="meta", seed=None)
    parameters, size = count_parameters(model), BYTES[dtype]
    kept = size * kv_numbers(model, prompt)
    return Bill(
        system=slug if name is None else name,
        scale=str(scale),
        visual_tokens=prompt.features,
        text_tokens=text,
        rows=prompt.rows,
        image=image,
        dtype=dtype,
        parameters=parameters,
        prefill=prefill_lines(model, prompt),
        decode=decode_lines(model, prompt),
        kv_bytes=kept,
        weight_bytes=parameters.total * size,
        peak_bytes_predicted=peak_bytes(model, prompt, size, parameters.total * size, kept),
    )


def answers_at(chosen_system: System, scale: Scale | str) -> Answers:
    """The answers at a scale; Misuse, naming the scales there are, if it has none."""
    stated = [each.value for each in Scale if each in chosen_system.scales]
    if str(scale) not in stated:
        raise Misuse(
            f"{chosen_system.slug} has no scale {str(scale)!r}; it states {', '.join(stated)}"
        )
    return chosen_system.at(scale)


def kv_numbers(model: Model, prompt: Prompt) -> int:
    """Keys and values that a cache holds after the prompt, memories included."""
    answers = model.answers
    host, plan = answers.host, answers.fusion.plan
    rows = chosen(prompt.table, plan.key_value).shape[1]
    own = 2 * host.depth * host.kv_heads * host.head_width * rows
    return own + answers.fusion.cached(host, prompt.geometry.tokens)
