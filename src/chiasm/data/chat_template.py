"""Prompts in the words of a transformers folder's own chat template."""

from collections.abc import Sequence, Sized
from itertools import pairwise
from typing import Any

from jinja2.exceptions import TemplateError
from transformers import PreTrainedTokenizerBase

from chiasm.data.example import Turn
from chiasm.data.render import Rendered
from chiasm.data.template import spread
from chiasm.errors import ChiasmError, Misuse
from chiasm.stream.identity import Role


def render_chat(
    tokenizer: PreTrainedTokenizerBase,
    image_token: str,
    images: Sized,
    turns: Sequence[Turn],
    *,
    system: str = "",
) -> list[Rendered]:
    """The ids of a prompt up to where its last answer begins, in the template's own words.

    Images stand where the turns' places say, by default before the first question. An image token
    typed by the user is refused: the template could not tell it from an image. A model without
    images has an empty image token.
    """
    if image_token and any(image_token in turn.question + turn.answer for turn in turns):
        raise Misuse(f"the question holds {image_token}, which stands for an image; leave it out")
    places = spread(len(images), turns)
    write = _content if _takes_parts(tokenizer) else _plain
    messages: list[dict[str, Any]] = []
    if system:
        messages.append({"role": "system", "content": write(system, ())})
    for number, (turn, at) in enumerate(zip(turns, places, strict=True)):
        messages.append({"role": "user", "content": write(turn.question, at)})
        if number < len(turns) - 1:
            messages.append({"role": "assistant", "content": write(turn.answer, ())})
    try:
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    except (TemplateError, TypeError, ValueError, KeyError) as error:
        raise ChiasmError(f"the folder's chat template refuses the conversation: {error}") from None
    parts = str(text).split(image_token) if image_token else [str(text)]
    if len(parts) != len(images) + 1:
        raise ChiasmError(
            f"the folder's chat template writes {len(parts) - 1} places for {len(images)} images; "
            "its template takes no images"
        )
    out: list[Rendered] = []
    for at, part in enumerate(parts):
        if at:
            out.append(Rendered([], Role.USER, False, at - 1, 0))
        ids: list[int] = tokenizer(part, add_special_tokens=at == 0)["input_ids"] if part else []
        # A template that writes its own start must not get a second one.
        if len(ids) > 1 and ids[0] == ids[1] == tokenizer.bos_token_id:
            ids = ids[1:]
        if ids:
            out.append(Rendered(ids, Role.USER, False, None, 0))
    return out


def _takes_parts(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether the template reads a message as a list of parts; older ones read it as a text."""
    probe: list[dict[str, Any]] = [{"role": "user", "content": _content("probe", ())}]
    try:
        text = tokenizer.apply_chat_template(probe, tokenize=False)
    except (TemplateError, TypeError, ValueError, KeyError):
        return False
    return "probe" in str(text) and "'text'" not in str(text)


def _plain(question: str, places: Sequence[int]) -> str:
    """A message as its text alone."""
    return question


def _content(question: str, places: Sequence[int]) -> list[dict[str, Any]]:
    """A question's parts, its images among them."""
    out: list[dict[str, Any]] = []
    for start, end in pairwise((0, *places, len(question))):
        if question[start:end]:
            out.append({"type": "text", "text": question[start:end]})
        out.append({"type": "image"})
    return out[:-1]
