"""UniAdapter's first stage (arXiv 2302.06605): BLIP's two sides and their meeting, one adapter."""

from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase
from transformers.models.blip.configuration_blip import BlipTextConfig
from transformers.models.blip.modeling_blip_text import BlipTextModel

from chiasm.embedders.stages.clip_layers import attended, inside
from chiasm.embedders.stages.pair import Pair, PairReader
from chiasm.embedders.stages.pictures import Pictures
from chiasm.embedders.states import States
from chiasm.errors import Misuse
from chiasm.layers import attend, merge_heads, split_heads
from chiasm.stream import Modality, Permission

SCALE = 0.1
"""Of what an adapter adds."""


@dataclass(frozen=True, kw_only=True)
class UnifiedPair:
    """One vector of words, of a picture, or of words that read a picture.

    Layer l of all three has one adapter, z = relu(D LN(x)), parallel to the feed-forward: a picture
    adds 0.1 V z, words 0.1 T z, and words that have read a picture 0.1 T z of what they were before
    the reading and 0.1 LN(M z + T z) of what they are after it. Keys and values of a picture's
    tokens have a linear pair each, the same in all layers. V, T, the weights of that LN and what
    ends a pair are zero at first, so that nothing is added; with M zero instead, the LN would make
    the first step a leap.
    """

    vocabulary: int | None
    pictures: Pictures
    """Over a `clip_vision_model`, its last layer; words are as wide and as deep."""
    narrow: int
    read: int
    """Width between the linear pairs of keys and values."""
    out: int
    longest: int = 64

    @property
    def width(self) -> int:
        return self.out

    def build(self, words: int | None = None) -> "UnifiedEncoder":
        return UnifiedEncoder(self, words)

    def tokenizer(self) -> PreTrainedTokenizerBase | None:
        return None

    def reader(self, tokenizer: PreTrainedTokenizerBase | None) -> PairReader:
        if tokenizer is None:
            raise ValueError("words are read with a tokenizer; give one")
        return PairReader(tokenizer, self.longest, self.pictures.reader(None))


class UnifiedAdapter(nn.Module):
    """Shared down, three ups: 2 LN + (d n + n) + 3 (n d + d) weights."""

    def __init__(self, width: int, narrow: int) -> None:
        super().__init__()
        self.norm, self.norm_both = nn.LayerNorm(width), nn.LayerNorm(width)
        self.down = nn.Linear(width, narrow)
        self.of_picture, self.of_words, self.of_both = (nn.Linear(narrow, width) for _ in range(3))
        zero = (*self.of_picture.parameters(), *self.of_words.parameters(), self.norm_both.weight)
        for parameter in zero:
            nn.init.zeros_(parameter)

    def picture(self, x: Tensor) -> Tensor:
        return SCALE * self.of_picture(self._narrow(x))

    def words(self, x: Tensor) -> Tensor:
        return SCALE * self.of_words(self._narrow(x))

    def both(self, x: Tensor) -> Tensor:
        z = self._narrow(x)
        return SCALE * self.norm_both(self.of_both(z) + self.of_words(z))

    def _narrow(self, x: Tensor) -> Tensor:
        return torch.relu(self.down(self.norm(x)))


def _pair(width: int, narrow: int) -> nn.Sequential:
    """A linear pair that is nothing at first."""
    made = nn.Sequential(nn.Linear(width, narrow), nn.Linear(narrow, width))
    for parameter in made[1].parameters():
        nn.init.zeros_(parameter)
    return made


