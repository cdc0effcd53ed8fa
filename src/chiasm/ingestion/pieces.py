"""Long text in pieces that an embedder reads whole."""

from collections.abc import Iterator, Sequence

SIZE = 1_200
"""Characters of a piece, about 256 of an English tokenizer's tokens."""

Line = tuple[int, str]
"""Its number, from 0, and what it says."""


def pieces(lines: Sequence[str], size: int = SIZE) -> Iterator[list[Line]]:
    """All lines, in runs of at most `size` characters, line ends counted.

    A run ends after an empty line where one stands in its second half. A line longer than `size` is
    cut, at a blank if its second half has one; its parts keep its number.
    """
    run: list[Line] = []
    length = 0
    for line in (
        (number, part) for number, whole in enumerate(lines) for part in _cut(whole, size)
    ):
        added = len(line[1]) + 1
        if run and length + added > size:
            end = _last_blank(run, length)
            yield run[:end]
            run = run[end:]
            length = sum(len(part) + 1 for _, part in run)
            if run and length + added > size:
                yield run
                run, length = [], 0
        run.append(line)
        length += added
    if run:
        yield run


def _last_blank(run: list[Line], length: int) -> int:
    """How much of a run to take: up to its last empty line, if that is at least half of it."""
    taken = length
    for end in range(len(run), 0, -1):
        if taken * 2 < length:
            break
        if not run[end - 1][1].strip():
            return end
        taken -= len(run[end - 1][1]) + 1
    return len(run)


def _cut(line: str, size: int) -> Iterator[str]:
    """Parts of at most `size - 1` characters, so that each has room for its line end."""
    while len(line) >= size:
        blank = line.rfind(" ", size // 2, size - 1)
        end = blank + 1 if blank > 0 else size - 1
        yield line[:end]
        line = line[end:]
    yield line
