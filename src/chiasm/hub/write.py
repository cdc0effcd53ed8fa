"""Export: a folder that stock transformers opens, with equal logits."""

from dataclasses import replace
from pathlib import Path

from transformers import GenerationConfig, PreTrainedTokenizerBase

from chiasm.errors import ChiasmError
from chiasm.hub.folder import tokens_of_tokenizer, write_weights, write_whole
from chiasm.hub.formats import written
from chiasm.hub.module import KeywordModel
from chiasm.hub.tokens import SpecialTokens
from chiasm.model import Model


def export(
    model: Model | KeywordModel,
    folder: str | Path,
    tokenizer: PreTrainedTokenizerBase | None = None,
    *,
    image_token: int | None = None,
) -> Path:
    """Write a transformers folder, complete or not at all; returns it.

    Text decoders open with `AutoModelForCausalLM`, LLaVA and Idefics2 with
    `AutoModelForImageTextToText`. Token ids come from the tokenizer, else from the checkpoint the
    model was loaded from; `image_token` overrides the id of the image token.

    Raises:
        ChiasmError: an answer that no transformers model has; the message names it.
    """
    inner, tokens = _parts(model, tokenizer, image_token)
    config, names, _ = written(inner.answers, tokens)

    def write(target: Path) -> None:
        write_weights(inner, names, config, target)
        GenerationConfig(**tokens.entries()).save_pretrained(target)
        if tokenizer is not None:
            tokenizer.save_pretrained(target)

    return write_whole(Path(folder), write)


def exportable(model: Model | KeywordModel, *, image_token: int | None = None) -> str | None:
    """Why the model cannot be exported, in one line; None if it can."""
    inner, tokens = _parts(model, None, image_token)
    if tokens.image is None:
        # The id is known at the latest when a tokenizer is given; any stands for it here.
        tokens = replace(tokens, image=0)
    try:
        written(inner.answers, tokens)
    except ChiasmError as error:
        return str(error)
    return None


def _parts(
    model: Model | KeywordModel,
    tokenizer: PreTrainedTokenizerBase | None,
    image_token: int | None,
) -> tuple[Model, SpecialTokens]:
    tokens = SpecialTokens()
    if isinstance(model, KeywordModel):
        model, tokens = model.model, model.tokens
    if tokenizer is not None:
        tokens = tokens_of_tokenizer(tokenizer)
    return model, tokens if image_token is None else replace(tokens, image=image_token)
