"""A GGUF file of the Llama family as an exact Hugging Face folder.

transformers reads GGUF too, but (in 5.23) only with accelerate installed, will not save what it
read, and splits the blanks before a digit otherwise than SmolLM's own tokenizer. Here the tensors
are dequantised by the `gguf` package, whose arithmetic is the format's reference, renamed, and
saved; the tests hold them against the reading of transformers.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from chiasm.errors import ChiasmError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from gguf import GGUFReader
    from transformers import PreTrainedTokenizerBase

LARGEST_FLOAT32_BYTES = 1_000_000_000
"""Above this size the folder is kept in bfloat16: dequantised 4-bit values need no more room."""

_OUTER = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_IN_BLOCK = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def save_as_transformers(gguf_file: Path, target: Path) -> None:
    """Write config, safetensors and tokenizer of `gguf_file` into `target`."""
    import torch
    from gguf import GGUFReader
    from safetensors.torch import save_file
    from transformers import AutoConfig, AutoModelForCausalLM

    reader = GGUFReader(gguf_file)
    architecture = _field(reader, "general.architecture")
    if architecture != "llama":
        raise ChiasmError(
            f"{gguf_file.name} holds a {architecture!r} model; only the Llama family is read from "
            "GGUF: give a safetensors folder instead"
        )
    config = AutoConfig.from_pretrained(gguf_file.parent, gguf_file=gguf_file.name)
    state = read_state(reader, config.num_attention_heads, config.num_key_value_heads)
    size = sum(tensor.numel() * 4 for tensor in state.values())
    config.dtype = torch.float32 if size <= LARGEST_FLOAT32_BYTES else torch.bfloat16

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    expected = {name: tensor.shape for name, tensor in model.state_dict().items()}
    if config.tie_word_embeddings:
        del expected["lm_head.weight"]
    _check_names_and_shapes(gguf_file.name, state, expected)

    config.architectures = [type(model).__name__]
    config.save_pretrained(target)
    if model.generation_config is not None:
        model.generation_config.save_pretrained(target)
    save_file(
        {name: tensor.to(config.dtype) for name, tensor in state.items()},
        target / "model.safetensors",
        metadata={"format": "pt"},
    )

    tokenizer = read_tokenizer(gguf_file, reader)
    tokenizer.model_max_length = config.max_position_embeddings
    tokenizer.save_pretrained(target)


def read_state(reader: "GGUFReader", heads: int, key_value_heads: int) -> "dict[str, torch.Tensor]":
    """Every tensor in float32 under its Hugging Face name; an unknown name raises."""
    import numpy as np
    import torch
    from gguf import dequantize

    state = {}
    for tensor in reader.tensors:
        name = _hugging_face_name(tensor.name)
        weight = np.array(dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)
        if name.endswith("q_proj.weight"):
            weight = _halves_from_pairs(weight, heads)
        elif name.endswith("k_proj.weight"):
            weight = _halves_from_pairs(weight, key_value_heads)
        state[name] = torch.from_numpy(np.ascontiguousarray(weight))
    return state


def read_tokenizer(gguf_file: Path, reader: "GGUFReader") -> "PreTrainedTokenizerBase":
    """The tokenizer inside the file, with the split before digits that its header asks for."""
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(gguf_file.parent, gguf_file=gguf_file.name)
    if _field(reader, "tokenizer.ggml.pre") == "smollm":
        # Each digit stands alone before words are split; transformers leaves the first step out,
        # which changes the blanks and line ends in front of a number.
        tokenizer.backend_tokenizer.pre_tokenizer = Sequence(
            [Digits(individual_digits=True), ByteLevel(add_prefix_space=False)]
        )
    return tokenizer


def _check_names_and_shapes(
    source: str, state: "dict[str, torch.Tensor]", expected: "dict[str, torch.Size]"
) -> None:
    """A half-filled model is worse than none: every tensor must be there, once, with its shape."""
    for name in sorted(expected.keys() | state.keys()):
        if name not in state:
            raise ChiasmError(f"{source} lacks {name}; fetch or export the file again")
        if name not in expected:
            raise ChiasmError(f"{source} holds {name}, which its config has no place for")
        if state[name].shape != expected[name]:
            raise ChiasmError(
                f"{source}: {name} is {tuple(state[name].shape)}, "
                f"its config says {tuple(expected[name])}"
            )


def _hugging_face_name(name: str) -> str:
    if name in _OUTER:
        return _OUTER[name]
    match name.split("."):
        case ["blk", layer, part, "weight"] if part in _IN_BLOCK:
            return f"model.layers.{layer}.{_IN_BLOCK[part]}.weight"
    raise ChiasmError(
        f"the GGUF file holds an unknown tensor {name!r}; its model is not plain Llama"
    )


def _halves_from_pairs(weight: "np.ndarray", heads: int) -> "np.ndarray":
    """Undo GGUF's interleaved rotary layout: rows (head, i, half) become (head, half, i)."""
    rows, columns = weight.shape
    per_head = weight.reshape(heads, rows // heads // 2, 2, columns)
    return per_head.swapaxes(1, 2).reshape(rows, columns)


def _field(reader: "GGUFReader", key: str) -> object:
    field = reader.get_field(key)
    return None if field is None else field.contents()
