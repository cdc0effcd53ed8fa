"""CPE-CLIP's first stage (arXiv 2303.04751): learned rows in all layers of both sides of CLIP."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from chiasm.embedders.stages.clip_layers import CAUSAL, attended, fed, inside
from chiasm.embedders.stages.pair import Pair, PairReader
from chiasm.embedders.stages.pictures import Pictures
from chiasm.embedders.stages.sentences import Sentences
from chiasm.embedders.states import States
from chiasm.errors import Misuse
from chiasm.stream import Modality


@dataclass(frozen=True, kw_only=True)
class PromptedPair:
    """One vector of words or of a picture, in one space, G `[layer, row, width]` learned for both.

    Words: G_0 stands behind the first token, before positions are added; later layers find G_l in
    its place. A picture: W G_0 + b stands behind the patches, before the first norm, without a
    position; each later layer finds W G_l + b behind what stands there, so that layer l reads
    `rows` (l + 1) of them. The last word's state, and the class token's, are projected to `out`; of
    an item with both it is the sum.
    """

    words: Sentences
    """A `clip_text_model`."""
    pictures: Pictures
    """Over a `clip_vision_model` of as many layers."""
    rows: int
    out: int

    @property
    def width(self) -> int:
        return self.out

    @property
    def vocabulary(self) -> int | None:
        return self.words.vocabulary

    def build(self, words: int | None = None) -> "PromptedEncoder":
        return PromptedEncoder(self, words)

    def tokenizer(self) -> PreTrainedTokenizerBase | None:
        return self.words.tokenizer()

    def reader(self, tokenizer: PreTrainedTokenizerBase | None) -> "PairReader":
        if tokenizer is None:
            raise ValueError("words are read with a tokenizer; give one")
        longest = self.words.longest - self.rows
        return PairReader(tokenizer, longest, self.pictures.reader(None))


class LayerPrompts(nn.Module):
    """G, and what brings its rows to a picture's width."""

    def __init__(self, layers: int, rows: int, words: int, picture: int) -> None:
        super().__init__()
        self.rows = nn.Parameter(torch.empty(layers, rows, words))
        if rows:
            nn.init.xavier_uniform_(self.rows)
        self.project = nn.Linear(words, picture)


class PromptedEncoder(nn.Module):
    """A `Pair` to states of one token an item."""

    def __init__(self, config: PromptedPair, words: int | None) -> None:
        super().__init__()
        self.config = config
        text, vision = config.words.config, config.pictures.encoder.config
        if text.num_hidden_layers != vision.num_hidden_layers:
            raise Misuse(
                f"{text.num_hidden_layers} layers of words and {vision.num_hidden_layers} of "
                "pictures share no rows a layer; give both the same number"
            )
        self.text = config.words.build(words)
        self.image = config.pictures.encoder.build()
        self.text_head = nn.Linear(text.hidden_size, config.out, bias=False)
        self.image_head = nn.Linear(vision.hidden_size, config.out, bias=False)
        self.prompts = LayerPrompts(
            text.num_hidden_layers, config.rows, text.hidden_size, vision.hidden_size
        )

    def forward(self, pair: Pair) -> States:
        vectors = self.text_head.weight.new_zeros(pair.count, self.config.out)
        if len(pair.written):
            said = self.text_head(self.of_words(pair.ids, pair.last))
            vectors = vectors.index_add(0, pair.written, said)
        if len(pair.shown):
            seen = self.image_head(self.of_pictures(pair.pixels))
            vectors = vectors.index_add(0, pair.shown, seen)
        states = States.all_of(vectors.unsqueeze(1), int(Modality.TEXT))
        shown = pair.among(pair.shown).unsqueeze(1)
        kinds = torch.where(shown, int(Modality.IMAGE), int(Modality.TEXT))
        return replace(states, modality=kinds)

    def of_words(
        self, ids: Int[Tensor, "item token"], last: Int[Tensor, " item"]
    ) -> Float[Tensor, "item width"]:
        """The normed state of each item's last word; what stands behind it is not read."""
        network = inside(self.text.model, "text_model")
        own = self.prompts.rows.unsqueeze(1).expand(-1, len(ids), -1, -1)
        words = network.embeddings.token_embedding(ids)
        x = torch.cat([words[:, :1], own[0], words[:, 1:]], 1)
        x = network.embeddings(inputs_embeds=x)
        behind = 1 + self.config.rows
        for number, layer in enumerate(network.encoder.layers):
            if number:
                x = torch.cat([x[:, :1], own[number], x[:, behind:]], 1)
            x = fed(layer, attended(layer, x, CAUSAL))
        rows = torch.arange(len(ids), device=ids.device)
        return network.final_layer_norm(x)[rows, last + self.config.rows]

    def of_pictures(
        self, pixels: Float[Tensor, "item 3 height width"]
    ) -> Float[Tensor, "item width"]:
        """The normed state of the class token."""
        network = inside(self.image.model, "vision_model")
        own = self.prompts.project(self.prompts.rows).unsqueeze(1).expand(-1, len(pixels), -1, -1)
        x = network.pre_layrnorm(torch.cat([network.embeddings(pixels), own[0]], 1))
        for number, layer in enumerate(network.encoder.layers):
            if number:
                x = torch.cat([x, own[number]], 1)
            x = fed(layer, attended(layer, x))
        return network.post_layernorm(x[:, 0])
