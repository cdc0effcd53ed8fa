"""ViLT's folders: the trunk of the system `vilt`, and the pooler behind it."""

from collections.abc import Mapping
from typing import Any, cast

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

from chiasm.assemble import build
from chiasm.compression import NoCompression
from chiasm.connectors import PatchEmbedding
from chiasm.connectors.patch_embedding import PatchRows
from chiasm.data.pixels import SIGLIP
from chiasm.encoders import RawPatches
from chiasm.errors import ChiasmError
from chiasm.experts import SharedWeights
from chiasm.fusion import SingleStream
from chiasm.heads import NoHead
from chiasm.hub.formats.text import CONTINUED
from chiasm.hub.names import Names
from chiasm.hub.readers.plan import Plan
from chiasm.hub.tensors import Stored
from chiasm.positions import Apart
from chiasm.spec import Answers, Fixed, Host
from chiasm.stream import Features, Modality, Stream, TokenTable
from chiasm.visibility import Everything, Sight

_LAYER = (
    ("self_attn.q_proj.", "attention.attention.query."),
    ("self_attn.k_proj.", "attention.attention.key."),
    ("self_attn.v_proj.", "attention.attention.value."),
    ("self_attn.o_proj.", "attention.output.dense."),
    ("input_layernorm.", "layernorm_before."),
    ("post_attention_layernorm.", "layernorm_after."),
    ("mlp.up_proj.", "intermediate.dense."),
    ("mlp.down_proj.", "output.dense."),
)
_EMBEDDINGS = (
    ("decoder.embed_tokens.", "text_embeddings.word_embeddings."),
    ("decoder.embed_positions.", "text_embeddings.position_embeddings."),
    ("decoder.stack.before.0.segments.", "text_embeddings.token_type_embeddings."),
    ("decoder.stack.before.0.norm.", "text_embeddings.LayerNorm."),
    ("decoder.stack.before.0.types.", "token_type_embeddings."),
    ("connector.projection.", "patch_embeddings.projection."),
    ("connector.places", "position_embeddings"),
    ("connector.class_token", "cls_token"),
)


def vilt(config: Any, stored: Mapping[str, Stored]) -> Plan:
    """`ViltModel`, with its pooler or without.

    Raises:
        ChiasmError: a model with a task head, or patches that are no squares of three channels.
    """
    given = (config.architectures or ["ViltModel"])[0]
    if given != "ViltModel":
        raise ChiasmError(f"{given!r} is not read; known: ViltModel")
    if config.num_channels != 3 or not isinstance(config.patch_size, int):
        raise ChiasmError(
            f"patches of {config.patch_size} pixels and {config.num_channels} channels are not "
            "read; known: squares of 3 channels"
        )
    answers, pooled = answers_of(config), "pooler.dense.weight" in stored
    return Plan(
        lambda: ViltFolder(answers, config.max_image_length, pooled=pooled),
        Names(
            (
                *((f"model.{ours}", f"embeddings.{theirs}") for ours, theirs in _EMBEDDINGS),
                *(
                    (f"model.decoder.stack.layers.{i}.{ours}", f"encoder.layer.{i}.{theirs}")
                    for i in range(config.num_hidden_layers)
                    for ours, theirs in _LAYER
                ),
                ("model.decoder.norm.", "layernorm."),
                ("pooler.", "pooler.dense."),
            )
        ),
        lambda generator: _example(config, generator),
        (
            ("words", "model.decoder.embed_tokens", "embeddings.text_embeddings.word_embeddings"),
            *(
                (f"layers.{i}", f"model.decoder.stack.layers.{i}", f"encoder.layer.{i}")
                for i in range(config.num_hidden_layers)
            ),
            ("norm", "model.decoder.norm", "layernorm"),
        ),
    )


def _example(config: Any, generator: torch.Generator) -> dict[str, Tensor]:
    """A whole image, a low one and a narrow one, with words padded on the right."""
    patch, side = config.patch_size, config.image_size
    shown = torch.ones(3, side, side, dtype=torch.long)
    shown[1, patch:], shown[2, :, side - patch :] = 0, 0
    words = torch.ones(3, 7, dtype=torch.long)
    words[1, 5:] = 0
    return {
        "input_ids": torch.randint(1, config.vocab_size, words.shape, generator=generator),
        "attention_mask": words,
        "pixel_values": torch.randn(3, 3, side, side, generator=generator),
        "pixel_mask": shown,
    }


