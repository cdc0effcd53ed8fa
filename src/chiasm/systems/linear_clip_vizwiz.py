"""Less Is More: linear layers on frozen features, and a gate by the kind of answer."""

from chiasm.lineages.joined_features import JOINED
from chiasm.spec import Card, System, register

SYSTEM = register(
    System(
        slug="linear-clip-vizwiz",
        no=61,
        parent="llava-1.5",
        card=Card(
            paper="Less Is More: Linear Layers on CLIP Features as Powerful VizWiz Model "
            "(arXiv 2206.05281)",
            differs="both encoders are frozen and meet behind their last layers; norms, dropout "
            "and a linear map, then answers weighed by a gate that reads their kind",
            claim="VizWiz 60.15% accuracy and 83.78 AP of answerability, above an ensemble of 96",
            checks=(
                "no gradient reaches the encoders, so kept features give the same loss",
                "the gate is above 0, so no score changes its sign",
                "a gate of zeros is 1/2 and leaves the best answer",
                "without the kinds' loss, a toy set of disjoint kinds is answered worse",
                "the most frequent of ten answers is taught, ties by corpus, then by likeness",
                "answerability is what is not given to unanswerable",
            ),
            story=(
                "classes are the words of the vocabulary, and one more says that an answer ended; "
                "the paper has 5,726 answers",
                "at nano the question's encoder is as it was drawn: what it tells words apart by "
                "is chance",
            ),
        ),
        scales=JOINED,
    )
)
