"""`count`: the bill of a system for one prompt about one image, without allocating its weights."""

from chiasm.assemble import build
from chiasm.backbone import Hierarchy
from chiasm.compression.stated import stated_methods
from chiasm.cost.activations import peak_bytes
from chiasm.cost.bill import Bill, Line
from chiasm.cost.compressed import compressed
from chiasm.cost.drawing import picture_step_flops
from chiasm.cost.geometry import Prompt, make_prompt
from chiasm.cost.parameters import count_parameters
from chiasm.cost.prefill import decode_lines, prefill_lines
from chiasm.cost.trunk import trunk
from chiasm.cost.visible import chosen
from chiasm.errors import Misuse
from chiasm.model import Model
from chiasm.spec import Answers, Scale, Size, System, scale_named, system

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
    compress: str | None = None,
) -> Bill:
    """Parameters, multiply-adds and bytes of a system, a slug or bare answers.

    `visual` sets how many tokens the encoder gives the connector (0: no image), whatever the image;
    by default the geometry of `image_size` (height, width) says it. `dtype` is the type of weights
    and activations. `name` is what the bill calls bare answers. `compress` states methods that
    take visual rows out (`chiasm.compression.stated`).

    Raises:
        Misuse: unknown system, scale, type or method, a count out of range, sizes that build no
            model, or a system whose visual rows cannot be taken out.
    """
    stated = system(what) if isinstance(what, str) else what
    if isinstance(stated, System):
        answers, slug = answers_at(stated, scale), stated.slug
    else:
        answers, slug = stated, "answers"
    if dtype not in BYTES:
        raise Misuse(f"no number type is called {dtype!r}; choose {', '.join(BYTES)}")
    image = IMAGE if image_size is None else image_size
    try:
        prompt = make_prompt(answers, text, visual, image)
    except ValueError as error:
        asked = f"{image[0]}x{image[1]} pixels" if visual is None else f"{visual} visual tokens"
        raise Misuse(f"{name or slug} cannot be counted at {asked}: {error}") from error
    model = _on_meta(answers)
    reducing: list[Line] = []
    if compress is not None:
        prompt, reducing = compressed(model, prompt, stated_methods(compress), name or slug)
    parameters, size = count_parameters(model), BYTES[dtype]
    kept = kv_bytes(model, prompt, size)
    return Bill(
        system=slug if name is None else name,
        scale=str(scale),
        visual_tokens=prompt.features,
        text_tokens=text,
        rows=prompt.rows,
        image=image,
        dtype=dtype,
        parameters=parameters,
        prefill=(*prefill_lines(model, prompt), *reducing),
        decode=decode_lines(model, prompt),
        kv_bytes=kept,
        weight_bytes=parameters.total * size,
        peak_bytes_predicted=peak_bytes(model, prompt, size, parameters.total * size, kept),
        picture_step_flops=picture_step_flops(model, prompt),
        compress=compress,
        rows_by_layer=tuple(table.shape[1] for table in prompt.cut),
    )


def _on_meta(answers: Answers) -> Model:
    try:
        return build(answers, device="meta", seed=None)
    except (RuntimeError, ValueError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise Misuse(f"these answers build no model: {first}; change a size") from error


def answers_at(chosen: System, scale: Scale | str) -> Answers:
    """The answers at a scale; Misuse, naming the scales there are, if it has none."""
    wanted = scale_named(scale)
    if wanted not in chosen.scales:
        raise Misuse(f"{chosen.slug} states no {wanted} scale, only {', '.join(chosen.scales)}")
    return chosen.at(wanted)


def kv_bytes(model: Model, prompt: Prompt, size: int) -> int:
    """Bytes of keys and values that a cache holds after the prompt, memories included; `size` is a
    number's.

    Every lane of a layer keeps keys and values of its own. A layer with a mixer keeps a state.
    """
    answers = model.answers
    host, each = answers.host, max(1, len(answers.experts.lanes))
    if isinstance(model.decoder, Hierarchy):
        return model.decoder.kept_bytes(prompt.rows, size)
    own = 0
    for number, layer in enumerate(trunk(model)):
        rows, of = chosen(prompt.at(number), layer.plan.key_value).shape[1], layer.host
        lanes = 1 if layer.ahead else each
        if of.mixer is None:
            own += lanes * 2 * of.kv_heads * of.head_width * rows * size
        else:
            own += lanes * of.mixer.held_bytes(size)
    pointed = answers.head.pointed(host) * prompt.geometry.placeholders
    fusion = answers.fusion
    kept = fusion.cached(host, prompt.geometry.tokens) + fusion.cached_row(host) * prompt.rows
    return own + (kept + pointed) * size