def answers_of(config: Any) -> Answers:
    """What a transformers config stands for."""
    heads, patch = config.num_attention_heads, config.patch_size
    side = config.image_size // patch
    return Answers(
        views=Fixed(config.image_size, config.image_size),
        pixels=SIGLIP,
        encoder=RawPatches(patch=patch),
        connector=PatchEmbedding(side=(side, side)),
        fusion=SingleStream(types=config.modality_type_vocab_size, segments=config.type_vocab_size),
        visibility=Sight(sequence=Everything(), memory=Everything()),
        positions=Apart(),
        experts=SharedWeights(),
        compression=NoCompression(),
        head=NoHead(),
        teaching=CONTINUED,
        host=Host(
            vocabulary=config.vocab_size,
            width=config.hidden_size,
            depth=config.num_hidden_layers,
            heads=heads,
            kv_heads=heads,
            head_width=config.hidden_size // heads,
            ff_width=config.intermediate_size,
            norm="layer",
            norm_eps=config.layer_norm_eps,
            query_key_value_bias=config.qkv_bias,
            output_bias=True,
            mlp_bias=True,
            gated=False,
            activation=config.hidden_act,
            positions="learned",
            max_positions=config.max_position_embeddings,
        ),
        template="chatml",
    )


class ViltFolder(nn.Module):
    """Called like transformers' `ViltModel`; `.model` is the chiasm model."""

    def __init__(self, answers: Answers, most: int, *, pooled: bool) -> None:
        super().__init__()
        self.model = build(answers, seed=None, device=torch.empty(0).device)
        self.most = most
        width = answers.host.width
        self.pooler = nn.Linear(width, width) if pooled else None

    def forward(
        self,
        input_ids: Int[Tensor, "batch token"],
        pixel_values: Float[Tensor, "batch 3 height width"],
        attention_mask: Int[Tensor, "batch token"] | None = None,
        token_type_ids: Int[Tensor, "batch token"] | None = None,
        pixel_mask: Int[Tensor, "batch rows columns"] | None = None,
        image_token_type_idx: int = 1,
    ) -> BaseModelOutputWithPooling:
        """`.last_hidden_state` of text, [CLS] and patches in this order; `.pooler_output`.

        As in transformers, the patches of each image come in an order drawn from torch's global
        generator: equal seeds before a call give equal rows.
        """
        images, held = self._images(pixel_values, pixel_mask)
        words = self.model.decoder.embed(input_ids)
        valid = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        table = TokenTable.text(torch.cat([valid.bool(), held], dim=1))
        count, whole = words.shape[1], table.order
        text = whole < count
        unit = torch.zeros_like(whole)
        if token_type_ids is not None:
            unit[:, :count] = token_type_ids
        unit[:, count:] = image_token_type_idx - 1
        table = TokenTable(
            **{
                **dict(table.columns()),
                "modality": torch.where(text, int(Modality.TEXT), int(Modality.IMAGE)),
                "unit": unit,
                "position": torch.where(text, whole, 0).float().unsqueeze(-1),
            }
        )
        hidden = self.model.decoder(Stream(torch.cat([words, images], dim=1), table))
        pooled = None if self.pooler is None else self.pooler(hidden[:, 0]).tanh()
        # transformers annotates the fields with a narrower tensor class.
        return BaseModelOutputWithPooling(last_hidden_state=hidden, pooler_output=pooled)  # type: ignore[arg-type]

    def _images(
        self, pixels: Tensor, mask: Tensor | None
    ) -> tuple[Float[Tensor, "batch row width"], Bool[Tensor, "batch row"]]:
        """[CLS] and the drawn patches of every image, and which of them are the image's own."""
        assert self.model.encoder is not None
        features = cast(Features, self.model.encoder(pixels))
        grid, images = features.grid, len(pixels)
        valid = pixels.new_ones(images, *grid, dtype=torch.bool)
        if mask is not None:
            valid = F.interpolate(mask.unsqueeze(1).float(), size=grid)[:, 0].bool()
        valid = valid.flatten(1)
        rows = cast(PatchRows, self.model.connector).connect(Features(features.tokens, grid, valid))
        drawn = 1 + torch.stack(_drawn(valid, self.most))
        index = torch.cat([drawn.new_zeros(images, 1), drawn], dim=1)
        held = torch.cat([valid.new_ones(images, 1), valid], dim=1).gather(1, index)
        wide = index.unsqueeze(-1).expand(-1, -1, rows.embeddings.shape[-1])
        return rows.embeddings.gather(1, wide), held


def _drawn(valid: Bool[Tensor, "image patch"], most: int) -> list[Int[Tensor, " drawn"]]:
    """Patches of each image, as many as the largest has (at most `most`, if that is positive).

    An image with too few gets padding patches, any of them; one with enough, a draw of its own.
    """
    largest = int(valid.sum(1).max())
    count = min(largest, most) if most >= 0 else largest
    chosen: list[Tensor] = []
    for own in valid:
        real, padding = own.nonzero()[:, 0], (~own).nonzero()[:, 0]
        missing = count - len(real)
        if missing <= 0:
            chosen.append(real[torch.multinomial(torch.ones(len(real)), count).to(real.device)])
        else:
            picked = torch.multinomial(torch.ones(len(padding)), missing, replacement=True)
            chosen.append(torch.cat([real, padding[picked.to(real.device)]]))
    return chosen
