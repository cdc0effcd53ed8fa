"""Text decoders alone: LlamaForCausalLM and its like."""

from typing import Any

from chiasm.connectors import NoConnector
from chiasm.data.pixels import SIGLIP
from chiasm.encoders import NoEncoder
from chiasm.fusion import NoFusion
from chiasm.hub import examples, names, preprocessing
from chiasm.hub.formats.format import CONTINUED, PLAIN, Format
from chiasm.hub.hosts import FAMILIES, config_of, host_of
from chiasm.hub.tokens import SpecialTokens
from chiasm.spec import Answers, NoViews


def _read(config: Any) -> Answers:
    return Answers(
        **FORMAT.constant,
        views=NoViews(),
        pixels=SIGLIP,
        encoder=NoEncoder(),
        connector=NoConnector(),
        teaching=CONTINUED,
        host=host_of(config),
        template="chatml",
    )


def _write(answers: Answers, tokens: SpecialTokens) -> Any:
    return config_of(answers.host, **tokens.entries())


FORMAT = Format(
    classes={kind: (family.causal, family.headless) for kind, family in FAMILIES.items()},
    encoders=(NoEncoder,),
    connectors=(NoConnector,),
    constant={**PLAIN, "fusion": NoFusion()},
    read=_read,
    write=_write,
    preprocessing=preprocessing.none,
    names=lambda config: names.CAUSAL,
    headless_names=lambda config: names.HEADLESS,
    example=examples.nothing,
    opened_by="AutoModelForCausalLM",
)
