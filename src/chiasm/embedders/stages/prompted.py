"""CPE-CLIP's first stage (arXiv 2303.04751): learned rows in all layers of both sides of CLIP."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedTokenizerBase

from chiasm.embedders.contents import Content
from chiasm.embedders.stages.clip_layers import attended, causal, fed, inside
from chiasm.embedders.stages.pictures import PictureReader, Pictures
from chiasm.embedders.stages.sentences import Sentences
from chiasm.embedders.states import States
from chiasm.errors import Misuse
from chiasm.stream import Modality

SHOWN = (Modality.IMAGE, Modality.VIDEO)


@dataclass(frozen=True, kw_only=True)
class PromptedPair:
    """One vector of words or of a picture, in one space, G `[layer, row, width]` learned for both.

    Words: G_0 stands behind the first token, before positions are added; later layers find G_l in
    its place. A picture: W G_0 + b stands behind the patches, before the first norm, without a
    position; each later layer finds W G_l + b behind what stands there, so that layer l reads
    `rows` (l + 1) of them. The last word's state, and the class token's, are projected to `out`.
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


@dataclass(frozen=True)
class Pair:
    """Which items are words, their ids and last places, and the pixels of the others."""

    written: Int[Tensor, " words"]
    ids: Int[Tensor, "words token"]
    last: Int[Tensor, " words"]
    shown: Int[Tensor, " pictures"]
    pixels: Float[Tensor, "pictures 3 height width"]

    def to(self, device: torch.device | str) -> "Pair":
        every = (self.written, self.ids, self.last, self.shown, self.pixels)
        return Pair(*(one.to(device) for one in every))


@dataclass(frozen=True)
class PairReader:
    """Contents of words, opened and closed as CLIP's are, or of one picture."""

    tokenizer: PreTrainedTokenizerBase
    longest: int
    pictures: PictureReader

    def read(self, contents: Sequence[Content]) -> Pair:
        kinds = [[part.modality in SHOWN for part in one.parts] for one in contents]
        if any(len(set(kind)) > 1 for kind in kinds):
            raise Misuse("words and a picture in one item for a pair of sides; embed them apart")
        written = [at for at, kind in enumerate(kinds) if not kind[0]]
        shown = [at for at, kind in enumerate(kinds) if kind[0]]
        ids = [self._ids(contents[at]) for at in written]
        empty = torch.zeros(0, 3, 1, 1)
        return Pair(
            written=torch.tensor(written, dtype=torch.long),
            ids=pad_sequence(ids, batch_first=True) if ids else torch.zeros(0, 2).long(),
            last=torch.tensor([len(one) - 1 for one in ids], dtype=torch.long),
            shown=torch.tensor(shown, dtype=torch.long),
            pixels=self.pictures.read([contents[at] for at in shown]) if shown else empty,
        )

    def _ids(self, content: Content) -> Int[Tensor, " token"]:
        said = " ".join(filter(None, (content.instruction, *(p.text for p in content.parts))))
        own = self.tokenizer(said, add_special_tokens=False)["input_ids"][: self.longest - 2]
        return torch.tensor([self.tokenizer.bos_token_id, *own, self.tokenizer.eos_token_id])


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
        count = len(pair.written) + len(pair.shown)
        vectors = self.text_head.weight.new_zeros(count, self.config.out)
        kinds = torch.full((count,), int(Modality.TEXT), device=vectors.device)
        if len(pair.written):
            said = self.text_head(self.of_words(pair.ids, pair.last))
            vectors = vectors.index_copy(0, pair.written, said)
        if len(pair.shown):
            seen = self.image_head(self.of_pictures(pair.pixels))
            vectors = vectors.index_copy(0, pair.shown, seen)
            kinds = kinds.index_fill(0, pair.shown, int(Modality.IMAGE))
        states = States.all_of(vectors.unsqueeze(1), int(Modality.TEXT))
        return States(
            tokens=states.tokens,
            valid=states.valid,
            modality=kinds.unsqueeze(1),
            told=states.told,
        )

    def of_words(
        self, ids: Int[Tensor, "item token"], last: Int[Tensor, " item"]
    ) -> Float[Tensor, "item width"]:
        """The normed state of each item's last word; what stands behind it is not read."""
        network = inside(self.text.model, "text_model")
        own = self.prompts.rows.unsqueeze(1).expand(-1, len(ids), -1, -1)
        words = network.embeddings.token_embedding(ids)
        x = torch.cat([words[:, :1], own[0], words[:, 1:]], 1)
        x = network.embeddings(inputs_embeds=x)
        mask = causal(x.shape[1], x)
        behind = 1 + self.config.rows
        for number, layer in enumerate(network.encoder.layers):
            if number:
                x = torch.cat([x[:, :1], own[number], x[:, behind:]], 1)
            x = fed(layer, attended(layer, x, mask))
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
