"""The latent of a picture as rows: patches of an autoencoder's cells, or of the pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from chiasm.spec.host import Host
from chiasm.spec.work import Work


class Context(StrEnum):
    """Which pictures of a prompt enter as clean latents, besides what an encoder makes of them.

    never: none. drawing: those before a picture that is to be drawn (BAGEL). always: all (X-Fusion,
    which has no encoder).
    """

    NEVER = "never"
    DRAWING = "drawing"
    ALWAYS = "always"


@dataclass(frozen=True, kw_only=True)
class Latent:
    """A picture of `height x width` pixels as patches of `patch x patch` cells.

    A cell holds `channels` numbers of `stride x stride` pixels: 3 and 1 are the pixels themselves,
    which need no autoencoder; 16 and 8 are the sizes of FLUX's.
    """

    height: int
    width: int
    patch: int
    stride: int = 1
    channels: int = 3

    def __post_init__(self) -> None:
        side = self.patch * self.stride
        if self.height % side or self.width % side:
            raise ValueError(
                f"a picture of {self.height} x {self.width} pixels is not made of patches of "
                f"{side} x {side}"
            )

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        side = self.patch * self.stride
        return self.height // side, self.width // side

    @property
    def rows(self) -> int:
        """Rows of the sequence that one picture occupies."""
        return self.grid[0] * self.grid[1]

    @property
    def row_width(self) -> int:
        """Numbers in one patch."""
        return self.patch**2 * self.channels


class DrawsNothing:
    """What a head is that draws no pictures."""

    @property
    def latent(self) -> Latent | None:
        return None

    @property
    def context(self) -> Context:
        return Context.NEVER

    def latent_work(self, host: Host) -> Sequence[Work]:
        return ()
