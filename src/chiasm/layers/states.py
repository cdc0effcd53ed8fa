"""A state that visits modalities one after the other: what a missing one leaves as it is."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


class StateSteps(nn.Module):
    """s_0 learned; s_m = E_m([x_m; s_{m-1}]) where modality m is there, else s_{m-1}
    (MultiModN, arXiv 2309.14118).

    E_m = Linear(hidden to state) drop(ReLU(Linear(width_m + state to hidden))), one a modality.
    """

    def __init__(
        self, widths: Sequence[int], *, state: int, hidden: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.start = nn.Parameter(torch.randn(state))
        self.encoders = nn.ModuleList(
            nn.Sequential(
                nn.Linear(width + state, hidden),
                nn.ReLU(),
                nn.Dropout(dropout),
                nn.Linear(hidden, state),
            )
            for width in widths
        )

    def forward(
        self,
        features: Sequence[Float[Tensor, "*row _"]],
        present: Bool[Tensor, "*row modality"],
        order: Sequence[int] | None = None,
    ) -> Float[Tensor, "*row step state"]:
        """All states, s_0 first. Modalities come as counted or in `order`; what the features of an
        absent one hold (NaN, say) is not read and gets no gradient.
        """
        state = self.start.expand(*present.shape[:-1], -1)
        states = [state]
        for at in range(len(self.encoders)) if order is None else order:
            here = present[..., at, None]
            given = features[at].masked_fill(~here, 0.0)
            state = torch.where(here, self.encoders[at](torch.cat([given, state], -1)), state)
            states.append(state)
        return torch.stack(states, -2)


def mean_change(
    states: Float[Tensor, "*row step state"], present: Bool[Tensor, "*row modality"]
) -> Float[Tensor, ""]:
    """Mean square of what a present modality changes in the state, averaged over modalities and
    rows; an absent one changes nothing. Steps are in the order of `present`.
    """
    change = (states[..., 1:, :] - states[..., :-1, :]).square().mean(-1)
    return (change * present).mean()
