"""Which answers go together: what each one needs of what the others provide, by sizes alone."""

from collections.abc import Iterator
from typing import Any

from chiasm.errors import Misuse
from chiasm.spec.answers import Answers
from chiasm.spec.geometry import geometry


class Unfit(Misuse, ValueError):
    """Answers that do not go together."""


_PROBES = (64, 64), (211, 37)
"""Two images of other shapes: views that fit both to one plan fit every image to it."""

_TOKENS = 7
"""Any number of tokens."""

_GRIDS = (6, 12), (12, 12)
"""Grids that neighbours can be joined on."""


def check_fit(answers: Answers) -> None:
    """Refuse answers that do not go together, before anything is allocated.

    Raises:
        Unfit: names what is needed and what is there instead.
    """
    _axes(answers)
    _states(answers)
    if not _looks(answers):
        _nothing(answers)
        return
    _entrance(answers)
    _maps(answers)
    _left_out(answers)
    _ids(answers)
    _projectors(answers)
    _widths(answers)
    if len({answers.views.plan(size) for size in _PROBES}) == 1:
        _counts(answers)


def _looks(answers: Answers) -> bool:
    return bool(answers.views.plan(_PROBES[0]))


def _axes(answers: Answers) -> None:
    """The host's rotations read as many axes as positions have."""
    sections, axes = len(answers.host.rope_sections), answers.positions.axes
    most = answers.fusion.most_axes
    if most is not None and axes > most:
        raise Unfit(
            f"positions are numbered along {axes} axes, but the fusion numbers its rows along "
            f"{most}; choose positions of {most}"
        )
    if sections > axes:
        raise Unfit(
            f"the host turns heads by {sections} axes of positions, but positions are numbered "
            f"along {axes}; choose positions of {sections} axes, or a host without sections"
        )


def _states(answers: Answers) -> None:
    """States on the way to an answer are for a head of their own."""
    head: Any = answers.head
    given, read = answers.fusion.gives_states, bool(getattr(head, "reads_states", False))
    if given != read:
        raise Unfit(
            "the fusion leaves states to the head, which reads rows; choose a head of states"
            if given
            else "the head reads states, but the fusion leaves rows to it; choose a fusion that "
            "changes states, or a head of words"
        )


def _within(connector: Any) -> Iterator[Any]:
    """A connector, and those inside it."""
    while connector is not None:
        yield connector
        connector = getattr(connector, "each", None)


def _maps(answers: Answers) -> None:
    """Connectors that read maps beside each other, or views of one size."""
    encoder: Any = answers.encoder
    for one in _within(answers.connector):
        if hasattr(one, "windows") and not getattr(encoder, "gives_maps", False):
            raise Unfit(
                f"the connector reads {len(one.windows)} maps, but the encoder gives one row of "
                "features; set encoders side by side as maps"
            )
        if getattr(one, "one_size", False):
            targets = {v.target for size in _PROBES for v in answers.views.plan(size)}
            if len(targets) > 1:
                raise Unfit(
                    "the connector cannot leave padding out, but views follow the image's shape; "
                    "plan views of one size"
                )


def _left_out(answers: Answers) -> None:
    """Tokens may be missing: what reads them maps each by itself, or all to a fixed number."""
    if not getattr(answers.encoder, "leaves_out", False):
        return
    counts = [answers.connector.count(grid) for grid in _GRIDS]
    each = counts == [rows * columns for rows, columns in _GRIDS]
    if len(set(counts)) > 1 and not each:
        raise Unfit(
            "the encoder leaves tokens out, but the connector joins neighbours; choose one that "
            "maps each token, or reads all of them into a fixed number"
        )
    many = _GRIDS[1][0] * _GRIDS[1][1]
    if answers.compression.count(many) != many:
        raise Unfit(
            "the encoder leaves tokens out, but fewer are kept after it by number; choose no "
            "compression"
        )


def _nothing(answers: Answers) -> None:
    """Where nothing is looked at there is nothing to connect."""
    if answers.connector.width(1, 1):
        raise Unfit(
            "nothing is looked at, so the connector has no features to connect; "
            "plan views and name an encoder, or answer with no connector"
        )


