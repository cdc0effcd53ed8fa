"""What a model holds in mind when it says a word: atoms of its states, in pictures and words.

A Concept-Based Explainability Framework for Large Multimodal Models (CoX-LMM). Over answers that
say word t, the residual stream of the row that says it (whose next token is t's first) after a late
layer makes Z; a dictionary of Z is learnt. An atom is grounded in the pictures that hold most of
it, and in the words that the model's own final norm and head read from it.

The paper's CLIPScore and BERTScore need models that no package brings: here an answer's concepts
are scored by words, as the share of what its concepts name that is true of the picture.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from statistics import fmean

import torch
from jaxtyping import Float
from torch import Tensor

from chiasm.data.example import Example
from chiasm.errors import Misuse
from chiasm.inspection.dictionaries import Dictionary
from chiasm.inspection.subject import Subject, residuals, saying
from chiasm.library.function_words import FUNCTION_WORDS
from chiasm.stream import Stream, TokenTable

CANDIDATES, WORDS, PICTURES = 50, 15, 5
"""The head's best tokens of an atom; words kept of them; pictures that show it."""


@dataclass(frozen=True)
class Said:
    """The states in which a word was said, and the questions it answered."""

    word: str
    layer: int
    states: Float[Tensor, "state width"]
    examples: Sequence[Example]
    """With the model's own answer."""
    expected: Sequence[str]
    """What should have been said."""


@dataclass(frozen=True)
class Concept:
    """One atom: its words, the best first, and the examples that hold most of it."""

    words: Sequence[str]
    pictures: Sequence[int]
    share: float
    """Of all activation of all atoms."""


def telling(text: str) -> list[str]:
    """The words of a text that say something, in small letters."""
    found = re.findall(r"[^\W\d_]+", text.lower())
    return [word for word in found if len(word) > 2 and word not in FUNCTION_WORDS]


def usual_word(texts: Sequence[str]) -> str:
    """The commonest telling word of some answers.

    Raises:
        Misuse: there is none.
    """
    counted = Counter(word for text in texts for word in dict.fromkeys(telling(text)))
    if not counted:
        raise Misuse("no answer says a word of three letters or more; name one with --word")
    return counted.most_common(1)[0][0]


def states_saying(
    subject: Subject, answers: Sequence[str], word: str, layer: int | None = None
) -> Said:
    """The residual stream after `layer` layers (by default all but the last) where `word` is said.

    Raises:
        Misuse: no answer says the word, or the model has no such layer.
    """
    depth = subject.one_stack().stack.depth
    layer = max(1, depth - 1) if layer is None else layer
    if not 0 <= layer <= depth:
        raise Misuse(f"layer {layer} of a model with {depth} layers; give 0 to {depth}")
    spoken = re.compile(rf"\b{re.escape(word)}\b", re.IGNORECASE)
    pairs = list(zip(subject.examples, answers, strict=True))
    examples = [saying(example, said) for example, said in pairs if spoken.search(said)]
    expected = [example.turns[-1].answer for example, said in pairs if spoken.search(said)]
    states: list[Tensor] = []
    for first in range(0, len(examples), 32):
        part = examples[first : first + 32]
        inputs = subject.asker.collator.batch(part, teach=True).to(subject.model.device)
        hidden = residuals(subject, inputs, [layer])[0]
        assert inputs.labels is not None
        for row, (labels, example) in enumerate(zip(inputs.labels, part, strict=True)):
            states.append(hidden[row, _row_of(subject, labels, spoken, example)])
    if not states:
        raise Misuse(f"none of {len(answers)} answers says {word!r}; name a word that they say")
    return Said(word, layer, torch.stack(states).double().cpu(), examples, expected)


