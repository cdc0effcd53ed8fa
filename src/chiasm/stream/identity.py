"""The names a row of the token table can carry."""

from enum import IntEnum


class Modality(IntEnum):
    """What a row stands for. Text is 0, so `modality > 0` reads "a media row"."""

    TEXT = 0
    IMAGE = 1
    VIDEO = 2
    AUDIO = 3
    SPEECH = 4
    DOCUMENT = 5
    LATENT = 6
    """Latents of an image that is being made, noised or clean."""
    LEARNED = 7
    """Learned rows: fusion tokens, queries, a slot that a layer fills."""


class Role(IntEnum):
    """Who says a row: the system prompt, the user, the tag that opens the answer, the assistant.

    A draft is what the assistant is about to show: latents on their way from noise to a picture.
    """

    SYSTEM = 0
    USER = 1
    TAG = 2
    ASSISTANT = 3
    DRAFT = 4


SHARED = 0
"""The packing segment that every other segment of the sample may see (the common prefix)."""
