"""The transformers formats that chiasm reads and writes: config to answers, answers to config."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from chiasm.compression import NoCompression
from chiasm.connectors import MLP, Idefics2Connector, NoConnector
from chiasm.data.pixels import CLIP, SIGLIP
from chiasm.encoders import NoEncoder, TransformersVision
from chiasm.errors import ChiasmError
from chiasm.experts import SharedWeights
from chiasm.fusion import InSequence, NoFusion
from chiasm.heads import NoHead, TextHead
from chiasm.hub import names, preprocessing
from chiasm.hub.hosts import FAMILIES, config_of, host_of
from chiasm.hub.names import Names
from chiasm.objectives import NextToken
from chiasm.spec import Answers, Fixed, Fusion, NativeResolution, NoViews, Stage, Teaching
from chiasm.visibility import Causal, Everything, Sight

CONTINUED = Teaching(
    objective=NextToken(),
    stages=(Stage(name="continued", trained=("connector", "decoder", "head"), learning_rate=2e-5),),
)
"""How a published checkpoint is taught further: all but the encoder, gently."""

_PLAIN: Mapping[str, Any] = {
    "visibility": Sight(sequence=Causal(), memory=Everything()),
    "experts": SharedWeights(),
    "compression": NoCompression(),
    "head": TextHead(),
}
"""The answers that every transformers format implies."""


@dataclass(frozen=True, kw_only=True)
class SpecialTokens:
    """The ids that a checkpoint gives a meaning; None (or ()) where it gives none."""

    image: int | None = None
    bos: int | None = None
    eos: tuple[int, ...] = ()
    pad: int | None = None

    def entries(self) -> dict[str, Any]:
        """As a transformers text config holds them."""
        eos = self.eos[0] if len(self.eos) == 1 else list(self.eos) or None
        return {"bos_token_id": self.bos, "eos_token_id": eos, "pad_token_id": self.pad}


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One format; `read` and `write` are each other's inverse on what the format can say."""

    fusion: Fusion
    """Where tokens enter in every model of the format."""
    read: Callable[[Any], Answers]
    """Answers of a transformers config."""
    write: Callable[[Answers, SpecialTokens], Any]
    """The transformers config of answers; ChiasmError for a value it has no setting for."""
    preprocessing: Callable[[Answers, Path], Answers]
    """The answers with the preprocessing that a folder states."""
    names: Callable[[Any], Names]
    headless_names: Callable[[Any], Names]
    headed: Callable[[Any], str]
    """Class name of the model with a language head."""
    opened_by: str
    """The transformers Auto class that opens it."""


def opened(config: Any) -> tuple[Answers, Names]:
    """The answers that a transformers config stands for, and the names of its tensors.

    Raises:
        ChiasmError: a model type, an architecture or a setting that chiasm does not run.
    """
    if config.model_type not in LAYOUTS:
        known = ", ".join(LAYOUTS)
        raise ChiasmError(f"model_type {config.model_type!r} is not read; known: {known}")
    layout = LAYOUTS[config.model_type]
    given = (getattr(config, "architectures", None) or [layout.headed(config)])[0]
    if given not in _HEADED:
        raise ChiasmError(f"architecture {given!r} is not read; known: {', '.join(_HEADED)}")
    answers = layout.read(config)
    if _HEADED[given]:
        return answers, layout.names(config)
    return replace(answers, head=NoHead()), layout.headless_names(config)


def written(answers: Answers, tokens: SpecialTokens) -> tuple[Any, Names, Layout]:
    """The transformers config of answers, the names of its tensors, and the format.

    Raises:
        ChiasmError: an answer that no transformers model has; the message names the first.
    """
    layout = _layout(answers)
    for name, value in {**_PLAIN, "fusion": layout.fusion}.items():
        if getattr(answers, name) != value:
            raise _no_counterpart(name, getattr(answers, name))
    config = layout.write(answers, tokens)
    config.architectures = [layout.headed(config)]
    back = layout.read(config)
    for name in ("encoder", "connector", "host"):
        ours, theirs = (_without_origin(getattr(a, name)) for a in (answers, back))
        if ours != theirs:
            raise _no_counterpart(name, ours)
    return config, layout.names(config), layout


