"""CoX-LMM (108): dictionaries of states, and what atoms are called."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from chiasm.errors import Misuse
from chiasm.inspection.concepts import (
    at_random,
    grounded,
    head_scores,
    named,
    overlap,
    states_saying,
    usual_word,
    vocabulary,
    word_score,
)
from chiasm.inspection.dictionaries import clusters, largest, lasso, principal, semi_nmf

lawful = pytest.mark.evidence(slug="concept-explainability", grade="lawful")


def planted(seed: int = 0, count: int = 120, atoms: int = 5, width: int = 17):
    """States that hold one or two of some unit atoms, of either sign, and little noise."""
    draw = torch.Generator().manual_seed(seed)
    true = torch.nn.functional.normalize(torch.randn(atoms, width, generator=draw).double(), dim=1)
    codes = torch.zeros(count, atoms).double()
    for row in codes:
        held = torch.randperm(atoms, generator=draw)[: 1 + int(torch.rand((), generator=draw) * 2)]
        row[held] = 2 + 3 * torch.rand(len(held), generator=draw).double()
    noise = 0.01 * torch.randn(count, width, generator=draw).double()
    return codes @ true + noise, true


@lawful
@settings(max_examples=8, deadline=None)
@given(st.integers(2, 9), st.integers(1, 6), st.floats(0.01, 2), st.integers(0, 99))
def test_codes_are_the_least_of_the_objective(width, atoms, penalty, seed):
    """The conditions of Karush, Kuhn and Tucker: held atoms have slope 0, the others none below."""
    draw = torch.Generator().manual_seed(seed)
    basis = torch.randn(atoms, width, generator=draw).double()
    states = 3 * torch.randn(11, width, generator=draw).double()
    codes = lasso(states, basis, penalty, sweeps=5_000, tolerance=1e-11)
    slope = (codes @ basis - states) @ basis.T + penalty
    assert float(codes.min()) >= 0
    assert float(slope[codes > 0].abs().max() if bool((codes > 0).any()) else 0) < 1e-5
    assert float(slope.min()) > -1e-5


@lawful
def test_codes_equal_scikit_learns():
    decomposition = pytest.importorskip("sklearn.decomposition")
    states, atoms = planted()
    theirs = decomposition.sparse_encode(
        states.numpy(), atoms.numpy(), algorithm="lasso_cd", alpha=0.7, positive=True, max_iter=5000
    )
    torch.testing.assert_close(
        lasso(states, atoms, 0.7), torch.from_numpy(theirs), atol=1e-3, rtol=0
    )


@lawful
def test_a_planted_dictionary_is_found_again_but_for_its_order():
    states, true = planted()
    found = semi_nmf(states, 5, penalty=0.05, rounds=300)
    cosines = true @ torch.nn.functional.normalize(found.atoms, dim=1).T
    assert float(cosines.amax(1).min()) > 0.99
    assert len(set(cosines.argmax(1).tolist())) == 5
    assert found.residual(states) < 0.01


@lawful
def test_activations_have_no_sign_atoms_are_bounded_and_more_atoms_explain_more():
    states, _ = planted(3)
    residuals = []
    for count in (1, 3, 8):
        made = semi_nmf(states, count, penalty=0.1, rounds=30)
        assert float(made.codes(states).min()) >= 0
        assert float(made.atoms.norm(dim=1).max()) <= 1 + 1e-9
        residuals.append(made.residual(states))
    assert residuals == sorted(residuals, reverse=True) and residuals[-1] < residuals[0] / 2


def test_the_others_are_what_they_say():
    states, _ = planted(4)
    pca = principal(states, 3)
    torch.testing.assert_close(pca.atoms @ pca.atoms.T, torch.eye(3).double())
    means = clusters(states, 4)
    nearest = means.codes(states).argmax(1)
    for k in range(4):
        torch.testing.assert_close(states[nearest == k].mean(0), means.atoms[k])
    torch.testing.assert_close(means.codes(means.atoms).diagonal(), torch.ones(4).double())
    assert means.residual(means.atoms) < 1e-12
    whole = principal(states, 17)
    assert whole.residual(states) < 1e-9 < pca.residual(states) < 1
    big = largest(states, 2)
    assert big.residual(big.atoms) < 1e-12
    assert float(big.atoms[0].norm()) == float(states.norm(dim=1).max())
    with pytest.raises(Misuse, match="atoms of"):
        semi_nmf(states[:3], 4)


@lawful
def test_overlap_counts_ordered_pairs():
    assert overlap([["a", "b"], ["b", "c", "d", "e"]]) == pytest.approx((1 / 2 + 1 / 4) / 2)
    assert overlap([["a"], ["a"]]) == 1 and overlap([["a"], ["b"], []]) == 0


@lawful
def test_an_atom_is_read_as_any_final_state_is(subjects):
    """Norm and head of a residual stream that ran to the end are the model's own logits."""
    subject = subjects("llava-1.5")
    said = ["a red circle" for _ in subject.examples]
    depth = subject.model.answers.host.depth
    found = states_saying(subject, said, "red", layer=depth)
    inputs = subject.asker.collator.batch(list(found.examples), teach=True)
    with torch.no_grad():
        logits = subject.model(inputs)
    spelt = subject.asker.collator.spelled
    for row, (labels, state) in enumerate(zip(inputs.labels, found.states, strict=True)):
        ids = [int(one) for one in labels if one >= 0]
        places = (labels >= 0).nonzero().squeeze(1).tolist()
        begins = next(at for at in range(len(ids)) if len(spelt(ids[: at + 1])) > len("a "))
        own = head_scores(subject, state[None]).squeeze(0)
        torch.testing.assert_close(own, logits[row, places[begins]], atol=1e-4, rtol=1e-4)


@pytest.mark.evidence(slug="concept-explainability", grade="builds")
def test_concepts_of_a_word_have_words_and_pictures(subjects):
    subject = subjects("llava-1.5")
    answers = [f"a {'red' if at % 3 else 'blue'} circle" for at in range(len(subject.examples))]
    assert usual_word(answers) == "circle"
    found = states_saying(subject, answers, "Red")
    assert len(found.states) == sum("red" in one for one in answers)
    assert {one.turns[-1].answer for one in found.examples} == {"a red circle"}
    made = semi_nmf(found.states, 3, penalty=0.01)
    known = vocabulary(subject.examples)
    words = named(subject, made, known)
    concepts = grounded(made, found, words)
    assert all(set(one.words) <= known and len(one.pictures) == 5 for one in concepts)
    assert sum(one.share for one in concepts) == pytest.approx(1)
    with pytest.raises(Misuse, match="purple"):
        states_saying(subject, answers, "purple")
    with pytest.raises(Misuse, match="layer 9"):
        states_saying(subject, answers, "red", layer=9)


@lawful
def test_the_right_words_score_above_words_drawn_at_random():
    """States that hold atom k belong to texts that say word k."""
    states, true = planted(6)
    made = semi_nmf(states, 5, penalty=0.05, rounds=300)
    names = ["circle", "square", "triangle", "cross", "yellow"]
    match = (true @ made.atoms.T).argmax(0).tolist()
    words = [[names[at]] for at in match]
    held = lasso(states, true, 0.05)
    texts = [" ".join(n for n, v in zip(names, row, strict=True) if v > 0.5) for row in held]
    known = {*names, "small", "large", "above", "below", "left", "right", "center", "other"}
    real = word_score(made, words, states, texts)
    drawn = [word_score(made, at_random(words, known, seed), states, texts) for seed in range(9)]
    assert real > 0.95 and max(drawn) < real
