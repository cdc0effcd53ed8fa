"""Mamba-2 language models: Mamba2ForCausalLM and Mamba2Model."""

import math
from typing import Any

import transformers

from chiasm.connectors import NoConnector
from chiasm.data.pixels import SIGLIP
from chiasm.encoders import NoEncoder
from chiasm.errors import ChiasmError
from chiasm.fusion import NoFusion
from chiasm.hub import examples, preprocessing
from chiasm.hub.formats.format import CONTINUED, PLAIN, Format, SpecialTokens
from chiasm.hub.names import Names
from chiasm.spec import Answers, Host, NoViews, StateSpace

LONGEST = 2**20
"""Context of a checkpoint that names none: a state has no length."""


def _read(config: Any) -> Answers:
    least, most = config.time_step_limit
    mixer = StateSpace(
        heads=config.num_heads,
        head_width=config.head_dim,
        state=config.state_size,
        groups=config.n_groups,
        kernel=config.conv_kernel,
        chunk=config.chunk_size,
        bias=config.use_bias,
        kernel_bias=config.use_conv_bias,
        activation=config.hidden_act,
        norm_eps=config.layer_norm_epsilon,
        step_limit=(float(least), None if math.isinf(most) else float(most)),
    )
    host = Host(
        vocabulary=config.vocab_size,
        width=config.hidden_size,
        depth=config.num_hidden_layers,
        heads=0,
        kv_heads=0,
        head_width=0,
        ff_width=0,
        norm_eps=config.layer_norm_epsilon,
        positions="none",
        mixer=mixer,
        tied_head=config.tie_word_embeddings,
        max_positions=getattr(config, "max_position_embeddings", LONGEST),
        initial_std=config.initializer_range,
        family="mamba2",
    )
    return Answers(
        **FORMAT.constant,
        views=NoViews(),
        pixels=SIGLIP,
        encoder=NoEncoder(),
        connector=NoConnector(),
        teaching=CONTINUED,
        host=host,
        template="chatml",
    )


def _write(answers: Answers, tokens: SpecialTokens) -> Any:
    host, mixer = answers.host, answers.host.mixer
    if mixer is None:
        raise ChiasmError("a host without a state-space mixer is no Mamba-2; keep its own family")
    if mixer.inner % host.width:
        raise ChiasmError(
            f"host.mixer is {mixer.inner} wide, no multiple of the host's {host.width}, which "
            "transformers' mamba2 needs; keep the chiasm folder"
        )
    least, most = mixer.step_limit
    config: Any = transformers.Mamba2Config(
        vocab_size=host.vocabulary,
        hidden_size=host.width,
        num_hidden_layers=host.depth,
        expand=mixer.inner // host.width,
        num_heads=mixer.heads,
        head_dim=mixer.head_width,
        state_size=mixer.state,
        n_groups=mixer.groups,
        conv_kernel=mixer.kernel,
        chunk_size=mixer.chunk,
        use_bias=mixer.bias,
        use_conv_bias=mixer.kernel_bias,
        hidden_act=mixer.activation,
        layer_norm_epsilon=host.norm_eps,
        time_step_limit=(least, math.inf if most is None else most),
        initializer_range=host.initial_std,
        tie_word_embeddings=host.tied_head,
        **tokens.entries(),
    )
    config.max_position_embeddings = host.max_positions  # an entry of ours: theirs names none
    return config


def _names(config: Any, text: str = "backbone.") -> Names:
    pairs = [
        ("decoder.embed_tokens.", f"{text}embeddings."),
        ("decoder.norm.", f"{text}norm_f."),
        ("head.lm_head.", "lm_head."),
    ]
    for layer in range(config.num_hidden_layers):
        ours, theirs = f"decoder.stack.layers.{layer}.", f"{text}layers.{layer}."
        pairs += [
            (f"{ours}input_layernorm.", f"{theirs}norm."),
            (f"{ours}mixer.scan.", f"{theirs}mixer."),
            (f"{ours}mixer.", f"{theirs}mixer."),
        ]
    # The first releases spelt the embeddings in the singular.
    return Names(tuple(pairs), ((f"{text}embedding.", f"{text}embeddings."),))


FORMAT = Format(
    classes={"mamba2": ("Mamba2ForCausalLM", "Mamba2Model")},
    encoders=(NoEncoder,),
    connectors=(NoConnector,),
    constant={**PLAIN, "fusion": NoFusion()},
    read=_read,
    write=_write,
    preprocessing=preprocessing.none,
    names=_names,
    headless_names=lambda config: _names(config, ""),
    example=examples.nothing,
    final_norm="norm_f",
    opened_by="AutoModelForCausalLM",
)
