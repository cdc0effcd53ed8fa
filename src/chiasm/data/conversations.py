r"""Your own data: LLaVA's JSON or messages JSONL, read record by record into examples.

Two record forms, in a JSON list or one a line (JSONL):

    {"id": "7", "image": "7.png", "conversations": [
        {"from": "human", "value": "<image>\nWhat is this?"},
        {"from": "gpt", "value": "A cup."}]}
    {"images": ["7.png"], "messages": [
        {"role": "user", "content": "<image>What is this?"},
        {"role": "assistant", "content": "A cup."}]}

Images may be one name or a list. `"independent": true` says that the questions do not follow one
another. Every `<image>` stands for one image, in order; with none, the images come first.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from chiasm.data.example import Example, Turn
from chiasm.data.records import read_records
from chiasm.data.source import is_remote, printable
from chiasm.errors import ChiasmError, Misuse

SUFFIXES = (".json", ".jsonl")
MARK = "<image>"

_ROLES = {"human": "user", "gpt": "assistant"}


def read_conversations(path: Path, image_folder: Path | None = None) -> tuple[Example, ...]:
    """Every record of the file; images by path, checked to exist, none opened.

    Image names are relative to `image_folder`, by default the file's own. Raises ChiasmError naming
    the file and the record (place in the file and id) that is malformed, or the image missing.
    """
    folder = path.parent if image_folder is None else image_folder
    if not folder.is_dir():
        raise Misuse(f"{printable(str(folder))}: no such image folder; check image_folder")
    examples = []
    for place, record in read_records(path):
        try:
            examples.append(_example(record, str(place), folder))
        except ChiasmError as error:
            told = f" (id {record['id']!r})" if isinstance(record, dict) and "id" in record else ""
            raise ChiasmError(f"{printable(str(path))}: record {place}{told}: {error}") from None
    if not examples:
        raise ChiasmError(f"{printable(str(path))}: holds no records; check the file")
    return tuple(examples)


def _example(record: Any, place: str, folder: Path) -> Example:
    if not isinstance(record, dict):
        raise ChiasmError(f"is a {type(record).__name__}, not an object; see the LLaVA format")
    for kind in ("videos", "video", "audios", "audio"):
        if record.get(kind):
            raise ChiasmError(f"has {kind!r}; only images are read, so take the entry out")
    images = tuple(_image(name, folder) for name in _image_names(record))
    system, turns = _turns(list(_utterances(record)))
    marks = sum(len(turn.places) for turn in turns)
    if marks and marks != len(images):
        raise ChiasmError(
            f"{marks} {MARK} in the questions but {len(images)} images; write one {MARK} an image"
        )
    if turns[0].places == (0,) * marks:
        # All in front of the first question: what an example without places means.
        turns = (replace(turns[0], places=()), *turns[1:])
    independent = record.get("independent", False)
    if independent and any(turn.places for turn in turns):
        raise ChiasmError(f"independent questions share their images: put every {MARK} in front")
    name = record.get("id", place)
    return Example(str(name), images, turns, bool(independent), system)


def _image_names(record: dict[str, Any]) -> list[Any]:
    names = record.get("images", record.get("image"))
    if names is None:
        return []
    return names if isinstance(names, list) else [names]


def _image(name: Any, folder: Path) -> Path:
    if not isinstance(name, str) or not name:
        raise ChiasmError(f"an image is named by text, not {name!r:.80}; write its path")
    if is_remote(name) or name.startswith("data:"):
        raise ChiasmError(
            f"image {printable(name, 80)}: only files are read; save it and write its path"
        )
    path = folder / name
    try:
        found = path.is_file()
    except (OSError, ValueError):
        found = False
    if not found:
        raise ChiasmError(f"image {printable(str(path))} is missing; check image_folder")
    return path


def _utterances(record: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(role, text) of every utterance, the roles in OpenAI's words."""
    for form, who, what in (("conversations", "from", "value"), ("messages", "role", "content")):
        if form not in record:
            continue
        if not isinstance(record[form], list):
            raise ChiasmError(f"{form!r} is not a list; see the LLaVA format")
        for number, entry in enumerate(record[form]):
            if not isinstance(entry, dict) or who not in entry or what not in entry:
                raise ChiasmError(f"{form}[{number}] lacks {who!r} or {what!r}; add it")
            role = str(entry[who])
            yield _ROLES.get(role, role), _text(entry[what], f"{form}[{number}]")
        return
    raise ChiasmError("has neither 'conversations' nor 'messages'; see the LLaVA format")


def _text(content: Any, place: str) -> str:
    """Text as such; a list of `{"type": "text"|"image"}` parts with a mark for every image."""
    if isinstance(content, str):
        return content
    pieces = []
    for part in content if isinstance(content, list) else [content]:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text" and isinstance(part.get("text"), str):
            pieces.append(part["text"])
        elif kind == "image" and set(part) == {"type"}:
            pieces.append(MARK)
        else:
            raise ChiasmError(
                f"{place} is not text, nor text parts and {{'type': 'image'}}; "
                f"name the images in 'images'"
            )
    return "".join(pieces)


def _turns(said: list[tuple[str, str]]) -> tuple[str, tuple[Turn, ...]]:
    """The system prompt (may be empty) and the turns, which must alternate user and assistant."""
    system = said.pop(0)[1].strip() if said and said[0][0] == "system" else ""
    roles = [role for role, _ in said]
    if not said or roles != ["user", "assistant"] * (len(said) // 2):
        order = ", ".join(map(str, roles)) or "nothing"
        raise ChiasmError(f"must alternate a question and an answer, but holds {order:.80}")
    turns = []
    for (_, question), (_, answer) in zip(said[::2], said[1::2], strict=True):
        if MARK in answer:
            raise ChiasmError(f"an answer holds {MARK}; only questions may")
        text, places = _places(question)
        turns.append(Turn(text, answer.strip(), places))
    return system, tuple(turns)


def _places(question: str) -> tuple[str, tuple[int, ...]]:
    """The question without marks, and where they stood.

    A single mark goes to the front, as in LLaVA's own training code, which lets its data put the
    picture before or after the question. Of several, each stays where it is.
    """
    first, *rest = question.split(MARK)
    if len(rest) <= 1:
        return (first + "".join(rest)).strip(), (0,) * len(rest)
    text, places = first.lstrip(), []
    for part in rest:
        places.append(len(text))
        text += part.removeprefix("\n")
    kept = text.rstrip()
    return kept, tuple(min(place, len(kept)) for place in places)
