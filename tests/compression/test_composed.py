"""What runs together, and why the rest does not."""

import pytest

from chiasm.compression.companion import companions
from chiasm.compression.composed import composed
from chiasm.compression.endpoints import Quantiles, Scaled
from chiasm.compression.exits import EarlyExits
from chiasm.compression.method import HostShape, method, methods
from chiasm.compression.methods.visual_kv_quant import VisualKVQuant
from chiasm.compression.uses import Axis, Means, Uses, check_together, uses_of
from chiasm.errors import Misuse

SHAPE = HostShape(depth=7, first=1, blocks=5, class_token=True)


@pytest.mark.evidence(slug="visual-kv-quant", grade="lawful")
@pytest.mark.parametrize(
    "bits, scales, calibration",
    [(1, (0.5, 0.3), 3.0), (2, (1, 1), 3.0), (4, (1, 1), 0.0), (8, (1, 1), 0.0)],
)
def test_published_settings(bits, scales, calibration):
    how = composed("visual-kv-quant", settings={"bits": bits}).precision.visual_kv
    assert how is not None
    assert (how.keys.endpoints, how.values.endpoints) == tuple(map(Scaled, scales))
    assert (how.keys.bits, how.values.bits, how.calibration) == (bits, bits, calibration)


def test_settings_by_text_by_keyword_and_by_hand_are_the_same():
    made = VisualKVQuant(bits=2, quantiles=(0.1, 0.9), group=32, calibration=1.0)
    text = "visual-kv-quant:bits=2,quantiles=(0.1,0.9),group=32,calibration=1.0"
    settings = {"bits": 2, "quantiles": (0.1, 0.9), "group": 32, "calibration": 1.0}
    found = [composed(made), composed(text), composed("visual-kv-quant", settings=settings)]
    assert {one.precision for one in found} == {made.precision()}
    how = made.precision().visual_kv
    assert how is not None and how.keys.endpoints == Quantiles(0.1, 0.9)


@pytest.mark.parametrize("name", sorted(methods()))
def test_every_method_runs_with_every_companion(name):
    both = composed([f"{name}:keep=0.9", *companions()])
    alone = method(name, keep=0.9)
    assert both.reducers(SHAPE) == alone.reducers(SHAPE)
    assert both.precision.visual_kv is not None and both.precision.weights is not None


def test_a_budget_of_everything_has_no_reducers():
    assert composed(["vscan", "visual-kv-quant"]).reducers(SHAPE) == ()


def test_two_that_change_the_same_are_refused():
    with pytest.raises(Misuse, match="vscan and random both decide which visual tokens stay"):
        composed(["vscan:keep=0.5", "int8-weights", "random:keep=0.5"])
    with pytest.raises(Misuse, match="both decide the precision of visual keys and values"):
        composed(["visual-kv-quant:bits=1", "visual-kv-quant:bits=2"])


def test_early_exits_run_with_weights_and_not_with_packed_keys():
    exits = ("early exits", EarlyExits(every=2).uses)
    for name, made in companions().items():
        if name == "int8-weights":
            check_together([exits, (name, made().uses)])
    for order in (1, -1):
        pair = [exits, ("visual-kv-quant", VisualKVQuant.uses)][::order]
        with pytest.raises(Misuse, match="visual-kv-quant relies on"):
            check_together(pair)
    check_together([exits, ("vscan", uses_of(method("vscan", keep=0.5)))])


def test_what_is_taken_away_is_refused_by_data_alone():
    """A member nobody has heard of is checked by what it states."""
    rolling = Uses(removes={Means.CACHED_STEPS: "it keeps a window"})
    with pytest.raises(Misuse, match=r"visual-kv-quant relies on steps .* it keeps a window"):
        check_together([("rolling", rolling), ("visual-kv-quant", VisualKVQuant.uses)])
    check_together([("rolling", rolling), ("other", Uses(changes=frozenset({Axis.WEIGHTS})))])


def test_refusals():
    with pytest.raises(Misuse, match="codes of 3 bits"):
        composed("visual-kv-quant", settings={"bits": 3})
    with pytest.raises(Misuse, match=r"visual-kv-quant: .*keep"):
        composed("visual-kv-quant", keep=0.5)
    with pytest.raises(Misuse, match="did you mean visual-kv-quant"):
        composed("visual-kv-qant")
    with pytest.raises(Misuse, match="several state their own"):
        composed(["vscan", "visual-kv-quant"], keep=0.5)
    with pytest.raises(Misuse, match="keep='lots' is no share"):
        composed("vscan:keep=lots")
    with pytest.raises(Misuse, match=r"keep=2 is not in \(0, 1\]"):
        composed("vscan:keep=2")
    with pytest.raises(Misuse, match="nothing to compress with"):
        composed([])
