"""Raw patches: nothing is computed before the trunk."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor, nn

from chiasm.errors import Misuse
from chiasm.spec import Size, Work
from chiasm.stream import Features


@dataclass(frozen=True, kw_only=True)
class RawPatches:
    """The pixels of every whole patch, channel by channel; what is left at the edges is left out.

    A connector maps them to rows (ViLT, BEiT-3): an encoder without a parameter.
    """

    patch: int

    @property
    def width(self) -> int:
        return 3 * self.patch**2

    def grid(self, size: Size) -> tuple[int, int]:
        rows, columns = size[0] // self.patch, size[1] // self.patch
        if not rows or not columns:
            raise Misuse(
                f"{size[0]} x {size[1]} pixels hold no patch of {self.patch}; enlarge the image"
            )
        return rows, columns

    def build(self) -> "RawPatchesEncoder":
        return RawPatchesEncoder(self.patch)

    def work(self, size: Size) -> Sequence[Work]:
        return ()


class RawPatchesEncoder(nn.Module):
    """Images `[image, 3, height, width]` to features `[image, patch, 3 * side * side]`."""

    def __init__(self, patch: int) -> None:
        super().__init__()
        self.patch = patch

    def forward(
        self,
        images: Float[Tensor, "image 3 height width"],
        image_valid: Bool[Tensor, "image height width"] | None = None,
    ) -> Features:
        """Patches in reading order; one is valid when all of it is the image's own."""
        p = self.patch
        cells = images.unfold(2, p, p).unfold(3, p, p)
        rows, columns = cells.shape[2:4]
        tokens = cells.permute(0, 2, 3, 1, 4, 5).flatten(1, 2).flatten(2)
        valid = None
        if image_valid is not None:
            valid = image_valid.unfold(1, p, p).unfold(2, p, p).flatten(3).all(-1).flatten(1)
        return Features(tokens, (rows, columns), valid)
