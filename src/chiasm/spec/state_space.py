"""Sizes of a state-space mixer, its bill, and the state that a sequence of any length needs."""

from collections.abc import Sequence
from dataclasses import dataclass

from chiasm.spec.work import Work, linear


@dataclass(frozen=True, kw_only=True)
class StateSpace:
    """A Mamba-2 mixer (arXiv 2405.21060): `heads` states of `head_width` x `state` numbers.

    The heads of one of `groups` groups share B and C.
    """

    heads: int
    head_width: int
    state: int
    groups: int = 1
    kernel: int = 4
    """Rows that the convolution reads, the current one included."""
    chunk: int = 64
    """Rows that a scan handles as one matrix; changes speed and memory, not the result."""
    bias: bool = False
    """Whether the projections in and out have one."""
    kernel_bias: bool = True
    activation: str = "silu"
    """What follows the convolution."""
    norm_eps: float = 1e-5
    step_limit: tuple[float, float | None] = (0.0, None)
    """Bounds of delta; None: no upper one."""

    def __post_init__(self) -> None:
        if self.heads % self.groups:
            raise ValueError(f"{self.heads} heads cannot share {self.groups} groups evenly")

    @property
    def inner(self) -> int:
        """Width of x, of the gate and of what is projected out."""
        return self.heads * self.head_width

    @property
    def shared(self) -> int:
        """Width of B, and of C."""
        return self.groups * self.state

    @property
    def convolved(self) -> int:
        """Width of x, B and C together."""
        return self.inner + 2 * self.shared

    @property
    def held(self) -> int:
        """Numbers that decoding keeps of a sequence, whatever its length."""
        return self.inner * self.state + self.convolved * (self.kernel - 1)

    def held_bytes(self, size: int) -> int:
        """The same in bytes, `size` a number's; the state itself is kept in float32."""
        return self.inner * self.state * max(size, 4) + self.convolved * (self.kernel - 1) * size

    def scan_work(self, part: str, name: str, rows: int) -> tuple[Work, ...]:
        """Convolution and chunked scan of one sequence of `rows` rows.

        With chunks of Q rows, a row costs Q N for C B^T in each group, Q P for its product with x
        and 2 P N for the states in each head; a last chunk is filled up.
        """
        chunk = min(self.chunk, rows)
        filled = -(-rows // chunk) * chunk if rows else 0
        scores = filled * chunk * self.shared
        values = filled * chunk * self.inner
        states = 2 * filled * self.inner * self.state
        return (
            Work(part, f"{name} convolution", rows * self.convolved * self.kernel),
            Work(part, f"{name} scan", scores + values + states),
        )

    def step_work(self, part: str, name: str) -> tuple[Work, ...]:
        """Convolution and recurrence of one further row: h = a h + (delta x) B^T, y = h C; the
        decay, like the scan's, multiplies and adds nothing.
        """
        return (
            Work(part, f"{name} convolution", self.convolved * self.kernel),
            Work(part, f"{name} recurrence", 2 * self.inner * self.state),
        )

    def work(
        self, part: str, name: str, rows: int, width: int, *, scans: int = 1
    ) -> Sequence[Work]:
        """The whole mixer over one sequence of `rows` rows of `width`, in so many directions."""
        return (
            linear(part, f"{name} projection in", rows, width, self.projected),
            *self.scan_work(part, name, rows) * scans,
            linear(part, f"{name} projection out", rows, self.inner, width),
        )

    def layer_work(self, name: str, rows: int, width: int) -> Sequence[Work]:
        """The mixer of a decoder's layer: a scan, or the recurrence for one further row."""
        if rows > 1:
            return self.work("decoder", name, rows, width)
        return (
            linear("decoder", f"{name} projection in", rows, width, self.projected),
            *self.step_work("decoder", name),
            linear("decoder", f"{name} projection out", rows, self.inner, width),
        )

    @property
    def projected(self) -> int:
        """Width of gate, x, B, C and delta together."""
        return self.inner + self.convolved + self.heads