def _row_of(subject: Subject, labels: Tensor, spoken: re.Pattern[str], example: Example) -> int:
    """The row whose next token begins the word's first occurrence in the last turn's answer."""
    rows = (labels >= 0).nonzero().squeeze(1).tolist()
    ids = labels[rows].tolist()
    whole = subject.asker.collator.spelled(ids, skip_special_tokens=True)
    match = spoken.search(whole)
    if match is None:
        raise Misuse(f"{example.id}: the answer {whole!r} is spelt otherwise in tokens")
    for at in range(len(ids)):
        spelt = subject.asker.collator.spelled(ids[: at + 1], skip_special_tokens=True)
        if len(spelt) > match.start():
            return rows[at]
    raise Misuse(f"{example.id}: no token of {whole!r} begins the word")


@torch.no_grad()
def head_scores(
    subject: Subject, states: Float[Tensor, "state width"]
) -> Float[Tensor, "state vocabulary"]:
    """What the final norm and the head make of residual states, as of any row of text."""
    decoder = subject.one_stack()
    weight = decoder.embed_tokens.weight
    given = states.to(weight).unsqueeze(0)
    table = TokenTable.text(torch.ones(given.shape[:2], dtype=torch.bool, device=given.device))
    run = decoder.begin(Stream(given, table))
    run.hidden, run.layer = given, decoder.stack.depth
    return subject.model.scores(decoder.finish(run)).squeeze(0)


def named(
    subject: Subject, dictionary: Dictionary, known: set[str], most: int = WORDS
) -> list[list[str]]:
    """Each atom's words: of the head's best tokens those that are words that the data uses."""
    scores = head_scores(subject, dictionary.atoms)
    best = scores.topk(min(CANDIDATES, scores.shape[-1]), dim=-1).indices.tolist()
    found: list[list[str]] = []
    for ids in best:
        spelt = [subject.asker.collator.words([one]).lower() for one in ids]
        kept = dict.fromkeys(word for word in spelt if word in known)
        found.append(list(kept)[:most])
    return found


def vocabulary(examples: Sequence[Example]) -> set[str]:
    """The telling words of what is asked and said."""
    texts = (
        t for example in examples for turn in example.turns for t in (turn.question, turn.answer)
    )
    return {word for text in texts for word in telling(text)}


def grounded(dictionary: Dictionary, said: Said, words: Sequence[Sequence[str]]) -> list[Concept]:
    """The atoms in words and pictures."""
    codes = dictionary.codes(said.states).clamp(min=0)
    shares = codes.sum(0) / codes.sum().clamp(min=1e-30)
    order = codes.argsort(dim=0, descending=True, stable=True)[:PICTURES]
    return [
        Concept(words[k], order[:, k].tolist(), float(shares[k])) for k in range(codes.shape[1])
    ]


def overlap(words: Sequence[Sequence[str]]) -> float:
    """Mean over ordered pairs of |W_i and W_j| / |W_i|; an atom without words shares none."""
    pairs = [
        len(set(one) & set(other)) / len(set(one)) if one else 0.0
        for i, one in enumerate(words)
        for j, other in enumerate(words)
        if i != j
    ]
    return fmean(pairs) if pairs else 0.0


def word_score(
    dictionary: Dictionary,
    words: Sequence[Sequence[str]],
    states: Float[Tensor, "state width"],
    texts: Sequence[str],
    *,
    atoms: int = 3,
    each: int = 3,
) -> float:
    """Mean over states of the share of words that its text says, among the first `each` words of
    each of its `atoms` most active atoms; a word counts once. Nothing named is nothing right.
    """
    codes = dictionary.codes(states)
    order = codes.argsort(dim=1, descending=True, stable=True)[:, :atoms].tolist()
    found: list[float] = []
    for row, held, text in zip(order, codes, texts, strict=True):
        named = {word for k in row if held[k] > 0 for word in words[k][:each]}
        found.append(len(named & set(telling(text))) / max(1, len(named)))
    return fmean(found)


def at_random(words: Sequence[Sequence[str]], known: set[str], seed: int) -> list[list[str]]:
    """As many words an atom, drawn from all that the data uses: the floor of `word_score`."""
    pool = sorted(known)
    draw = Random(seed)
    return [draw.sample(pool, min(len(one), len(pool))) for one in words]
