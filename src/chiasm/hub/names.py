"""Parameter names of chiasm's modules and of transformers' checkpoints, both ways."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Names:
    """A bijection by prefix, and the other spellings that folders of the same model use.

    `pairs` are (our prefix, the prefix that is written); `spellings` are (another prefix, its
    written form), tried in order, each at most once.
    """

    pairs: tuple[tuple[str, str], ...]
    spellings: tuple[tuple[str, str], ...] = ()

    def theirs(self, ours: str) -> str:
        """The checkpoint's name of one of our tensors; KeyError if it has none."""
        for mine, written in self.pairs:
            if ours.startswith(mine):
                return written + ours.removeprefix(mine)
        raise KeyError(ours)

    def spelt(self, theirs: str) -> str:
        """The written form of a name found in a checkpoint."""
        for other, written in self.spellings:
            if theirs.startswith(other) and not theirs.startswith(written):
                theirs = written + theirs.removeprefix(other)
        return theirs


DERIVED = ("rotary_emb.inv_freq", "embeddings.position_ids")
"""Endings of buffers that old checkpoints carry and every model computes anew."""


def decoder(text: str, head: str) -> tuple[tuple[str, str], ...]:
    """Names of a decoder's tensors under the prefixes of its text model and of its head."""
    return (
        ("decoder.embed_tokens.", f"{text}embed_tokens."),
        ("decoder.stack.layers.", f"{text}layers."),
        ("decoder.norm.", f"{text}norm."),
        ("head.lm_head.", f"{head}lm_head."),
    )


CAUSAL = Names(decoder("model.", ""))
"""LlamaForCausalLM and its like."""

HEADLESS = Names(decoder("", ""), (("model.", ""),))
"""LlamaModel and its like."""


_NESTED: Mapping[str, str] = dict.fromkeys(
    ("clip_vision_model", "siglip_vision_model", "siglip2_vision_model"), "vision_model."
)
"""Towers whose published checkpoints hold their tensors one level deeper."""


PIXTRAL = (
    ("layers.", "transformer.layers."),
    ("patch_conv.", "patch_conv."),
    ("ln_pre.", "ln_pre."),
)
"""Our names inside the rotary tower, and those of PixtralVisionModel."""


def llava(vision_type: str, projector: Mapping[str, str]) -> Names:
    """LLaVA and what is built like it, in the spelling of the published folders.

    `projector` maps our prefixes to the projector's own. transformers' own module names, which
    newer releases sometimes write, are read too.
    """
    tower = "vision_tower." + _NESTED.get(vision_type, "")
    return Names(
        (
            *decoder("language_model.model.", "language_model."),
            ("encoder.model.", tower),
            *((f"encoder.{ours}", f"vision_tower.{theirs}") for ours, theirs in PIXTRAL),
            *((ours, f"multi_modal_projector.{theirs}") for ours, theirs in projector.items()),
        ),
        (
            ("lm_head.", "language_model.lm_head."),
            ("model.language_model.", "language_model.model."),
            ("model.vision_tower.", "vision_tower."),
            ("model.multi_modal_projector.", "multi_modal_projector."),
            ("language_model.embed_tokens.", "language_model.model.embed_tokens."),
            ("language_model.layers.", "language_model.model.layers."),
            ("language_model.norm.", "language_model.model.norm."),
            ("vision_tower.", tower),
        ),
    )


def idefics(model: str, connector: str = "connector.") -> Names:
    """Idefics2 and later, with ("model.") or without ("") a head; `connector` holds ours."""
    pairs = (
        *decoder(f"{model}text_model.", ""),
        ("encoder.model.", f"{model}vision_model."),
        ("connector.", f"{model}{connector}"),
    )
    return Names(pairs, () if model else (("model.", ""),))
