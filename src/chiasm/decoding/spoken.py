"""Text while it is being generated: what of it can no longer change, and where it must stop."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
"""How a decoder writes bytes that are not a character yet."""


@dataclass
class Spoken:
    """An answer that grows by ids; its pieces joined are what the whole answer is, decoded at once.

    A piece is held back while the next id could change it: an unfinished character, a space that
    may turn out to be the last, or the beginning of a stop text.
    """

    spell: Callable[[Sequence[int]], str]
    """Ids to text, the spaces around it kept."""
    stop: tuple[str, ...] = ()
    """Texts that end the answer and are no part of it."""
    ids: list[int] = field(default_factory=list)
    told: str = ""
    """What was given out so far."""
    stopped: bool = False
    """Whether a stop text was said."""

    def add(self, token: int) -> str:
        """The text that is certain now and was not before; often none."""
        self.ids.append(token)
        text = self.spell(self.ids)
        if (end := self._end(text)) is not None:
            self.stopped = True
            return self._tell(text[:end].strip())
        # A piece that no stop text and no character can still swallow.
        kept = text.rstrip(REPLACEMENT)
        return self._tell(kept[: len(kept) - self._open(kept)].strip())

    def rest(self) -> str:
        """What was held back, once no id follows."""
        if self.stopped:
            return ""
        return self._tell(self.spell(self.ids).strip())

    def _end(self, text: str) -> int | None:
        """Where the first stop text begins."""
        found = [at for one in self.stop if (at := text.find(one)) >= 0]
        return min(found, default=None)

    def _open(self, text: str) -> int:
        """The length of the longest ending that may be the beginning of a stop text."""
        lengths = {
            length
            for one in self.stop
            for length in range(1, min(len(one), len(text) + 1))
            if text.endswith(one[:length])
        }
        return max(lengths, default=0)

    def _tell(self, text: str) -> str:
        """The part of a longer text that is still to be told."""
        if not text.startswith(self.told):
            return ""
        piece, self.told = text[len(self.told) :], text
        return piece
