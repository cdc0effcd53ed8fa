"""TextHarmony: low-rank experts for writing, for drawing and for both, half and half a sample."""

from chiasm.connectors import PerceiverResampler
from chiasm.heads import FlowHead
from chiasm.lineages.adapted import CLIP_L_896, SLIDING_FROM_SCRATCH, TEXT_HARMONY, sliding
from chiasm.lineages.drawing import DRAWING
from chiasm.lineages.hosts import VICUNA_13B
from chiasm.spec import Card, Fixed, Latent, System, derive, register

SD2_512 = Latent(height=512, width=512, patch=2, stride=8, channels=4)
RESAMPLER = PerceiverResampler(latents=512, depth=6, heads=16, head_width=64, project=True)

SYSTEM = register(
    System(
        slug="textharmony",
        no=194,
        parent="bagel",
        card=Card(
            paper="Harmonizing Visual Text Comprehension and Generation (arXiv 2407.16364)",
            differs="one frozen host for both tasks; on q, k, v and o three low-rank pairs, of "
            "which a sample passes its task's and the shared one, half and half",
            claim="2% more parameters; comprehension +2.5%, generation +4.0% over one plain "
            "tuning, level with specialists",
            checks=(
                "the language model's pairs hold 157,286,400 parameters",
                "while every B is zero the logits are the base's",
                "a drawing gives the pair for writing no gradient",
                "the pairs that are passed equal all of them weighed, at 2/3 of the cost",
                "a task's two pairs merge into one matrix",
            ),
            story=(
                "the gate is the released one, by the task; the paper's reads the input",
                "pictures are drawn by a flow over Stable Diffusion 2's latents, within the host; "
                "the paper's Perceiver conditions Stable Diffusion's own network",
            ),
        ),
        scales=derive(
            DRAWING,
            every=dict(experts=sliding(8), teaching=SLIDING_FROM_SCRATCH),
            paper=dict(
                views=Fixed(896, 896),
                encoder=CLIP_L_896,
                connector=RESAMPLER,
                experts=sliding(32),
                head=FlowHead(latent=SD2_512),
                teaching=TEXT_HARMONY,
                host=VICUNA_13B,
            ),
        ),
    )
)
