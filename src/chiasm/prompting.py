"""Ideal prompts: what a frozen host best reads a text from, and a connector learns to give."""

from dataclasses import dataclass, replace
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from chiasm.errors import Misuse
from chiasm.model import Model
from chiasm.objectives import Contrastive
from chiasm.spec import Host
from chiasm.stream import Inputs, Modality, Stream, TokenTable
from chiasm.stream.table import take

CLS, MASK, PADDING = 0, 1, 2
"""Words of the reader's own, behind the host's."""


@dataclass(frozen=True, kw_only=True)
class PromptFormer:
    """The sizes of P-Former (BLIText, arXiv 2307.07063): BERT-base, whose [CLS] becomes `prompts`
    rows of the host.
    """

    prompts: int = 32
    """Rows, and the words of a text that are read, [CLS] included."""
    width: int = 768
    depth: int = 12
    heads: int = 12
    ff_width: int = 3072
    features: int = 256
    """Width in which texts are told apart."""
    masked: float = 0.25
    """Share of a text's words that are hidden from the reader while it learns."""
    temperature: float = 0.07
    """At the start; it is learned."""
    smoothing: float = 0.1

    def build(self, host: Host) -> "IdealPrompts":
        return IdealPrompts(self, host)


class IdealPrompts(nn.Module):
    """p = W_h tanh(W_p reshape(W_s c)) for every text, c its [CLS] state, with biases.

    It belongs to no model: answering never runs it. Words are the host's.
    """

    def __init__(self, config: PromptFormer, host: Host) -> None:
        super().__init__()
        self.config, self.words = config, host.vocabulary
        sizes = BertConfig(
            vocab_size=host.vocabulary + 3,
            hidden_size=config.width,
            num_hidden_layers=config.depth,
            num_attention_heads=config.heads,
            intermediate_size=config.ff_width,
            pad_token_id=host.vocabulary + PADDING,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
        self.reader = BertModel(sizes, add_pooling_layer=False)
        self.spread = nn.Linear(config.width, config.prompts * config.width)
        self.pool = nn.Sequential(nn.Linear(config.width, config.width), nn.Tanh())
        self.to_host = nn.Linear(config.width, host.width)
        self.to_features = nn.Linear(config.width, config.features)
        self.temperature = nn.Parameter(torch.tensor(config.temperature))

    def forward(
        self, words: Int[Tensor, "text word"], valid: Bool[Tensor, "text word"]
    ) -> Float[Tensor, "text prompt width"]:
        """The prompts of whole texts, in the host's width."""
        return self.prompts(self.read(words, valid))

    def read(
        self, words: Int[Tensor, "text word"], valid: Bool[Tensor, "text word"]
    ) -> Float[Tensor, "text inner"]:
        """[CLS] states of texts, cut to what is read."""
        most = self.config.prompts - 1
        words, valid = words[:, :most], valid[:, :most]
        first = torch.full_like(words[:, :1], self.words + CLS)
        ids = torch.cat([first, words.masked_fill(~valid, self.words + PADDING)], 1)
        seen = F.pad(valid, (1, 0), value=True)
        return self.reader(input_ids=ids, attention_mask=seen.long()).last_hidden_state[:, 0]

    def prompts(self, state: Float[Tensor, "text inner"]) -> Float[Tensor, "text prompt width"]:
        """What [CLS] states become."""
        spread = self.spread(state).unflatten(-1, (self.config.prompts, -1))
        return self.to_host(self.pool(spread))

    def hidden_from(
        self, words: Int[Tensor, "text word"], valid: Bool[Tensor, "text word"]
    ) -> Int[Tensor, "text word"]:
        """The words with a share of them masked, drawn from torch's generator of the CPU."""
        drawn = torch.rand(words.shape).to(words.device) < self.config.masked
        return words.masked_fill(drawn & valid, self.words + MASK)

    def losses(self, model: Model, inputs: Inputs) -> dict[str, Float[Tensor, ""]]:
        """The three terms that teach it, of the texts that `inputs` teach; no image is looked at.

        text: the host's own loss on each text behind its prompts. words: the mean squared distance
        of each prompt to the nearest of the host's words, which stays where it is. apart: the
        cross-entropy of each text's features against all texts', its own the target.

        Raises:
            Misuse: the model would learn; nothing is taught.
        """
        if any(p.requires_grad for p in model.parameters()):
            raise Misuse("the host is not to learn beside its prompts; freeze the model first")
        words, valid = taught_words(inputs)
        most = self.config.prompts - 1
        words, valid = words[:, :most], valid[:, :most]
        state = self.read(self.hidden_from(words, valid), valid)
        prompts = self.prompts(state)
        features = F.normalize(self.to_features(state), dim=-1)
        apart = Contrastive(smoothing=self.config.smoothing).judge(
            features @ features.T,
            torch.eye(len(features), device=features.device),
            temperature=self.temperature,
        )
        return {
            "text": reconstruction(model, prompts, words, valid),
            "words": quantisation(prompts, cast(Tensor, model.decoder.embed_tokens.weight)),
            "apart": apart,
        }

    def aligned(
        self, model: Model, inputs: Inputs, *, weight: float = 1.0
    ) -> dict[str, Float[Tensor, ""]]:
        """The model's objective, and `weight` times the mean squared distance of an image's tokens
        to the prompts of the text that its sample teaches; no gradient reaches this module.

        Raises:
            Misuse: a sample's images hold another number of rows than there are prompts.
        """
        labels = inputs.labels
        words, valid = taught_words(inputs)
        stream = model.stream(inputs)
        own = inputs.source >= 0
        counts = own.sum(1)
        shown = (counts > 0) & valid.any(1)
        if bool((counts[shown] != self.config.prompts).any()):
            raise Misuse(
                f"the images of a sample hold {int(counts.max())} rows, a text has "
                f"{self.config.prompts} prompts; give samples one image and as many rows"
            )
        with torch.no_grad():
            ideal = self(words, valid)[shown]
        given = stream.embeddings[own & shown.unsqueeze(1)].view_as(ideal)
        assert labels is not None
        scores = model.scores(model.decoder(stream)[labels >= 0])
        text = model.answers.teaching.objective.judge(scores, labels[labels >= 0])
        away = F.mse_loss(given, ideal) if len(ideal) else given.sum()
        return {"text": text, "prompts": weight * away}


def taught_words(inputs: Inputs) -> tuple[Int[Tensor, "text word"], Bool[Tensor, "text word"]]:
    """The words that each sample teaches, from the left, and which of them are real.

    Raises:
        Misuse: no sample teaches a word.
    """
    labels = inputs.labels
    if labels is None or not bool((labels >= 0).any()):
        raise Misuse("no text is taught, so there is nothing to make prompts of; label some words")
    taught = labels >= 0
    index = (~taught).long().argsort(dim=1, stable=True)[:, : int(taught.sum(1).max())]
    return take(labels, index).clamp(min=0), take(taught, index)


def reconstruction(
    model: Model,
    prompts: Float[Tensor, "text prompt width"],
    words: Int[Tensor, "text word"],
    valid: Bool[Tensor, "text word"],
) -> Float[Tensor, ""]:
    """The host's objective on each text behind its prompts, which stand as an image's rows do."""
    count = prompts.shape[1]
    rows = torch.cat([prompts, model.decoder.embed(words).to(prompts.dtype)], 1)
    plain = TokenTable.text(F.pad(valid, (count, 0), value=True))
    image = torch.arange(rows.shape[1], device=rows.device) < count
    marked = replace(
        plain,
        modality=torch.where(image, int(Modality.IMAGE), plain.modality),
        item=torch.ones_like(plain.item),
    )
    table = model.answers.positions.number(marked)
    hidden = model.decoder(Stream(rows, table))[:, count - 1 : -1]
    objective = model.answers.teaching.objective
    return objective.judge(model.scores(hidden[valid]), words[valid])


def quantisation(
    prompts: Float[Tensor, "text prompt width"], words: Float[Tensor, "word width"]
) -> Float[Tensor, ""]:
    """Mean squared distance to the nearest word; the words get no gradient."""
    flat, words = prompts.flatten(0, 1), words.detach().to(prompts.dtype)
    with torch.no_grad():
        nearest = torch.cdist(flat.float(), words.float()).argmin(1)
    return F.mse_loss(flat, words[nearest])
