"""What holds of every system that draws: its drafts, its text, its cached prompts."""

from dataclasses import replace

import pytest
import torch
from tests.systems.drawn import ASKED, flow_loss, noised, velocities, without_drafts
from tests.tiny import (
    Drawn,
    batch,
    close,
    drawing,
    every,
    fresh,
    host_of,
    ragged,
    real,
    said,
    shared_model,
    tiny,
)

from chiasm.assemble import build
from chiasm.backbone import Execution
from chiasm.decoding import Drawing, Guidance, Prompts, draw
from chiasm.decoding.draw import Prompted
from chiasm.errors import Misuse
from chiasm.stream import Role


def draws(answers) -> bool:
    return answers.head.latent is not None


systems = pytest.mark.parametrize("slug", every(draws))
TIMES = (0.3, 0.8)


@systems
def test_the_first_velocity_is_zero(slug):
    model, made = build(tiny(slug)).eval(), noised(tiny(slug), drawing(), time=TIMES)
    assert torch.equal(velocities(model, made), torch.zeros_like(made.velocity[made.rows]))
    right = made.velocity[made.rows].square().mean() * tiny(slug).teaching.objective.flow_weight
    close(flow_loss(model, made), right, 1e-6)


@systems
def test_rows_after_a_draft_are_unaffected_by_it(slug):
    """Bit for bit, whatever noise it holds and at whichever time of a layer group."""
    model = shared_model(slug)
    samples = [(said(2, 3), Drawn(2), said(3, 4), said(2, 5, Role.ASSISTANT))]
    one, other = (noised(tiny(slug), samples, time=0.9, seed=seed) for seed in (1, 2))
    before, after = (model(made.inputs)[without_drafts(made.inputs)] for made in (one, other))
    assert torch.equal(before, after)
    drafts = (model.hidden(made.inputs)[made.rows] for made in (one, other))
    assert not torch.equal(*drafts)


@systems
def test_a_draft_reads_its_prompt_and_all_of_itself(slug):
    model = shared_model(slug)
    made = noised(tiny(slug), [ASKED], time=0.6)
    latents = made.inputs.latents.detach().requires_grad_()
    said_ = velocities(model, replace(made, inputs=replace(made.inputs, latents=latents)))
    count = len(said_)
    for row in (0, count - 1):
        (gradient,) = torch.autograd.grad(said_[row].sum(), latents, retain_graph=True)
        reached = gradient[0].abs().sum(-1) > 0
        assert bool(reached[-count:].all()) and not bool(reached[:-count].any())
    other = noised(tiny(slug), [((said(3, 9), *ASKED[1:]))], time=0.6)
    assert not torch.equal(velocities(model, other), said_)


@systems
def test_text_alone_is_the_language_model_bit_for_bit(slug):
    model = shared_model(slug)
    inputs = batch(tiny(slug), [(said(7, 1),), (said(3, 2),)])
    assert torch.equal(model(inputs)[real(inputs)], host_of(model)(inputs)[real(inputs)])


@systems
def test_planned_and_masked_runs_agree(slug):
    model, made = shared_model(slug), noised(tiny(slug), drawing(), time=0.7)
    planned = model.hidden(made.inputs)
    masked = model.hidden(made.inputs, execution=Execution.MASKED)
    close(planned[real(made.inputs)], masked[real(made.inputs)], 1e-5)


@systems
def test_a_batch_draws_what_its_samples_draw(slug):
    model = shared_model(slug)
    samples = [ASKED, (said(6, 5), said(1, 6, Role.TAG), Drawn(4))]
    together = noised(tiny(slug), samples, time=0.7)
    hidden = model.hidden(together.inputs)
    for number, sample in enumerate(samples):
        rows = tiny(slug).head.latent.rows
        alone = noised(tiny(slug), [sample], time=0.7)
        held = together.inputs.latents[number : number + 1, rows:]
        alone.inputs.latents[:, rows:] = held
        got = model.hidden(alone.inputs)[alone.rows]
        close(hidden[number][together.rows[number]], got, 1e-4)


@systems
def test_prompts_are_read_once_and_drafts_beside_them(slug):
    """Velocities from the prompt's cached keys and values are those of one pass over everything."""
    model = shared_model(slug)
    samples = [ASKED, (said(6, 5), said(1, 6, Role.TAG), Drawn(4))]
    prompts = Prompted.read(model, batch(tiny(slug), samples))
    rows = tiny(slug).head.latent.rows
    for time in (0.9, 0.2, 0.9):
        made = noised(tiny(slug), samples, time=time, seed=int(10 * time))
        held = made.inputs.latents[:, rows:]
        got = prompts.velocity(model, held, time)
        close(got.flatten(0, 1), velocities(model, made), 1e-5)


@systems
def test_drawing_follows_its_seed_and_guidance_its_prompt(slug):
    model, direction = shared_model(slug), tiny(slug).teaching.objective.flow.direction
    full = batch(tiny(slug), [ASKED])
    empty = batch(tiny(slug), [ASKED[1:]])
    prompts = Prompts(full=full, no_text=empty)

    def drawn(seed: int, text: float) -> torch.Tensor:
        how = Drawing(steps=3, seed=seed, guidance=Guidance(text=text))
        return draw(model, prompts, direction, how)

    assert torch.equal(drawn(1, 2.0), drawn(1, 2.0))
    assert not torch.equal(drawn(1, 2.0), drawn(2, 2.0))
    close(
        drawn(1, 0.0), draw(model, Prompts(full=empty), direction, Drawing(steps=3, seed=1)), 1e-5
    )
    assert not torch.equal(drawn(1, 2.0), drawn(1, 1.0))


@systems
def test_samples_that_draw_other_numbers_of_pictures_are_refused(slug):
    with pytest.raises(Misuse, match="one picture of equal size"):
        Prompted.read(shared_model(slug), batch(tiny(slug), [ASKED, (said(2, 1),)]))


@systems
def test_losses_of_pieces_add_up(slug):
    """Text and velocities are means over a whole window; the noise is drawn again for each."""
    model = fresh(tiny(slug))
    inputs = batch(tiny(slug), [*drawing(), *ragged()])
    torch.manual_seed(3)
    whole = model.losses(inputs)
    labels = int((inputs.labels >= 0).sum())
    rows = int((inputs.table.role == int(Role.DRAFT)).sum())
    torch.manual_seed(3)
    half = model.losses(inputs, total=2 * labels, drafts=2 * rows)
    close(2 * half.main, whole.main, 1e-6)
    assert set(whole.parts) == {"text", "velocity"}
    close(whole.parts["text"] + whole.parts["velocity"], whole.main, 1e-6)


@systems
def test_only_drawn_pictures_make_the_flow_s_loss(slug):
    told = fresh(tiny(slug)).losses(batch(tiny(slug), ragged()))
    assert set(told.parts) == {"text"}
    drawn = fresh(tiny(slug)).losses(batch(tiny(slug), [ASKED]))
    assert set(drawn.parts) == {"velocity"}
