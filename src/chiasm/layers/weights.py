"""Plain layers that are called as a layer's weights are: `(x, reading)`, the reading unused."""

from torch import Tensor, nn


class Linear(nn.Linear):
    """W x + b for every row alike."""

    def forward(self, input: Tensor, reading: object = None) -> Tensor:
        return super().forward(input)


class RMSNorm(nn.RMSNorm):
    """x / rms(x) * w for every row alike (arXiv 1910.07467)."""

    def forward(self, x: Tensor, reading: object = None) -> Tensor:
        return super().forward(x)


class LayerNorm(nn.LayerNorm):
    """(x - mean) / std * w + b for every row alike (arXiv 1607.06450)."""

    def forward(self, input: Tensor, reading: object = None) -> Tensor:
        return super().forward(input)