class UnifiedEncoder(nn.Module):
    """A `Pair` to states of one token an item."""

    def __init__(self, config: UnifiedPair, words: int | None) -> None:
        super().__init__()
        vision = config.pictures.encoder.config
        width, depth = vision.hidden_size, vision.num_hidden_layers
        known = config.vocabulary if words is None else words
        if known is None:
            raise Misuse("words need a vocabulary; state it or fit a tokenizer")
        self.text = BlipTextModel(text_config(known, vision), add_pooling_layer=False)
        self.image = config.pictures.encoder.build()
        self.adapters = nn.ModuleDict(
            {
                "layers": nn.ModuleList(UnifiedAdapter(width, config.narrow) for _ in range(depth)),
                "picture_keys": _pair(width, config.read),
                "picture_values": _pair(width, config.read),
                "heads": nn.ModuleList(nn.Linear(width, config.out) for _ in range(3)),
            }
        )

    @property
    def layers(self) -> Any:
        return self.adapters["layers"]

    def forward(self, pair: Pair) -> States:
        device, out = pair.pixels.device, cast(Any, self.adapters["heads"])
        texts, seen = pair.among(pair.written), pair.among(pair.shown)
        vectors = torch.zeros(pair.count, out[0].out_features, device=device)
        rows = self.of_picture(pair.pixels) if len(pair.shown) else None
        alone = ~seen[pair.written]
        for head, chosen in ((out[0], alone), (out[2], ~alone)):
            if bool(chosen.any()):
                where = pair.written[chosen]
                picture = None
                if head is out[2] and rows is not None:
                    picture = rows[pair.place_of(where)]
                said = self.of_words(pair.ids[chosen], pair.last[chosen], picture)
                vectors = vectors.index_copy(0, where, head(said[:, 0]))
        if rows is not None:
            only = ~texts[pair.shown]
            vectors = vectors.index_copy(0, pair.shown[only], out[1](rows[only, 0]))
        states = States.all_of(vectors.unsqueeze(1), int(Modality.TEXT))
        kinds = torch.where(seen, int(Modality.IMAGE), int(Modality.TEXT)).unsqueeze(1)
        return replace(states, modality=kinds)

    def of_picture(
        self, pixels: Float[Tensor, "item 3 height width"]
    ) -> Float[Tensor, "item token width"]:
        """The class token and the patches, normed."""
        network = inside(self.image.model, "vision_model")
        x = network.pre_layrnorm(network.embeddings(pixels))
        for layer, adapter in zip(network.encoder.layers, self.layers, strict=True):
            x = attended(layer, x)
            x = x + layer.mlp(layer.layer_norm2(x)) + adapter.picture(x)
        return network.post_layernorm(x)

    def of_words(
        self,
        ids: Int[Tensor, "item token"],
        last: Int[Tensor, " item"],
        picture: Float[Tensor, "item row width"] | None = None,
    ) -> Float[Tensor, "item token width"]:
        """Words alone, or words that read a picture in every layer."""
        x = self.text.embeddings(input_ids=ids)
        places = torch.arange(ids.shape[1], device=ids.device)
        real = (places <= last[:, None]).unsqueeze(1).expand(-1, ids.shape[1], -1)
        for layer, adapter in zip(cast(Any, self.text.encoder).layer, self.layers, strict=True):
            own = layer.attention.self
            x = _read(layer.attention, x, own.key(x), own.value(x), Permission(dense=real))
            added = adapter.words(x)
            if picture is not None:
                own = layer.crossattention.self
                keys = own.key(picture) + self.adapters["picture_keys"](picture)
                values = own.value(picture) + self.adapters["picture_values"](picture)
                x = _read(layer.crossattention, x, keys, values, Permission())
                added = added + adapter.both(x)
            x = layer.feed_forward_chunk(x) + added
        return x


def _read(
    attention: Any, x: Tensor, keys: Tensor, values: Tensor, permission: Permission
) -> Tensor:
    """A layer's own attention, its output and its norm, over given keys and values."""
    own = attention.self
    q, k, v = (split_heads(one, own.num_attention_heads) for one in (own.query(x), keys, values))
    return attention.output(merge_heads(attend(q, k, v, permission)), x)


def text_config(vocabulary: int, vision: Any) -> BlipTextConfig:
    """BLIP's words, as wide and as deep as the picture's side, with cross-attention.

    Fresh weights deviate by width^-1/2: with BERT's 0.02 all texts are one at small widths, since
    little of a word reaches the first token.
    """
    return BlipTextConfig(
        vocab_size=vocabulary,
        hidden_size=vision.hidden_size,
        encoder_hidden_size=vision.hidden_size,
        intermediate_size=vision.intermediate_size,
        num_hidden_layers=vision.num_hidden_layers,
        num_attention_heads=vision.num_attention_heads,
        max_position_embeddings=512,
        initializer_range=vision.hidden_size**-0.5,
        is_decoder=True,
        pad_token_id=0,
        bos_token_id=1,
        sep_token_id=2,
    )
