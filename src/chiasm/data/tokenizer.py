"""A byte-level BPE tokenizer fitted on the training text, for models that start from nothing."""

from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from chiasm.errors import ChiasmError, Misuse

SPECIAL = {
    "pad_token": "<pad>",
    "bos_token": "<bos>",
    "eos_token": "<eos>",
    "image_token": "<image>",
    "user_token": "<user>",
    "assistant_token": "<assistant>",
}
"""Ids 0 to 5, in this order."""

_SMALLEST = len(SPECIAL) + 256


def fit_tokenizer(texts: Iterable[str], vocabulary_size: int) -> PreTrainedTokenizerFast:
    """Learn merges from the texts: the same texts give the same tokenizer.

    Every byte is a token, so any string survives encoding and decoding, but for its capitals where
    the texts have none: then capitals are folded, since a model could not know their pieces. The
    vocabulary (specials included) may come out smaller if the texts run out of pairs. Raises Misuse
    below 262.
    """
    if vocabulary_size < _SMALLEST:
        raise Misuse(
            f"vocabulary_size {vocabulary_size} is below {_SMALLEST}, the {len(SPECIAL)} special "
            f"tokens and 256 bytes; ask for more"
        )
    texts = list(texts)
    core = Tokenizer(models.BPE())
    if all(text == text.lower() for text in texts):
        core.normalizer = normalizers.Lowercase()
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=list(SPECIAL.values()),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    core.train_from_iterator(texts, trainer)
    named = {name: SPECIAL[name] for name in ("pad_token", "bos_token", "eos_token")}
    extra = {name: token for name, token in SPECIAL.items() if name not in named}
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        clean_up_tokenization_spaces=False,
        extra_special_tokens=extra,
        **named,
    )


def open_tokenizer(folder: str | Path) -> PreTrainedTokenizerBase:
    """The tokenizer saved in a checkpoint folder; nothing is fetched and no code of it is run."""
    if not Path(folder).is_dir():
        raise Misuse(f"{folder}: no such folder; point at a checkpoint with a tokenizer.json")
    try:
        return AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, use_fast=True
        )
    except (OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise ChiasmError(f"{folder}: no tokenizer could be opened ({reason:.200})") from None
