"""Tags that follow from a spec: what its answers build says more than what anybody wrote.

Four facets can be read off a system: the architecture type, which parameters are adapted, the
mixer, and whether visual tokens are compressed. A test compares them with the written tags; where
both are right about different things, `EXPLAINED` says why.
"""

from collections.abc import Callable, Mapping
from typing import cast

from torch import nn

from chiasm.assemble import build
from chiasm.backbone import Hierarchy, LockStep, Stack
from chiasm.experts.adapted import AdaptedLinear
from chiasm.experts.mixed import MixedFeedForward
from chiasm.model import Model
from chiasm.spec import Context, Scale, System, geometry
from chiasm.stream import Modality

OWN_WEIGHTS = 0.1
"""Share of the stack from which a modality's own weights make the layers custom."""
SQUARE = (336, 336)
"""The picture whose tokens are counted where a system takes any size."""


def architecture(of: System) -> tuple[str, ...]:
    """Types A to D of the evolution survey, O where none holds.

    A: layers read media through cross-attention beside the host's own layers, or towers read each
    other. B: media rows take another path, or other weights, through the host's own layers. C:
    continuous tokens go through the host from its first layer. D: the same, as codes of a table,
    be it on the way in or out.
    """
    answers = of.at(Scale.NANO)
    model = build(answers, device="meta", seed=None)
    stack, fusion = cast(Stack, model.decoder.stack), answers.fusion
    straight = all(plan.complete for plan in stack.plans)
    mapped = any(isinstance(module, nn.Linear) for module in stack.before.modules())
    found: list[str] = []
    if (
        (fusion.reads_memory and straight and mapped)
        or len(stack.between)
        or isinstance(model.decoder, LockStep)
    ):
        found.append("A")
    inside = fusion.reads_memory and not found and model.decoder.prologue is None
    if (
        not straight
        or inside
        or len(stack.joined)
        or len(stack.beside)
        or _own_weights(of) > OWN_WEIGHTS
    ):
        found.append("B")
    whole = fusion.enters and Modality.IMAGE in stack.plans[0].query.modalities
    latents = answers.head.context is Context.ALWAYS
    if whole and (answers.encoder.width or latents):
        found.append("D" if _codes(model) else "C")
    if "D" not in found and any(isinstance(m, nn.Embedding) for m in model.head.modules()):
        found.append("D")
    return tuple(found) or ("O",)


def mixer(of: System) -> tuple[str, ...]:
    """What mixes the host's rows: attention or a state-space scan."""
    return ("tf",) if of.at(Scale.PAPER).host.mixer is None else ("ssm",)


def adapted(of: System) -> tuple[str, ...]:
    """How the host is adapted over the stages of the published recipe.

    full: the host itself learns. rep: adapters that merge into it. add: other new blocks within it.
    frozen: nothing within it.
    """
    answers = of.at(Scale.PAPER)
    trained = {part for stage in answers.teaching.stages for part in stage.trained}
    if "decoder" in trained:
        return ("full",)
    model = build(answers, device="meta", seed=None)
    if any(isinstance(m, AdaptedLinear) and m.linear for m in model.modules()):
        return ("rep",)
    inside = [
        part for part in ("fusion", "tower", "experts") if part in trained and model.part(part)
    ]
    return ("add",) if inside else ("frozen",)


def compresses(of: System) -> bool:
    """Whether fewer tokens enter, or are read, than the encoder gives for a square picture."""
    answers = of.at(Scale.PAPER)
    found = geometry(answers, SQUARE)
    given = sum(rows * columns for rows, columns in found.grids)
    return found.tokens < given or found.kept < found.tokens


DERIVED: Mapping[str, Callable[[System], tuple[str, ...]]] = {
    "arch": architecture,
    "base": mixer,
    "peft": adapted,
}
"""The facets whose values a spec decides, by name; `tok` is decided up to its mechanism."""

EXPLAINED: Mapping[tuple[str, str], str] = {
    (
        "deer-vla",
        "peft",
    ): "the gated blocks are Flamingo's own parts, selected; here they are added",
    ("omnimamba", "peft"): "a delta a task first, then the whole model beside it",
    ("arcana", "peft"): "low-rank pairs within the host; the ladder that is added stands before it",
    ("pixelworld", "peft"): "the paper trains nothing; the model that is built here learns whole",
    ("r2-t2", "peft"): "nothing is trained for it; the model beneath is taught as LLaVA-1.5 is",
    ("uni-moe", "peft"): "LoRA tunes the mixture; its experts were full feed-forwards before",
    ("browse-concentrate", "peft"): "queries and values of the host learn there, all of it here",
    ("hierarchical3d", "arch"): "media enter in its adapters; here their rows pass the host too",
    ("idefics2", "peft"): "its stages here are LLaVA-1.5's; the paper adapts the host by DoRA",
    ("linear-clip-vizwiz", "arch"): "the layers that join stand behind the host's last one",
    ("linear-clip-vizwiz", "tok"): "CLIP's class token is its feature; no token is saved by it",
    ("mudaif", "arch"): "its co-attention is between rows of one sequence, not with a memory",
    ("multimodn", "base"): "its modules change a state; the words' encoder is a transformer here",
    ("multimodn", "peft"): "the encoders are frozen at the published size, all the rest is new",
    ("infimm-hd", "peft"): "low-rank deltas of the host, and gated blocks that are added to it",
    ("qa-vit", "tok"): "the class token passes the layers and goes no further; every patch enters",
    (
        "ovis",
        "arch",
    ): "its tokens are mixtures of a table's rows, as continuous as any projection",
    ("v1-revisit", "tok"): "its host's own merging of 2 x 2 patches is not tagged",
    ("v2pe", "tok"): "its host family's projector reads 2 x 2 patches at a time; V2PE drops none",
    (
        "perceiver",
        "arch",
    ): "its cross-attention lies in the encoder; a host spells answers",
    (
        "perceiver",
        "tok",
    ): "its latents are the encoder's own tokens; nothing keeps fewer",
    ("pill", "tok"): "its 32 tokens are made in the frozen encoder's part; nothing keeps fewer",
}
"""Where the written tag and the spec differ, by slug and facet."""


def _own_weights(of: System) -> float:
    """Share of the stack's parameters that text or images alone can pass through."""
    answers = of.at(Scale.PAPER)
    model = build(answers, device="meta", seed=None)
    stack = cast(nn.Module, model.decoder.stack)
    size = sum(p.numel() for p in stack.parameters())
    closed = sum(m.closed for m in stack.modules() if isinstance(m, MixedFeedForward))
    if not answers.experts.groups and not answers.experts.lanes:
        return closed / size
    idle = (answers.experts.idle(answers.host, m) for m in (Modality.TEXT, Modality.IMAGE))
    return max(closed, *idle) / size


def _codes(model: Model) -> bool:
    """Whether tokens are looked up in a table of codes instead of projected."""
    if isinstance(model.decoder, Hierarchy):
        return True
    if model.answers.connector.conditioned:
        # What it looks up are the words that are asked.
        return False
    own = {id(parameter) for parameter in model.part("connector")}
    return any(isinstance(m, nn.Embedding) and id(m.weight) in own for m in model.modules())
