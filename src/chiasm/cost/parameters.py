"""Parameters of a model on the meta device: by part, by training stage, active for one token."""

from chiasm.cost.bill import Parameters
from chiasm.model import PARTS, Model


def count_parameters(model: Model) -> Parameters:
    """Exact counts; weights that two parts share (a tied head) count once, where they are stored.

    Active are all but the share of the decoder that `experts` leaves out.
    """
    by_part = {part: sum(p.numel() for p in model.part(part)) for part in PARTS}
    stages = {
        stage.name: sum(by_part[part] for part in stage.trained)
        for stage in model.answers.teaching.stages
    }
    idle = 1.0 - model.answers.experts.active_share
    active = sum(by_part.values()) - round(by_part["decoder"] * idle)
    return Parameters(by_part, stages, active)
