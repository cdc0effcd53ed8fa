"""A decoder's matrices in 8 bits while a context is entered; needs the extra `quantise`."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from chiasm.compression.companion import WeightCodec
from chiasm.errors import Misuse


def check_weights() -> None:
    """Refuse where the library is missing.

    Raises:
        Misuse: it is.
    """
    if importlib.util.find_spec("torchao") is None:
        raise Misuse(
            "8-bit weights need torchao, which is not installed: pip install 'chiasm[quantise]'"
        )


def quantise_weights(module: nn.Module, how: WeightCodec) -> None:
    """Replace the matrices of all linear modules inside, for good."""
    check_weights()
    if how.bits != 8:
        raise Misuse(f"weights of {how.bits} bits were asked for; 8 are there")
    # Imported where it is used: an extra.
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    quantize_(module, Int8WeightOnlyConfig())


@contextmanager
def quantised_weights(module: nn.Module, how: WeightCodec) -> Iterator[None]:
    """The same until the context ends; the exact matrices are kept meanwhile."""
    linear = [part for part in module.modules() if isinstance(part, nn.Linear)]
    exact = [(part.weight, set(vars(part))) for part in linear]
    try:
        quantise_weights(module, how)
        yield
    finally:
        for part, (weight, attributes) in zip(linear, exact, strict=True):
            part.weight = weight
            # The library writes another way to print itself on each module.
            for name in vars(part).keys() - attributes:
                delattr(part, name)