def _entrance(answers: Answers) -> None:
    """Images are looked at: an encoder reads them and a fusion takes them up."""
    if not answers.encoder.width:
        raise Unfit("views are planned, but no encoder reads them; name one, or plan no views")
    if not answers.connector.width(answers.encoder.width, answers.host.width):
        raise Unfit("images are looked at, but no connector makes tokens of them; name one")
    if not (answers.fusion.enters or answers.fusion.reads_memory):
        raise Unfit("images are looked at, but no fusion takes them up; name one")


def _ids(answers: Answers) -> None:
    """Ids are looked up in a table; only features can be multiplied."""
    encoder: Any = answers.encoder
    connector: Any = answers.connector
    given = getattr(encoder, "codes", None)
    passes, table = hasattr(connector, "codes"), getattr(connector, "codes", None)
    if given is None and table is not None:
        raise Unfit(
            f"the connector looks {table:,} codes up, but the encoder gives features "
            f"{encoder.width} wide; choose an encoder of codes, or a connector of features"
        )
    if given is not None and not passes:
        raise Unfit(
            f"the encoder gives ids below {given:,}, which a connector of features cannot "
            "multiply; choose one that looks codes up"
        )
    if given is not None and table is not None and given > table:
        raise Unfit(
            f"the encoder gives ids below {given:,}, the connector's table ends at {table:,}"
        )
    if answers.fusion.token_width(answers.host) == 1:
        words = answers.host.vocabulary
        if given is None or (answers.fusion.enters and given > words):
            there = f"features {encoder.width} wide" if given is None else f"ids below {given:,}"
            raise Unfit(
                f"tokens are to be ids (the host knows {words:,}), but the encoder gives {there}; "
                "choose an encoder of bytes or codes among the host's words"
            )


def _projectors(answers: Answers) -> None:
    """Layers that project features for themselves, and a connector that leaves that to them."""
    own = answers.fusion.projects
    if own != answers.connector.layerwise:
        raise Unfit(
            "every layer projects the features itself, so the connector is to be one a layer; "
            "wrap it in PerLayer"
            if own
            else "the connector is one a layer, but the fusion reads tokens that are connected "
            "once; name it without PerLayer, or choose a fusion whose layers project"
        )


def _widths(answers: Answers) -> None:
    """Tokens that take rows are as wide as rows, and so are words that a connector reads."""
    host, fusion, connector = answers.host, answers.fusion, answers.connector
    wanted = fusion.token_width(host)
    given = connector.width(answers.encoder.width, wanted)
    bound = fusion.enters or fusion.as_wide or wanted != host.width
    if bound and not connector.layerwise and given != wanted:
        raise Unfit(
            f"the connector gives tokens {given} wide, but rows are {wanted} wide; "
            "choose a connector that projects to the rows' width, or a fusion that reads a memory"
        )
    if fusion.gives_states and getattr(connector, "browses", False):
        raise Unfit(
            "the connector reads what the host makes of a first pass, but the fusion leaves "
            "states and no rows; choose a connector that does not browse"
        )
    reads = connector.conditioned or any(hasattr(c, "table_rows") for c in _within(connector))
    if reads and wanted != host.width:
        raise Unfit(
            f"the connector reads words {host.width} wide, but makes tokens {wanted} wide; "
            "choose one that asks nothing, or a fusion whose tokens are as wide as the host"
        )
    takes_all = fusion.enters and fusion.placeholders(_TOKENS) == _TOKENS
    if getattr(connector, "finds_rows", False) and not (takes_all and wanted == host.width):
        raise Unfit(
            "the connector is taught by what the host makes of each of its tokens, but the fusion "
            "gives them no rows of the host; choose one that enters them in the sequence"
        )


def _counts(answers: Answers) -> None:
    """Every image becomes the same views: their tokens can be counted now."""
    try:
        geometry(answers, _PROBES[0])
    except (ValueError, ZeroDivisionError) as error:
        raise Unfit(f"the views do not fit what reads them: {error}") from None