def _layout(answers: Answers) -> Layout:
    kinds = type(answers.encoder), type(answers.connector)
    if kinds in _WRITTEN:
        return _WRITTEN[kinds]
    known = {encoder for encoder, _ in _WRITTEN}
    name = "connector" if kinds[0] in known else "encoder"
    raise _no_counterpart(name, getattr(answers, name))


def _no_counterpart(name: str, value: Any) -> ChiasmError:
    return ChiasmError(
        f"{name} = {value!s:.200} has no transformers counterpart; keep the chiasm folder"
    )


def _without_origin(answer: Any) -> Any:
    """The answer without where its weights came from and how fresh ones were drawn."""
    held = {field.name for field in fields(answer)} & {"weights", "embedding_std"}
    return replace(answer, **dict.fromkeys(held)) if held else answer


def _read_text(config: Any) -> Answers:
    return Answers(
        **_PLAIN,
        views=NoViews(),
        pixels=SIGLIP,
        encoder=NoEncoder(),
        connector=NoConnector(),
        fusion=TEXT.fusion,
        teaching=CONTINUED,
        host=host_of(config),
        template="chatml",
    )


def _read_llava(config: Any) -> Answers:
    vision, layers = config.vision_config, config.vision_feature_layer
    return Answers(
        **_PLAIN,
        views=Fixed(*_pair(vision.image_size)),
        pixels=CLIP if vision.model_type == "clip_vision_model" else SIGLIP,
        encoder=TransformersVision.from_config(
            vision,
            taps=(layers,) if isinstance(layers, int) else tuple(layers),
            drop_first=1 if config.vision_feature_select_strategy == "default" else 0,
        ),
        connector=MLP(
            activation=config.projector_hidden_act, bias=config.multimodal_projector_bias
        ),
        fusion=LLAVA.fusion,
        teaching=CONTINUED,
        host=host_of(config.text_config, tied_head=bool(config.tie_word_embeddings)),
        template="vicuna",
    )


def _write_llava(answers: Answers, tokens: SpecialTokens) -> Any:
    from transformers import LlavaConfig

    encoder: Any = answers.encoder
    connector: Any = answers.connector
    if not encoder.taps or encoder.drop_first not in (0, 1):
        raise ChiasmError(
            f"encoder = {encoder.model_type!r} read at {encoder.taps} without its first "
            f"{encoder.drop_first} tokens has no transformers counterpart; 'llava' reads hidden "
            "states and leaves out at most one token"
        )
    return LlavaConfig(
        vision_config=copy.deepcopy(encoder.config),
        text_config=config_of(answers.host, **tokens.entries()),
        image_token_index=_image_token(tokens),
        image_seq_length=connector.count(encoder.grid(_pair(encoder.config.image_size))),
        projector_hidden_act=connector.activation,
        multimodal_projector_bias=connector.bias,
        vision_feature_layer=encoder.taps[0] if len(encoder.taps) == 1 else list(encoder.taps),
        vision_feature_select_strategy="default" if encoder.drop_first else "full",
        tie_word_embeddings=answers.host.tied_head,
    )


