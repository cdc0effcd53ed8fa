"""IdeficsForVisionText2Text (arXiv 2306.16527): gated blocks that read resampled images."""

from collections.abc import Callable, Mapping
from typing import Any

from chiasm.connectors import PerceiverResampler, Unchanged
from chiasm.data.pixels import CLIP
from chiasm.encoders import TransformersVision
from chiasm.errors import ChiasmError
from chiasm.fusion import GatedBlocks
from chiasm.hub import examples, preprocessing
from chiasm.hub.formats.format import CONTINUED, PLAIN, Format, pair
from chiasm.hub.hosts import rope_of
from chiasm.hub.names import Names, decoder
from chiasm.hub.parts import rows
from chiasm.hub.tokens import SpecialTokens
from chiasm.spec import Answers, Fixed, Host
from chiasm.visibility import Causal, NamedItems, Sight


def _read(config: Any) -> Answers:
    vision, perceiver = config.vision_config, config.perceiver_config
    refused = {
        "dropout": bool(config.dropout),
        "cross_layer_interval": config.num_hidden_layers % config.cross_layer_interval != 0,
        "alpha_type": config.alpha_type not in ("float", "vector"),
        "hidden_size": config.hidden_size % (2 * config.num_attention_heads) != 0,
    }
    for name, wrong in refused.items():
        if wrong:
            raise ChiasmError(
                f"the config's {name} = {getattr(config, name)!r} is not supported for 'idefics' "
                f"of {config.num_hidden_layers} layers and {config.num_attention_heads} heads"
            )
    connector = Unchanged()
    if config.use_resampler:
        connector = PerceiverResampler(
            latents=perceiver.resampler_n_latents,
            depth=perceiver.resampler_depth,
            heads=perceiver.resampler_n_heads,
            head_width=perceiver.resampler_head_dim,
            activation="relu",
            query_key_norm=perceiver.qk_layer_norms_perceiver,
        )
    return Answers(
        **FORMAT.constant,
        views=Fixed(*pair(vision.image_size)),
        pixels=CLIP,
        encoder=TransformersVision.from_config(vision, taps=(), drop_first=0),
        connector=connector,
        fusion=GatedBlocks(
            every=config.cross_layer_interval,
            query_key_norm=config.qk_layer_norms,
            channel_gates=config.alpha_type == "vector",
        ),
        teaching=CONTINUED,
        host=_host(config),
        template="idefics2",
    )


def _host(config: Any) -> Host:
    theta, scaling = rope_of(config)
    heads = config.num_attention_heads
    return Host(
        vocabulary=config.vocab_size + config.additional_vocab_size,
        width=config.hidden_size,
        depth=config.num_hidden_layers,
        heads=heads,
        kv_heads=heads,
        ff_width=config.intermediate_size,
        head_width=config.hidden_size // heads,
        norm_eps=config.rms_norm_eps,
        rope_theta=theta,
        rope_scaling=scaling,
        tied_head=bool(config.tie_word_embeddings),
        activation=config.hidden_act,
        max_positions=config.max_position_embeddings,
        initial_std=config.initializer_range,
        family="idefics",
    )


def _write(answers: Answers, tokens: SpecialTokens) -> Any:
    from transformers import IdeficsConfig

    encoder: Any = answers.encoder
    connector: Any = answers.connector
    fusion: Any = answers.fusion
    host = answers.host
    # All words are written as one table, of which none counts as additional.
    return IdeficsConfig(
        vocab_size=host.vocabulary,
        hidden_size=host.width,
        intermediate_size=host.ff_width,
        num_hidden_layers=host.depth,
        num_attention_heads=host.heads,
        hidden_act=host.activation,
        initializer_range=host.initial_std,
        rms_norm_eps=host.norm_eps,
        max_position_embeddings=host.max_positions,
        rope_parameters={
            "rope_theta": host.rope_theta,
            "rope_type": "default",
            **dict(host.rope_scaling),
        },
        cross_layer_interval=fusion.every,
        qk_layer_norms=fusion.query_key_norm,
        alpha_type="vector" if fusion.channel_gates else "float",
        tie_word_embeddings=host.tied_head,
        vision_config=dict(encoder.settings),
        **tokens.entries(),
        **_RESAMPLER[type(connector)](connector),
    )


_RESAMPLER: Mapping[type, Callable[[Any], dict[str, Any]]] = {
    Unchanged: lambda connector: {"use_resampler": False},
    PerceiverResampler: lambda connector: {
        "use_resampler": True,
        "perceiver_config": {
            "resampler_n_latents": connector.latents,
            "resampler_depth": connector.depth,
            "resampler_n_heads": connector.heads,
            "resampler_head_dim": connector.head_width,
            "qk_layer_norms_perceiver": connector.query_key_norm,
        },
    },
}


def _names(config: Any, model: str) -> Names:
    pairs: list[tuple[str, str]] = []
    if config.additional_vocab_size:
        words, first = f"{model}embed_tokens.", config.vocab_size
        pairs += [
            (
                "decoder.embed_tokens.weight",
                rows(f"{words}weight", f"{words}additional_embedding.weight", first),
            ),
            (
                "head.lm_head.weight",
                rows("lm_head.weight", "lm_head.additional_fc.weight", first),
            ),
        ]
    perceiver = config.perceiver_config
    inner = perceiver.resampler_n_heads * perceiver.resampler_head_dim
    for layer in range(perceiver.resampler_depth if config.use_resampler else 0):
        ours, theirs = f"connector.layers.{layer}.", f"{model}perceiver_resampler.blocks.{layer}."
        keys, values = f"{theirs}0.k_proj.weight", f"{theirs}0.v_proj.weight"
        pairs += [
            (f"{ours}norm_features.", f"{theirs}0.context_layer_norm."),
            (f"{ours}norm_latents.", f"{theirs}0.latents_layer_norm."),
            (f"{ours}norm_q.", f"{theirs}0.q_layer_norm."),
            (f"{ours}norm_k.", f"{theirs}0.k_layer_norm."),
            (f"{ours}to_q.", f"{theirs}0.q_proj."),
            (f"{ours}to_kv.weight", rows(keys, values, inner)),
            (f"{ours}to_out.", f"{theirs}0.output_proj."),
            (f"{ours}ff.0.", f"{theirs}1.ln."),
            (f"{ours}ff.1.", f"{theirs}1.fc."),
            (f"{ours}ff.3.", f"{theirs}1.c_proj."),
        ]
    for number, layer in enumerate(range(0, config.num_hidden_layers, config.cross_layer_interval)):
        theirs = f"{model}gated_cross_attn_layers.{number}."
        pairs.append((f"decoder.stack.before.{layer}.", theirs))
    pairs += [
        *decoder(model, ""),
        ("encoder.model.", f"{model}vision_model."),
        ("connector.latents", f"{model}perceiver_resampler.latents"),
        ("connector.norm.", f"{model}perceiver_resampler.layer_norm."),
    ]
    return Names(tuple(pairs), () if model else (("model.", ""),))


FORMAT = Format(
    classes={"idefics": ("IdeficsForVisionText2Text", "IdeficsModel")},
    encoders=(TransformersVision,),
    connectors=(PerceiverResampler, Unchanged),
    constant={**PLAIN, "visibility": Sight(sequence=Causal(), memory=NamedItems())},
    read=_read,
    write=_write,
    preprocessing=preprocessing.squashed,
    names=lambda config: _names(config, "model."),
    headless_names=lambda config: _names(config, ""),
    example=examples.named,
)
