"""AriaForConditionalGeneration (arXiv 2410.05993): learned queries, a decoder of many experts."""

import copy
from dataclasses import replace
from typing import Any

from chiasm.connectors import AriaConnector
from chiasm.data.pixels import SIGLIP
from chiasm.encoders import TransformersVision
from chiasm.errors import ChiasmError
from chiasm.experts import MixtureOfExperts, Router, TopLogits, everyone
from chiasm.fusion import InSequence
from chiasm.hub import examples, preprocessing
from chiasm.hub.formats.format import CONTINUED, PLAIN, Format, pair
from chiasm.hub.hosts import Family, config_of, host_of, llama_biases
from chiasm.hub.names import Names, llava
from chiasm.hub.parts import part
from chiasm.hub.tokens import SpecialTokens
from chiasm.spec import Answers, Fixed
from chiasm.stream import ALL

_HOST = Family(
    "AriaTextConfig",
    "AriaTextForCausalLM",
    "AriaTextModel",
    llama_biases,
    lambda host: {"attention_bias": host.output_bias, "mlp_bias": host.mlp_bias},
)


def _read(config: Any) -> Answers:
    text, vision, layer = config.text_config, config.vision_config, config.vision_feature_layer
    for name, value, known in (
        ("vision_feature_layer", layer, isinstance(layer, int)),
        ("hidden_act", text.hidden_act, text.hidden_act == "silu"),
        ("moe_num_shared_experts", text.moe_num_shared_experts, text.moe_num_shared_experts > 0),
        ("moe_topk", text.moe_topk, 0 < text.moe_topk <= text.moe_num_experts),
    ):
        if not known:
            raise ChiasmError(f"the config's {name} = {value!r} is not supported for 'aria'")
    size, host = pair(vision.image_size), host_of(text, family=_HOST)
    return Answers(
        **FORMAT.constant,
        views=Fixed(*size),
        pixels=replace(SIGLIP, resample="bicubic"),
        encoder=TransformersVision.from_config(vision, taps=(layer,)),
        connector=AriaConnector(
            queries=tuple(sorted(config.projector_patch_to_query_dict.items())),
            heads=vision.num_attention_heads,
            ff_width=text.hidden_size,
        ),
        experts=MixtureOfExperts(
            kinds=(ALL,),
            router=Router(
                eligibility=everyone(text.moe_num_experts),
                selection=TopLogits(text.moe_topk),
                penalties=(),
            ),
            hidden=None,
            shared=text.moe_num_shared_experts * text.intermediate_size,
            first=0,
            stride=1,
            adapters=(),
            expert_lora=None,
        ),
        teaching=CONTINUED,
        host=replace(host, tied_head=bool(config.tie_word_embeddings)),
        template="chatml",
    )


def _write(answers: Answers, tokens: SpecialTokens) -> Any:
    from transformers import AriaConfig

    encoder: Any = answers.encoder
    connector: Any = answers.connector
    experts: Any = answers.experts
    host = answers.host
    if len(encoder.taps) != 1:
        raise ChiasmError(
            f"encoder = {encoder.model_type!r} read at {encoder.taps} has no transformers "
            "counterpart; 'aria' reads one hidden state"
        )
    return AriaConfig(
        vision_config=copy.deepcopy(encoder.config),
        text_config=config_of(
            host,
            family=_HOST,
            moe_num_experts=experts.router.experts,
            moe_topk=round(experts.router.selection.active(experts.router.eligibility, 0)),
            moe_num_shared_experts=experts.shared // host.ff_width,
            **tokens.entries(),
        ),
        vision_feature_layer=encoder.taps[0],
        projector_patch_to_query_dict=dict(connector.queries),
        image_token_index=tokens.image_id(),
        tie_word_embeddings=host.tied_head,
    )


def _names(config: Any) -> Names:
    plain = llava(config.vision_config.model_type, {"connector.": ""})
    inner: list[tuple[str, str]] = []
    for layer in range(config.text_config.num_hidden_layers):
        ours = f"decoder.stack.layers.{layer}.mlp."
        theirs = f"language_model.model.layers.{layer}.mlp."
        inner += [
            (f"{ours}gate_proj.weight", part(f"{theirs}experts.fc1.weight", 0, 2)),
            (f"{ours}up_proj.weight", part(f"{theirs}experts.fc1.weight", 1, 2)),
            (f"{ours}down_proj.weight", f"{theirs}experts.fc2.weight"),
            (f"{ours}experts.router.gate.", f"{theirs}router."),
            (f"{ours}shared.", f"{theirs}shared_experts."),
        ]
    return Names((*inner, *plain.pairs), plain.spellings)


FORMAT = Format(
    classes={"aria": ("AriaForConditionalGeneration", "AriaModel")},
    encoders=(TransformersVision,),
    connectors=(AriaConnector,),
    constant={
        **{name: value for name, value in PLAIN.items() if name != "experts"},
        "fusion": InSequence(),
    },
    read=_read,
    write=_write,
    preprocessing=preprocessing.squashed,
    names=_names,
    headless_names=_names,
    example=examples.masked,
    experts=(MixtureOfExperts,),
    connector="model.multi_modal_projector",
)
