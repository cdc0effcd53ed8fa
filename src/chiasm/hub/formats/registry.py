"""Every format by its model type: a module of this folder with a `FORMAT` is one."""

import functools
import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import fields, replace
from types import MappingProxyType
from typing import Any

from chiasm.errors import ChiasmError
from chiasm.heads import NoHead
from chiasm.hub.formats.format import Format
from chiasm.hub.names import Names
from chiasm.hub.tokens import SpecialTokens
from chiasm.spec import Answers

_COMPARED = (
    *("visibility", "positions", "experts", "compression", "head"),
    *("fusion", "encoder", "connector", "host"),
)
"""The answers that a transformers config must give back; the others are no part of the network."""


@functools.cache
def formats() -> Mapping[str, Format]:
    """By the config's `model_type`."""
    package = importlib.import_module("chiasm.hub.formats")
    found: dict[str, Format] = {}
    for module in sorted(entry.name for entry in pkgutil.iter_modules(package.__path__)):
        format = getattr(importlib.import_module(f"{package.__name__}.{module}"), "FORMAT", None)
        if format is not None:
            for model_type in format.classes:
                if model_type in found:
                    raise ValueError(f"two formats read model_type {model_type!r}")
                found[model_type] = format
    return MappingProxyType(found)


def format_of(config: Any) -> Format:
    """The format of a transformers config.

    Raises:
        ChiasmError: a model type that chiasm does not read.
    """
    if config.model_type not in formats():
        known = ", ".join(formats())
        raise ChiasmError(f"model_type {config.model_type!r} is not read; known: {known}")
    return formats()[config.model_type]


def opened(config: Any) -> tuple[Answers, Names]:
    """The answers that a transformers config stands for, and the names of its tensors.

    Raises:
        ChiasmError: a model type, an architecture or a setting that chiasm does not run.
    """
    format = format_of(config)
    headed = {cls: cls == classes[0] for classes in format.classes.values() for cls in classes}
    given = (getattr(config, "architectures", None) or format.classes[config.model_type])[0]
    if given not in headed:
        raise ChiasmError(f"architecture {given!r} is not read; known: {', '.join(headed)}")
    answers = format.read(config)
    if headed[given]:
        return answers, format.names(config)
    return replace(answers, head=NoHead()), format.headless_names(config)


def written(answers: Answers, tokens: SpecialTokens) -> tuple[Any, Names, Format]:
    """The transformers config of answers, the names of its tensors, and the format.

    Raises:
        ChiasmError: an answer that no transformers model has; the message names the first.
    """
    refusal: ChiasmError | None = None
    for format in _candidates(answers):
        try:
            config = _written(answers, tokens, format)
        except ChiasmError as error:
            refusal = refusal or error
        else:
            return config, format.names(config), format
    assert refusal is not None
    raise refusal


def _written(answers: Answers, tokens: SpecialTokens, format: Format) -> Any:
    for name, value in format.constant.items():
        if getattr(answers, name) != value:
            raise _no_counterpart(name, getattr(answers, name))
    config = format.write(answers, tokens)
    config.architectures = [format.classes[config.model_type][0]]
    back = format.read(config)
    for name in _COMPARED:
        ours, theirs = (_without_origin(getattr(a, name)) for a in (answers, back))
        if ours != theirs:
            raise _no_counterpart(name, ours)
    return config


def _candidates(answers: Answers) -> list[Format]:
    """The formats of the answers' kinds of encoder and connector, of which there is at least one;
    only that of the host's own family where one is named after it.

    Raises:
        ChiasmError: no format has them; the message names the one that is unknown.
    """
    distinct = {id(format): format for format in formats().values()}.values()
    found = [format for format in distinct if type(answers.encoder) in format.encoders]
    if not found:
        raise _no_counterpart("encoder", answers.encoder)
    found = [format for format in found if type(answers.connector) in format.connectors]
    if not found:
        raise _no_counterpart("connector", answers.connector)
    own = [format for format in found if answers.host.family in format.classes]
    return own or found


def _no_counterpart(name: str, value: Any) -> ChiasmError:
    return ChiasmError(
        f"{name} = {value!s:.200} has no transformers counterpart; keep the chiasm folder"
    )


def _without_origin(answer: Any) -> Any:
    """The answer without where its weights came from and how fresh ones were drawn."""
    held = {field.name for field in fields(answer)} & {"weights", "embedding_std"}
    return replace(answer, **dict.fromkeys(held)) if held else answer
