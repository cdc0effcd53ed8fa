"""OmniBind: frozen spaces bound to one hub, and for each item a router that weighs them."""

from dataclasses import replace

from chiasm.lineages import bound_spaces as parts
from chiasm.lineages.embedders import LITE_SMALL, MEAN
from chiasm.spec import Card, Scale
from chiasm.spec.embedder import EmbedderSystem, register_embedder

SMALL_FEATURES = parts.pictures_of("features", LITE_SMALL, MEAN)
NANO = tuple(SMALL_FEATURES if one.name == SMALL_FEATURES.name else one for one in parts.PACKAGED)
SMOL = (*parts.PACKAGED, *parts.named("hidden", parts.SMOL_WORDS))
STAGES = (replace(parts.BINDING, batch=4096), replace(parts.ROUTING, batch=4096))

SYSTEM = register_embedder(
    EmbedderSystem(
        slug="omnibind",
        no=115,
        parent="structure",
        card=Card(
            paper="OmniBind: Large-scale Omni Multimodal Representation via Binding Spaces "
            "(arXiv 2407.11895)",
            differs="many frozen spaces, each with projectors of its own into the space of a hub, "
            "and a router a kind of item that weighs them; pairs of the data stand for the paper's "
            "retrieved tuples. Words and pictures alone: of its audio experts the side of words, "
            "its three of point clouds not; what the language loss is and the rates are ours",
            claim="above ImageBind and the best single expert on 13 benchmarks of four modalities",
            checks=(
                "the weights of a router sum to 1",
                "with a uniform router the item is the plain average",
                "no gradient reaches an expert",
                "without an expert the others' weights sum to 1",
                "words routed by what they are about beat fixed weights where spaces conflict",
            ),
        ),
        scales=parts.omni(
            {Scale.NANO: NANO, Scale.SMOL: SMOL, Scale.PAPER: parts.PUBLISHED},
            {
                Scale.NANO: parts.small(NANO, ("names",), projectors=2, hidden=256),
                Scale.SMOL: parts.small(SMOL, ("names", "hidden")),
                Scale.PAPER: parts.FULL,
            },
            {Scale.NANO: 0.05, Scale.SMOL: 0.05, Scale.PAPER: 0.02},
            STAGES,
        ),
    )
)
