"""One label of what several people answered (VizWiz and VQAv2 ask ten)."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher

from chiasm.errors import Misuse


def label_of(answers: Sequence[str], often: Mapping[str, int]) -> str:
    """The answer that most people gave.

    Of several, the one that is given most `often` in the whole corpus; then the one whose letters
    are most like all the answers'; then the first in the alphabet (Less Is More, arXiv 2206.05281).
    Capitals and spaces around an answer do not count.

    Raises:
        Misuse: nobody answered.
    """
    said = [tidy(one) for one in answers]
    if not any(said):
        raise Misuse("nobody answered: there is no label; give at least one answer")
    times = Counter(one for one in said if one)

    def rank(one: str) -> tuple[int, int, float, str]:
        return -times[one], -often.get(one, 0), -_likeness(one, said), one

    return min(times, key=rank)


def counted(every: Iterable[Sequence[str]]) -> Counter[str]:
    """How often each answer is given in a corpus, over all questions and people."""
    return Counter(tidy(one) for answers in every for one in answers)


def tidy(answer: str) -> str:
    return " ".join(answer.casefold().split())


def _likeness(one: str, answers: Sequence[str]) -> float:
    """The sum of the shares of letters that it has in common with each."""
    return sum(SequenceMatcher(None, one, other, autojunk=False).ratio() for other in answers)
