"""Turns to token ids, the one way for training, evaluation and serving."""

from collections.abc import Sequence, Sized
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

from transformers import PreTrainedTokenizerBase

from chiasm.data.example import Example, Point, Turn
from chiasm.data.template import Piece, Template
from chiasm.errors import ChiasmError
from chiasm.stream.identity import Role


class Rendered(NamedTuple):
    """A run of ids of one kind, or one image or picture (which has no ids: features stand in its
    place, as many as the encoder's or the latent's geometry says).
    """

    ids: list[int]
    role: Role
    is_answer: bool
    """Whether the model is taught to say these ids."""
    image_index: int | None
    """Which of the example's images stands here."""
    turn: int
    """Number of the turn; -1 for what independent turns share."""
    picture: bool = False
    """Whether the picture that the turn's answer draws stands here."""
    point: Point | None = None
    """What the answer points at here; its id follows from the picture's rows."""


def render(
    template: Template,
    tokenizer: PreTrainedTokenizerBase,
    images: Sized,
    turns: Sequence[Turn],
    answers: bool,
    *,
    independent: bool = False,
    system: str = "",
) -> list[Rendered]:
    """The ids of a prompt, with who says them. Of `images` only the number matters.

    With `answers`, what is taught; without, the prompt as served: a conversation up to its last
    answer, independent questions up to each one's. Text is tokenised in the longest runs between
    special tokens and images, so ids do not depend on where roles change; a token across two roles
    belongs to that of its last character. Raises ChiasmError if the tokenizer lacks a special token
    of the template, or places and images differ in number.
    """
    write = template.independent_pieces if independent else template.pieces
    out: list[Rendered] = []
    run: list[Piece] = []
    for piece in write(len(images), turns, answers=answers, system=system):
        if run and (piece.kind != "text" or (independent and run[-1].turn != piece.turn)):
            out += _tokenised(tokenizer, run)
            run = []
        if piece.kind == "text":
            run.append(piece)
        else:
            ids = [_special(template, tokenizer, piece.value)] if piece.kind == "token" else []
            picture = piece.kind == "picture"
            run_of = Rendered(ids, piece.role, piece.answer, piece.image, piece.turn, picture)
            out.append(run_of._replace(point=piece.point))
    return _joined(out + _tokenised(tokenizer, run))


def render_example(
    template: Template, tokenizer: PreTrainedTokenizerBase, example: Example, answers: bool
) -> list[Rendered]:
    """`render` of all that the example says; errors name the example."""
    try:
        return render(
            template,
            tokenizer,
            example.images,
            example.turns,
            answers,
            independent=example.independent,
            system=example.system,
        )
    except ChiasmError as error:
        raise type(error)(f"example {example.id!r}: {error}") from None


def text_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """The ids of a text by itself, special tokens not looked for."""
    return [token for token, _ in _encoded(tokenizer, len(tokenizer), text)] if text else []


def tag_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """The ids of words that a system writes around views; special tokens that the tokenizer has
    are one id each.
    """
    return list(_tagged(tokenizer, len(tokenizer), text)) if text else []


@lru_cache(maxsize=4096)
def _tagged(tokenizer: PreTrainedTokenizerBase, size: int, text: str) -> tuple[int, ...]:
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])


def _tokenised(tokenizer: PreTrainedTokenizerBase, run: list[Piece]) -> list[Rendered]:
    """The ids of adjoining texts tokenised as one, each id labelled by its last character."""
    text = "".join(piece.value for piece in run)
    if not text:
        return []
    owners = [piece for piece in run for _ in piece.value]
    out = []
    for token, last in _encoded(tokenizer, len(tokenizer), text):
        piece = owners[last]
        out.append(Rendered([token], piece.role, piece.answer, None, piece.turn))
    return out


@lru_cache(maxsize=4096)
def _encoded(
    tokenizer: PreTrainedTokenizerBase, size: int, text: str
) -> tuple[tuple[int, int], ...]:
    """(id, index of its last character) of each token; special tokens are not looked for.

    Kept for short-worded data, whose questions recur; `size` forgets them if tokens are added.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ChiasmError(f"text {text!r:.80} is not Unicode ({error.reason}); clean it") from None
    encoded = tokenizer(
        text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True
    )
    pairs = zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
    return tuple((token, max(end - 1, 0)) for token, (_, end) in pairs)


def _joined(parts: list[Rendered]) -> list[Rendered]:
    """Neighbours of equal role, answer and turn as one; images, pictures and points stay apart."""
    out = []
    apart = [None if part.ids else number for number, part in enumerate(parts)]
    for (key, _), group in groupby(
        zip(parts, apart, strict=True), key=lambda pair: (pair[0][1:], pair[1])
    ):
        ids = [token for part, _ in group for token in part.ids]
        out.append(Rendered(ids, *key))
    return out


def _special(template: Template, tokenizer: PreTrainedTokenizerBase, token: str) -> int:
    found = tokenizer.convert_tokens_to_ids(token)
    if not isinstance(found, int) or (
        found == tokenizer.unk_token_id and token != tokenizer.unk_token
    ):
        raise ChiasmError(
            f"template {template.name!r} writes {token}, which the tokenizer has no id for; "
            f"choose the template the tokenizer was made for"
        )
    return found
