"""Capsules: a vector becomes poses with activations, routed to each other by self-attention."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from chiasm.embedders.states import States
from chiasm.layers import attend, merge_heads, split_heads
from chiasm.stream import Permission


@dataclass(frozen=True, kw_only=True)
class CapsuleHead:
    """Routing by self-attention (Duarte et al., arXiv 2112.00775), token by token:

        p, s = W x * sigmoid(U W x),  a = sigmoid(s)             N poses of `pose`, N activations
        r_i  = sum_j a_j e_ij V p_j / sum_j a_j e_ij,  e_ij = exp(Q p_i . K p_j / sqrt(d))
        o_i  = W_o r_i,  b_i = a_i sigmoid(w . o_i)
        y    = W_y [b_1 o_1; …; b_N o_N]

    in one pass, heads side by side. A capsule of activation 0 is neither read nor passed on.
    """

    out: int
    capsules: int = 128
    pose: int = 32
    heads: int = 4

    def __post_init__(self) -> None:
        if self.pose % self.heads:
            raise ValueError(f"{self.heads} heads cannot share poses of {self.pose}; divide it")

    def width(self, width: int) -> int:
        return self.out

    def build(self, width: int) -> "Capsules":
        return Capsules(self, width)


class Capsules(nn.Module):
    """`[item, token, width]` to `[item, token, out]`."""

    def __init__(self, config: CapsuleHead, width: int) -> None:
        super().__init__()
        self.capsules, self.pose = config.capsules, config.pose
        many = config.capsules * (config.pose + 1)
        self.primary, self.gate = nn.Linear(width, many), nn.Linear(many, many)
        self.route = Routing(config.pose, config.heads)
        self.joint = nn.Linear(config.capsules * config.pose, config.out)

    def forward(self, states: States) -> States:
        poses, activations = self.made(states.tokens.flatten(0, -2))
        poses, activations = self.route(poses, activations)
        weighed = (poses * activations.unsqueeze(-1)).flatten(-2)
        return states.carrying(self.joint(weighed).unflatten(0, states.tokens.shape[:-1]))

    def made(self, x: Float[Tensor, "row width"]) -> tuple[Tensor, Float[Tensor, "row capsule"]]:
        """The primary capsules: poses `[row, capsule, pose]` and activations."""
        hidden = self.primary(x)
        hidden = hidden * self.gate(hidden).sigmoid()
        poses, scores = hidden.split([self.capsules * self.pose, self.capsules], -1)
        return poses.unflatten(-1, (self.capsules, self.pose)), scores.sigmoid()


class Routing(nn.Module):
    """Capsules to capsules, in one pass of attention whose keys weigh as they are active."""

    def __init__(self, pose: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(pose, pose, bias=False) for _ in range(3))
        self.output = nn.Linear(pose, pose)
        self.active = nn.Linear(pose, 1)

    def forward(
        self,
        poses: Float[Tensor, "row capsule pose"],
        activations: Float[Tensor, "row capsule"],
    ) -> tuple[Float[Tensor, "row capsule pose"], Float[Tensor, "row capsule"]]:
        q, k, v = (
            split_heads(part(poses), self.heads) for part in (self.query, self.key, self.value)
        )
        # Softmax weights times activations, renormalised: a further channel sums the weights.
        a = activations[:, None, :, None].expand(-1, self.heads, -1, -1)
        read = attend(q, k, v * a, Permission())
        total = attend(q, k, a.expand_as(v), Permission())
        routed = self.output(merge_heads(read / total.clamp(min=1e-9)))
        return routed, activations * self.active(routed).squeeze(-1).sigmoid()
