"""The card of multimodal-capsules: capsules that route by one pass of self-attention."""

import pytest
import torch
from tests.embedders.few import card
from tests.operator_count import operator_macs

from chiasm.embedders.stages.capsules import CapsuleHead, Routing
from chiasm.spec.embedder import registered_embedders


def capsules(pose: int = 8) -> tuple[Routing, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return Routing(pose, heads=2), torch.randn(3, 5, pose), torch.rand(3, 5)


@card("multimodal-capsules")
def test_routing_equals_the_equations():
    route, poses, a = capsules()
    found, active = route(poses, a)
    for row in range(3):
        q, k, v = (
            part(poses[row]).unflatten(-1, (2, 4)) for part in (route.query, route.key, route.value)
        )
        for i in range(5):
            heads = []
            for head in range(2):
                e = a[row] * (k[:, head] @ q[i, head] / 4**0.5).exp()
                heads.append((e / e.sum()) @ v[:, head])
            pose = route.output(torch.cat(heads))
            torch.testing.assert_close(found[row, i], pose, rtol=1e-4, atol=1e-5)
            assert active[row, i].item() == pytest.approx(
                float(a[row, i] * route.active(pose).sigmoid()), rel=1e-4
            )


@card("multimodal-capsules")
def test_another_order_of_capsules_gives_them_in_that_order():
    route, poses, a = capsules()
    order = torch.tensor([3, 0, 4, 1, 2])
    found, active = route(poses, a)
    again, active_again = route(poses[:, order], a[:, order])
    torch.testing.assert_close(again, found[:, order])
    torch.testing.assert_close(active_again, active[:, order])


@card("multimodal-capsules")
def test_a_capsule_of_activation_zero_is_removed():
    route, poses, a = capsules()
    a[:, 2] = 0.0
    kept = [0, 1, 3, 4]
    found, active = route(poses, a)
    without, active_without = route(poses[:, kept], a[:, kept])
    torch.testing.assert_close(found[:, kept], without)
    torch.testing.assert_close(active[:, kept], active_without)
    assert not active[:, 2].any()


@card("multimodal-capsules")
def test_routing_costs_its_pairs_once_and_its_parameters_depend_on_the_pose_alone():
    def macs(many: int) -> int:
        route, poses, a = Routing(8, heads=2), torch.randn(1, many, 8), torch.rand(1, many)
        return operator_macs(lambda: route(poses, a))

    # Linear maps N (4 d^2 + d), and two reads of 2 N^2 d.
    assert macs(6) == 6 * (4 * 64 + 8) + 2 * 2 * 36 * 8
    assert macs(12) == 12 * (4 * 64 + 8) + 2 * 2 * 144 * 8
    paper, small = (
        registered_embedders()["multimodal-capsules"].at(scale) for scale in ("paper", "smol")
    )
    assert [one.encode[0].project.capsules for one in (paper, small)] == [128, 64]
    sizes = [sum(p.numel() for p in Routing(32, 4).parameters()) for _ in (128, 64)]
    assert sizes == [3 * 32**2 + 33 * 32 + 33] * 2
    with pytest.raises(ValueError, match="5 heads cannot share poses of 32"):
        CapsuleHead(out=8, heads=5)
