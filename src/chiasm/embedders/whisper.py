"""Whisper's encoder over a clip's own length."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import WhisperConfig, WhisperFeatureExtractor
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from chiasm.errors import ChiasmError, Misuse
from chiasm.weights.ctranslate import ctranslate_tensors

RATE = 16_000
"""Samples a second."""
WINDOW = 30 * RATE
"""Samples that the encoder has positions for."""
STEP = 320
"""Samples to a state: 20 ms."""
_PAD = RATE
"""Silence behind a clip, at least: with less, its last states differ from those in 30 s."""
_WHOLE = RATE // 2
"""What a padded clip's length is a multiple of."""


@dataclass(frozen=True)
class SpeechEncoder:
    """Whisper's encoder (arXiv 2212.04356) on windows as short as the clip and a second of silence.

    The published one always reads 30 s, most of them silence where a clip is a sentence. Here a
    second and a half costs a thirteenth; states differ a little, as attention has less silence to
    read, and are the published ones where a clip fills 30 s.
    """

    module: nn.Module
    mel: Any

    @classmethod
    def open(cls, folder: Path) -> "SpeechEncoder":
        """The encoder of a CTranslate2 folder of Whisper.

        Raises:
            ChiasmError: the folder holds no such model.
        """
        held = ctranslate_tensors(folder / "model.bin", "encoder/")
        try:
            width, bands, _ = held["conv1/weight"].shape
            layers = sum(name.endswith("ffn/linear_0/weight") for name in held)
            config = WhisperConfig(
                d_model=width,
                num_mel_bins=bands,
                encoder_layers=layers,
                encoder_attention_heads=int(held["num_heads"]),
                encoder_ffn_dim=len(held["layer_0/ffn/linear_0/bias"]),
                max_source_positions=len(held["position_encodings/encodings"]),
            )
            module = WhisperEncoder(config)
            module.load_state_dict(_state(held, layers))
        except (KeyError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise ChiasmError(f"{folder}: no encoder of Whisper ({reason[:200]})") from None
        return cls(module.eval(), WhisperFeatureExtractor(feature_size=bands))

    @torch.inference_mode()
    def states(self, samples: np.ndarray) -> Float[Tensor, "state width"]:
        """One state for each 20 ms of the clip; those of the silence behind it are left out.

        `samples` are mono at `RATE`, in [-1, 1]. More than 30 s are read 30 s at a time.

        Raises:
            Misuse: no samples, more than one channel, or samples that are not finite.
        """
        if samples.ndim != 1 or not samples.size or not np.isfinite(samples).all():
            raise Misuse(
                f"a clip of shape {list(samples.shape)} is no sound; give finite samples of one "
                f"channel at {RATE:,} a second"
            )
        return torch.cat([self._window(one) for one in _windows(samples)])

    def pooled(self, clips: Sequence[np.ndarray]) -> Float[Tensor, "clip width"]:
        """The mean of each clip's states."""
        return torch.stack([self.states(clip).mean(0) for clip in clips])

    def _window(self, samples: np.ndarray) -> Tensor:
        length = min(math.ceil((samples.size + _PAD) / _WHOLE) * _WHOLE, WINDOW)
        padded = np.pad(samples.astype(np.float32), (0, length - samples.size))
        told = self.mel(padded, sampling_rate=RATE, padding=False, return_tensors="pt")
        encoder: Any = self.module
        x = F.gelu(encoder.conv1(told.input_features))
        x = F.gelu(encoder.conv2(x)).transpose(1, 2)
        x = x + encoder.embed_positions.weight[: x.shape[1]]
        for layer in encoder.layers:
            x = layer(x, None)
        return encoder.layer_norm(x)[0, : max(1, round(samples.size / STEP))]


def _windows(samples: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, samples.size, WINDOW):
        yield samples[start : start + WINDOW]


def _state(held: dict[str, Tensor], layers: int) -> dict[str, Tensor]:
    """By the names of transformers; queries, keys and values are one matrix in CTranslate2."""
    plain = {f"{conv}.{part}": f"{conv}/{part}" for conv in ("conv1", "conv2") for part in _LINEAR}
    plain |= {f"layer_norm.{part}": f"layer_norm/{own}" for part, own in _NORM.items()}
    plain["embed_positions.weight"] = "position_encodings/encodings"
    state: dict[str, Tensor] = {}
    for layer in range(layers):
        ours, theirs = f"layers.{layer}", f"layer_{layer}"
        for name, own in _MATRICES.items():
            plain |= {f"{ours}.{name}.{part}": f"{theirs}/{own}/{part}" for part in _LINEAR}
        for name, own in _NORMS.items():
            plain |= {
                f"{ours}.{name}.{part}": f"{theirs}/{own}/{said}" for part, said in _NORM.items()
            }
        for part in _LINEAR:
            whole = held[f"{theirs}/self_attention/linear_0/{part}"].chunk(3)
            for letter, one in zip("qkv", whole, strict=True):
                # Whisper's keys have no bias.
                if (letter, part) != ("k", "bias"):
                    state[f"{ours}.self_attn.{letter}_proj.{part}"] = one
    return state | {name: held[own] for name, own in plain.items()}


_LINEAR = ("weight", "bias")
_NORM = {"weight": "gamma", "bias": "beta"}
_MATRICES = {
    "self_attn.out_proj": "self_attention/linear_1",
    "fc1": "ffn/linear_0",
    "fc2": "ffn/linear_1",
}
_NORMS = {
    "self_attn_layer_norm": "self_attention/layer_norm",
    "final_layer_norm": "ffn/layer_norm",
}
