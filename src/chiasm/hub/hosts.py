"""A transformers text config as a `Host`, and a `Host` as a transformers text config."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from transformers.activations import ACT2FN

from chiasm.errors import ChiasmError
from chiasm.spec import Host

_ROPE_KINDS = ("default", "linear", "dynamic", "yarn", "llama3")
_ROPE_ENTRIES = frozenset(
    {
        *("rope_type", "type", "rope_theta", "factor", "original_max_position_embeddings"),
        *("attention_factor", "beta_fast", "beta_slow", "mscale", "mscale_all_dim", "truncate"),
        *("low_freq_factor", "high_freq_factor", "partial_rotary_factor"),
    }
)


@dataclass(frozen=True)
class Family:
    """What is peculiar to one `model_type`: its class names, and settings in both directions."""

    config_class: str
    causal: str
    """Class name of the model with a language head."""
    headless: str
    read: Callable[[Any], dict[str, Any]]
    write: Callable[[Host], dict[str, Any]]
    norm_eps: str = "rms_norm_eps"
    """The config's name for the norms' epsilon."""


def host_of(config: Any, *, tied_head: bool | None = None, family: Family | None = None) -> Host:
    """The host of a transformers text config (Llama, Mistral, Qwen2, Qwen3, Cohere2).

    `tied_head` overrides the config's own entry, for composite models that tie by their own;
    `family` is that of a decoder which only a composite model has.

    Raises:
        ChiasmError: a family or a setting that the decoder does not have; the message names it.
    """
    family = _family(config.model_type) if family is None else family
    _refuse(config)
    depth = config.num_hidden_layers
    theta, scaling = rope_of(config)
    entries: dict[str, Any] = dict(
        vocabulary=config.vocab_size,
        width=config.hidden_size,
        depth=depth,
        heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads,
        ff_width=config.intermediate_size,
        head_width=getattr(config, "head_dim", None)
        or config.hidden_size // config.num_attention_heads,
        norm_eps=getattr(config, family.norm_eps),
        rope_theta=theta,
        rope_scaling=scaling,
        tied_head=bool(config.tie_word_embeddings) if tied_head is None else tied_head,
        activation=config.hidden_act,
        max_positions=config.max_position_embeddings,
        initial_std=config.initializer_range,
        family=config.model_type,
    )
    return Host(**{**entries, **family.read(config)})


def config_of(host: Host, *, family: Family | None = None, **entries: Any) -> Any:
    """The transformers text config of a host; `entries` are added as they are.

    Raises:
        ChiasmError: the host's family has no setting for one of its values; the message names it.
    """
    import transformers

    family = _family(host.family) if family is None else family
    config = getattr(transformers, family.config_class)(
        vocab_size=host.vocabulary,
        hidden_size=host.width,
        intermediate_size=host.ff_width,
        num_hidden_layers=host.depth,
        num_attention_heads=host.heads,
        num_key_value_heads=host.kv_heads,
        head_dim=host.head_width,
        hidden_act=host.activation,
        max_position_embeddings=host.max_positions,
        initializer_range=host.initial_std,
        tie_word_embeddings=host.tied_head,
        rope_parameters={
            "rope_theta": host.rope_theta,
            "rope_type": "default",
            **{name: list(v) if isinstance(v, tuple) else v for name, v in host.rope_scaling},
        },
        **{family.norm_eps: host.norm_eps},
        **{"bos_token_id": None, "eos_token_id": None, "pad_token_id": None, **entries},
        **family.write(host),
    )
    # What transformers would read back must be this host: the one test of every setting at once.
    # How fresh weights were drawn is no property of the model that is written.
    found, wanted = host_of(config, family=family), replace(host, weights=None, embedding_std=None)
    for field in fields(Host):
        ours, theirs = getattr(wanted, field.name), getattr(found, field.name)
        if ours != theirs:
            raise ChiasmError(
                f"host.{field.name} = {ours!r} has no counterpart in transformers' "
                f"{host.family!r} (it would read {theirs!r}); choose another family"
            )
    return config


def _family(model_type: str) -> Family:
    if model_type not in FAMILIES:
        raise ChiasmError(
            f"model_type {model_type!r} is not a decoder chiasm runs; known: {', '.join(FAMILIES)}"
        )
    return FAMILIES[model_type]


def _refuse(config: Any) -> None:
    """Settings that would change the result without a place in `Host`."""
    refused = {
        "hidden_act": config.hidden_act not in ACT2FN,
        "attention_dropout": bool(getattr(config, "attention_dropout", 0.0)),
        "head_dim": (getattr(config, "head_dim", None) or 2) % 2 == 1,
        "quantization_config": getattr(config, "quantization_config", None) is not None,
        "layer_types": config.model_type == "mistral"
        and getattr(config, "layer_types", None) is not None,
    }
    for name, wrong in refused.items():
        if wrong:
            raise ChiasmError(
                f"the config's {name} = {getattr(config, name)!r} is not supported for "
                f"{config.model_type!r}; convert the checkpoint or change config.json"
            )


def rope_of(config: Any) -> tuple[float, tuple[tuple[str, Any], ...]]:
    """(theta, the entries of a scaled kind); () for plain rotary positions."""
    entries: dict[str, Any] = dict(config.rope_parameters)
    kind = entries.get("rope_type", entries.get("type", "default"))
    partial = entries.get("partial_rotary_factor", 1.0)
    unknown = sorted(set(entries) - _ROPE_ENTRIES)
    if kind not in _ROPE_KINDS or partial != 1.0 or unknown:
        what = unknown[0] if unknown else "rope_type" if partial == 1.0 else "partial_rotary_factor"
        raise ChiasmError(
            f"the config's rope_parameters have {what} = {entries.get(what)!r}, which is not "
            f"supported; known kinds: {', '.join(_ROPE_KINDS)}, over the whole head"
        )
    theta = float(entries["rope_theta"])
    if kind == "default":
        return theta, ()
    kept = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in entries.items()
        if name not in ("rope_theta", "type", "partial_rotary_factor") and value is not None
    }
    return theta, tuple(sorted({**kept, "rope_type": kind}.items()))


def _windows(config: Any) -> tuple[int | None, ...]:
    """Window by layer, from `layer_types`; () where every layer sees everything."""
    known = {"full_attention": None, "sliding_attention": config.sliding_window}
    unknown = sorted(set(config.layer_types) - set(known))
    if unknown:
        raise ChiasmError(
            f"the config's layer_types name {unknown[0]!r}, which is not supported; "
            f"known: {', '.join(known)}"
        )
    windows = tuple(known[kind] for kind in config.layer_types)
    return windows if any(window is not None for window in windows) else ()


def _write_windows(host: Host) -> dict[str, Any]:
    lengths = [window for window in host.windows if window is not None]
    kinds = ["full_attention" if w is None else "sliding_attention" for w in host.windows]
    return {
        "use_sliding_window": bool(lengths),
        "sliding_window": lengths[0] if lengths else None,
        "layer_types": kinds or ["full_attention"] * host.depth,
    }


def _read_mistral(config: Any) -> dict[str, Any]:
    window = config.sliding_window
    return {"windows": () if window is None else (window,) * config.num_hidden_layers}


def llama_biases(config: Any) -> dict[str, Any]:
    """The biases of Llama and of those built like it."""
    return {
        "query_key_value_bias": config.attention_bias,
        "output_bias": config.attention_bias,
        "mlp_bias": config.mlp_bias,
    }


def _read_qwen2(config: Any) -> dict[str, Any]:
    return {"query_key_value_bias": True, "windows": _windows(config)}


def _read_qwen3(config: Any) -> dict[str, Any]:
    return {
        "query_key_value_bias": config.attention_bias,
        "output_bias": config.attention_bias,
        "query_key_norm": True,
        "windows": _windows(config),
    }


def _read_cohere2(config: Any) -> dict[str, Any]:
    """Layers with a window turn their queries and keys; those that see everything do not."""
    windows = _windows(config)
    return {
        "query_key_value_bias": config.attention_bias,
        "output_bias": config.attention_bias,
        "windows": windows,
        "arrangement": "parallel",
        "norm": "layer-without-bias",
        "rope_interleaved": True,
        "rope_layers": tuple(window is not None for window in windows)
        or (False,) * config.num_hidden_layers,
        "logit_scale": config.logit_scale,
    }


def _write_cohere2(host: Host) -> dict[str, Any]:
    entries = _write_windows(host)
    del entries["use_sliding_window"]
    if entries["sliding_window"] is None:
        del entries["sliding_window"]  # its class asks for a length even where no layer has one
    return {**entries, "attention_bias": host.output_bias, "logit_scale": host.logit_scale}


FAMILIES: Mapping[str, Family] = {
    "llama": Family(
        "LlamaConfig",
        "LlamaForCausalLM",
        "LlamaModel",
        llama_biases,
        lambda host: {"attention_bias": host.output_bias, "mlp_bias": host.mlp_bias},
    ),
    "mistral": Family(
        "MistralConfig",
        "MistralForCausalLM",
        "MistralModel",
        _read_mistral,
        lambda host: {"sliding_window": host.window(0)},
    ),
    "qwen2": Family("Qwen2Config", "Qwen2ForCausalLM", "Qwen2Model", _read_qwen2, _write_windows),
    "qwen3": Family(
        "Qwen3Config",
        "Qwen3ForCausalLM",
        "Qwen3Model",
        _read_qwen3,
        lambda host: {"attention_bias": host.output_bias, **_write_windows(host)},
    ),
    "cohere2": Family(
        "Cohere2Config",
        "Cohere2ForCausalLM",
        "Cohere2Model",
        _read_cohere2,
        _write_cohere2,
        norm_eps="layer_norm_eps",
    ),
}
"""By transformers `model_type`."""