def _read_idefics2(config: Any) -> Answers:
    perceiver, text = config.perceiver_config, config.text_config
    if perceiver.hidden_act != text.hidden_act:
        raise ChiasmError(
            f"the config's perceiver_config has hidden_act = {perceiver.hidden_act!r}, its "
            f"text_config {text.hidden_act!r}; one connector with two activations is not supported"
        )
    return Answers(
        **_PLAIN,
        views=NativeResolution(longest=980, shortest=378),
        pixels=replace(SIGLIP, fit="native", resample="bilinear"),
        encoder=TransformersVision.from_config(config.vision_config, taps=()),
        connector=Idefics2Connector(
            ff_width=text.intermediate_size,
            latents=perceiver.resampler_n_latents,
            depth=perceiver.resampler_depth,
            heads=perceiver.resampler_n_heads,
            kv_heads=perceiver.num_key_value_heads,
            head_width=perceiver.resampler_head_dim,
            activation=perceiver.hidden_act,
            norm_eps=perceiver.rms_norm_eps,
        ),
        fusion=IDEFICS2.fusion,
        teaching=CONTINUED,
        host=host_of(text, tied_head=bool(config.tie_word_embeddings)),
        template="idefics2",
    )


def _write_idefics2(answers: Answers, tokens: SpecialTokens) -> Any:
    from transformers import Idefics2Config

    encoder: Any = answers.encoder
    connector: Any = answers.connector
    return Idefics2Config(
        vision_config=copy.deepcopy(encoder.config).to_dict(),
        perceiver_config={
            "hidden_act": connector.activation,
            "hidden_size": answers.host.width,
            "rms_norm_eps": connector.norm_eps,
            "resampler_n_latents": connector.latents,
            "resampler_depth": connector.depth,
            "resampler_n_heads": connector.heads,
            "resampler_head_dim": connector.head_width,
            "num_key_value_heads": connector.kv_heads,
        },
        text_config=config_of(answers.host, **tokens.entries()),
        image_token_id=_image_token(tokens),
        tie_word_embeddings=answers.host.tied_head,
    )


def _image_token(tokens: SpecialTokens) -> int:
    if tokens.image is None:
        raise ChiasmError(
            "the image token's id is unknown; pass a tokenizer that has <image>, or image_token"
        )
    return tokens.image


def _pair(size: int | tuple[int, int] | list[int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (size[0], size[1])


TEXT = Layout(
    fusion=NoFusion(),
    read=_read_text,
    write=lambda answers, tokens: config_of(answers.host, **tokens.entries()),
    preprocessing=preprocessing.none,
    names=lambda config: names.CAUSAL,
    headless_names=lambda config: names.HEADLESS,
    headed=lambda config: FAMILIES[config.model_type].causal,
    opened_by="AutoModelForCausalLM",
)

LLAVA = Layout(
    fusion=InSequence(),
    read=_read_llava,
    write=_write_llava,
    preprocessing=preprocessing.one_size,
    names=lambda config: names.llava(config.vision_config.model_type),
    headless_names=lambda config: names.llava(config.vision_config.model_type),
    headed=lambda config: "LlavaForConditionalGeneration",
    opened_by="AutoModelForImageTextToText",
)

IDEFICS2 = Layout(
    fusion=InSequence(),
    read=_read_idefics2,
    write=_write_idefics2,
    preprocessing=preprocessing.native,
    names=lambda config: names.IDEFICS2,
    headless_names=lambda config: names.IDEFICS2_HEADLESS,
    headed=lambda config: "Idefics2ForConditionalGeneration",
    opened_by="AutoModelForImageTextToText",
)

LAYOUTS: Mapping[str, Layout] = {
    **dict.fromkeys(FAMILIES, TEXT),
    "llava": LLAVA,
    "idefics2": IDEFICS2,
}
"""By the config's `model_type`."""

_WRITTEN: Mapping[tuple[type, type], Layout] = {
    (NoEncoder, NoConnector): TEXT,
    (TransformersVision, MLP): LLAVA,
    (TransformersVision, Idefics2Connector): IDEFICS2,
}
"""The format that answers are written in, by the kinds of encoder and connector."""

_HEADED: Mapping[str, bool] = {
    **{family.causal: True for family in FAMILIES.values()},
    **{family.headless: False for family in FAMILIES.values()},
    "LlavaForConditionalGeneration": True,
    "LlavaModel": False,
    "Idefics2ForConditionalGeneration": True,
    "Idefics2Model": False,
}
"""Architectures that are read, and whether they have a language head."""
