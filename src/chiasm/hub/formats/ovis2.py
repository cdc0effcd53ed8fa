"""Ovis2ForConditionalGeneration (arXiv 2405.20797): image tokens are mixtures of visual words."""

from typing import Any

from chiasm.connectors import VisualTable
from chiasm.data.pixels import CLIP
from chiasm.encoders import TransformersVision
from chiasm.encoders.transformers_vision import settings_of
from chiasm.errors import ChiasmError
from chiasm.fusion import InSequence
from chiasm.hub import examples, preprocessing
from chiasm.hub.formats.format import CONTINUED, PLAIN, Format, pair
from chiasm.hub.hosts import config_of, host_of
from chiasm.hub.names import Names, decoder
from chiasm.hub.tokens import SpecialTokens
from chiasm.spec import Answers, Fixed

_OF_TABLE = frozenset(
    {"vocab_size", "hidden_stride", "num_visual_indicator_tokens", "tokenize_function"}
)
"""Entries of the vision config that speak of the visual words, not of the tower."""
_CHOICES: dict[str, Any] = {"softmax": "softmax", "st_argmax": "argmax"}


def _read(config: Any) -> Answers:
    vision, text = config.vision_config, config.text_config
    for name in ("hidden_size", "vocab_size"):
        if getattr(config, name) != getattr(text, name):
            raise ChiasmError(
                f"the config's {name} = {getattr(config, name)}, its text_config's "
                f"{getattr(text, name)}; one model has one {name}"
            )
    if vision.tokenize_function not in _CHOICES:
        raise ChiasmError(
            f"the config's tokenize_function = {vision.tokenize_function!r} is not supported; "
            f"known: {', '.join(_CHOICES)}"
        )
    count = vision.num_visual_indicator_tokens
    if len(config.visual_indicator_token_ids) != count:
        raise ChiasmError(
            f"the config names {len(config.visual_indicator_token_ids)} "
            f"visual_indicator_token_ids, its vision_config {count}; name one for each"
        )
    settings = tuple(entry for entry in settings_of(vision) if entry[0] not in _OF_TABLE)
    encoder = TransformersVision(model_type="ovis2_vision", settings=settings, taps=())
    (rows, columns), stride = encoder.grid(pair(vision.image_size)), vision.hidden_stride
    if rows != columns or rows % stride:
        raise ChiasmError(
            f"the config's tower gives a grid of {rows} x {columns} tokens, which is no square of "
            f"whole blocks of {stride} x {stride}; change image_size or hidden_stride"
        )
    return Answers(
        **FORMAT.constant,
        views=Fixed(*pair(vision.image_size)),
        pixels=CLIP,
        encoder=encoder,
        connector=VisualTable(
            vocabulary=vision.vocab_size,
            indicators=count,
            stride=stride,
            choice=_CHOICES[vision.tokenize_function],
        ),
        teaching=CONTINUED,
        host=host_of(text, tied_head=bool(config.tie_word_embeddings)),
        template="chatml",
    )


def _write(answers: Answers, tokens: SpecialTokens) -> Any:
    from transformers import Ovis2Config

    encoder: Any = answers.encoder
    connector: Any = answers.connector
    if len(tokens.indicators) != connector.indicators:
        raise ChiasmError(
            f"{len(tokens.indicators)} ids are known for the {connector.indicators} marks around "
            "images; export the checkpoint that was loaded"
        )
    function = {choice: name for name, choice in _CHOICES.items()}[connector.choice]
    return Ovis2Config(
        vision_config={
            **dict(encoder.settings),
            "vocab_size": connector.vocabulary,
            "hidden_stride": connector.stride,
            "num_visual_indicator_tokens": connector.indicators,
            "tokenize_function": function,
        },
        text_config=config_of(answers.host, **tokens.entries()),
        image_token_id=tokens.image_id(),
        visual_indicator_token_ids=list(tokens.indicators),
        vocab_size=answers.host.vocabulary,
        hidden_size=answers.host.width,
        tie_word_embeddings=answers.host.tied_head,
    )


def _names(model: str) -> Names:
    pairs = (
        *decoder(f"{model}language_model.", ""),
        ("encoder.model.", f"{model}vision_tower.transformer."),
        ("connector.head.", f"{model}vision_tower.head_linear."),
        ("connector.norm.", f"{model}vision_tower.head_norm."),
        ("connector.table.", f"{model}visual_embeddings_table."),
    )
    return Names(pairs, () if model else (("model.", ""),))


FORMAT = Format(
    classes={"ovis2": ("Ovis2ForConditionalGeneration", "Ovis2Model")},
    encoders=(TransformersVision,),
    connectors=(VisualTable,),
    constant={**PLAIN, "fusion": InSequence()},
    read=_read,
    write=_write,
    preprocessing=preprocessing.squashed,
    names=lambda config: _names("model."),
    headless_names=lambda config: _names(""),
    example=examples.flat,
)
