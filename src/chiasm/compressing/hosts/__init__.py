"""The transformers models that can be compressed, by the `model_type` of their configuration."""

from collections.abc import Callable

from torch import nn

from chiasm.compressing.host import Host
from chiasm.compressing.hosts import llava, qwen, shuffled
from chiasm.errors import Misuse

MAKERS: dict[str, Callable[[nn.Module], Host]] = {
    "llava": llava.llava,
    "llava_next": llava.llava_next,
    "llava_onevision": llava.llava_onevision,
    "qwen2_vl": qwen.qwen2_vl,
    "qwen2_5_vl": qwen.qwen2_5_vl,
    "qwen3_vl": qwen.qwen3_vl,
    "internvl": shuffled.internvl,
    "idefics3": shuffled.idefics3,
    "smolvlm": shuffled.idefics3,
}


def host_of(model: nn.Module) -> Host:
    """The model's parts, as compression needs them.

    Raises:
        Misuse: an architecture that is not in the list.
    """
    kind = getattr(getattr(model, "config", None), "model_type", type(model).__name__)
    if kind not in MAKERS:
        raise Misuse(
            f"cannot compress a {kind!r}; supported are chiasm's own models and "
            f"{', '.join(sorted(MAKERS))}"
        )
    return MAKERS[kind](model)
