"""Widths of maps that stand side by side along the channels."""

from chiasm.errors import Misuse


def widths_of(shares: tuple[int, ...], width: int) -> tuple[int, ...]:
    """Each map's part of features `width` wide, in proportion to `shares`.

    Raises:
        Misuse: the shares do not divide the features' width.
    """
    whole = sum(shares)
    if any(width * share % whole for share in shares):
        raise Misuse(f"shares {shares} do not divide features of width {width}")
    return tuple(width * share // whole for share in shares)
