"""Random tiny folders of the classes that chiasm reads, to compare engines on."""

import random
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from chiasm.errors import Misuse
from chiasm.hub.tiny import cross_attention, grids, in_sequence, trunks

MAKERS: Mapping[str, Callable[[random.Random], Any]] = {
    "LlavaForConditionalGeneration": in_sequence.llava,
    "PerceiverModel": trunks.perceiver,
    "AlignModel": trunks.align,
    "PixtralVisionModel": trunks.pixtral,
    "PixtralVisionModel + LlavaForConditionalGeneration": in_sequence.llava_of_pixtral,
    "VipLlavaForConditionalGeneration": in_sequence.vipllava,
    "AyaVisionForConditionalGeneration": in_sequence.aya_vision,
    "Idefics2ForConditionalGeneration": in_sequence.idefics2,
    "Idefics3ForConditionalGeneration": in_sequence.idefics3,
    "SmolVLMForConditionalGeneration": in_sequence.smolvlm,
    "Ovis2ForConditionalGeneration": in_sequence.ovis2,
    "AriaForConditionalGeneration": in_sequence.aria,
    "Mamba2Model": trunks.mamba2,
    "Mamba2ForCausalLM": trunks.mamba2,
    "IdeficsForVisionText2Text": cross_attention.idefics,
    "Qwen2VLForConditionalGeneration": grids.qwen2_vl,
    "Qwen2_5_VLForConditionalGeneration": grids.qwen2_5_vl,
    "ViltModel": trunks.vilt,
    "MllamaForConditionalGeneration": cross_attention.mllama,
}
"""By class: a random tiny config of it."""


def references(slug: str) -> list[str]:
    """The classes of transformers that the catalogue names for a system and chiasm reads.

    Raises:
        Misuse: an unknown system, one without a reference, or one whose reference is not read.
    """
    from chiasm.catalogue.rows import row

    of = row(slug)
    if of.parity == "none":
        raise Misuse(f"{of.slug} has no reference that others wrote; give a folder to compare")
    named = [of.reference] if of.reference in MAKERS else re.findall(r"[A-Z]\w+", of.reference)
    found = [name for name in named if name in MAKERS]
    if not found:
        raise Misuse(
            f"{of.slug}'s reference is {of.reference}, of which chiasm reads no folder; known: "
            f"{', '.join(MAKERS)}"
        )
    return found


def write(name: str, folder: Path, seed: int) -> None:
    """A model of the class with random weights, large enough to tell its parts apart."""
    import transformers

    # Weights are drawn below; the draws of the class itself must not depend on what ran before.
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        # Of classes that the catalogue joins, the last holds the others.
        kind = getattr(transformers, name.split()[-1])
        model = kind(MAKERS[name](random.Random(f"{name}{seed}")))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for path, parameter in model.named_parameters():
            center = 1.0 if "norm" in path and path.endswith("weight") else 0.0
            parameter.copy_(center + 0.3 * torch.randn(parameter.shape, generator=generator))
    verbosity = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        model.eval().save_pretrained(folder)
    finally:
        transformers.logging.enable_progress_bar()
        transformers.logging.set_verbosity(verbosity)
