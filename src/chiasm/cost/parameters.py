"""Parameters of a model on the meta device: by part, by training stage, active for one token."""

from chiasm.cost.bill import Parameters
from chiasm.model import PARTS, Model
from chiasm.stream import Modality


def count_parameters(model: Model) -> Parameters:
    """Exact counts; weights that two parts share (a tied head) count once, where they are stored.

    Active for a visual row are all but those of the stack and its slots that it does not pass
    through (`experts.idle`, `fusion.idle`); for a text row, encoder and connector are left out too.
    """
    by_part = {part: sum(p.numel() for p in model.part(part)) for part in PARTS}
    stages = {
        stage.name: sum(by_part[part] for part in stage.trained)
        for stage in model.answers.teaching.stages
    }
    total, answers = sum(by_part.values()), model.answers
    text, visual = (
        total - answers.fusion.idle(answers.host) - answers.experts.idle(answers.host, modality)
        for modality in (Modality.TEXT, Modality.IMAGE)
    )
    text -= by_part["encoder"] + by_part["connector"]
    return Parameters(by_part, stages, text, visual)
