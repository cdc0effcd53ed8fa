"""What fits: peaks foreseen against the allocator's, the search, and `chiasm fit`."""

import json
from dataclasses import replace

import pytest
import torch
import typer
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig
from typer.testing import CliRunner

from chiasm.cli.fit import fit as command
from chiasm.cli.fit import memory_bytes
from chiasm.cost import count
from chiasm.cost.fit import fit, largest
from chiasm.cost.hollow import Hollow, Unforeseen
from chiasm.cost.load import Load, load_inputs, rows
from chiasm.cost.peak import allocated, measured_peak, predicted_peak
from chiasm.cost.rehearsal import Rehearsal
from chiasm.errors import ChiasmError, Misuse
from chiasm.spec import Scale, registered

app = typer.Typer()
app.command()(command)
SMALL = Load(batch=3, text=37, pictures=2, image=(64, 96), new=5, dtype="fp32")
SEVERAL = ("bagel", "flamingo", "llava-1.5", "nvlm", "omnimamba", "saisa", "uni-moe")


def nano(slug):
    if slug not in registered():
        pytest.skip(f"systems/ has no {slug}")
    return registered()[slug].at(Scale.NANO)


def taught(answers, **changes):
    return replace(SMALL, stage=answers.teaching.stages[-1], pictures=1, **changes)


@pytest.mark.parametrize("slug", SEVERAL)
def test_the_peak_of_answering_is_foreseen_within_a_tenth(slug):
    answers = nano(slug)
    assert predicted_peak(answers, SMALL) == pytest.approx(measured_peak(answers, SMALL), rel=0.1)


@pytest.mark.parametrize("slug", ["llava-1.5", "flamingo", "uni-moe"])
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_the_peak_of_a_step_of_teaching_is_foreseen_within_a_tenth(slug, dtype):
    answers = nano(slug)
    load = taught(answers, dtype=dtype)
    assert predicted_peak(answers, load) == pytest.approx(measured_peak(answers, load), rel=0.1)


def test_a_paper_sized_peak_is_foreseen_without_allocating_it():
    answers = registered()["llava-1.5"].at(Scale.PAPER)
    found = []
    used = allocated(lambda: found.append(predicted_peak(answers, Load(batch=3))))
    assert found[0] > 13e9
    assert used < 64e6


def test_frozen_parts_have_neither_gradients_nor_moments():
    answers = nano("llava-1.5")
    frozen, whole = (
        replace(answers.teaching.stages[0], trained=trained)
        for trained in (("connector",), ("connector", "decoder"))
    )
    first, last = (predicted_peak(answers, replace(SMALL, stage=s)) for s in (frozen, whole))
    decoder = count(answers).parameters.by_part["decoder"]
    assert last - first > 0.95 * 3 * 4 * decoder


def test_several_pictures_are_items_of_their_own():
    answers = nano("llava-1.5")
    inputs = load_inputs(answers, SMALL)
    assert inputs.table.shape == (3, rows(answers, SMALL) - SMALL.new)
    each = (rows(answers, SMALL) - SMALL.new - SMALL.text) // 2
    assert inputs.table.item[0].bincount().tolist()[0] == 1
    media = inputs.source[0] >= 0
    assert inputs.table.item[0, media].bincount().tolist() == [0, each, each]
    assert inputs.source[0, media].tolist() == list(range(2 * each))
    assert inputs.owners is not None and inputs.owners.tolist() == [[0, 1], [2, 3], [4, 5]]


def test_a_hollow_result_weighs_what_a_real_one_would():
    a, b = (Hollow(torch.empty(shape, device="meta")) for shape in ((7, 11), (11, 13)))
    with Rehearsal() as rehearsal:
        c = a @ b
        d = c.t()[2:5]
        del c
        assert rehearsal.ledger.live == 4 * 7 * 13
        del d
    assert rehearsal.ledger.live == 0 and rehearsal.peak == 4 * 7 * 13


def test_what_hangs_on_values_is_refused():
    mask = Hollow(torch.empty(7, dtype=torch.bool, device="meta"))
    with Rehearsal(), pytest.raises(Unforeseen, match="learned"):
        mask.nonzero()


@pytest.mark.parametrize("memory", [3, 17, 100, 1009, 5000])
@pytest.mark.parametrize(
    "peak",
    [
        lambda n: n,
        lambda n: 3 + 7 * n,
        lambda n: 2 + n * n,
        lambda n: 3 + 40 * (n // 13),
        lambda n: min(n, 90),
        lambda n: 3,
    ],
)
def test_the_search_finds_what_counting_up_finds(peak, memory):
    fitting = [n for n in range(1, 700) if peak(n) <= memory]
    if not fitting:
        return
    looked = []

    def watched(n):
        looked.append(n)
        return peak(n)

    best, beyond = largest(watched, memory, 1, 699)
    assert best == max(fitting)
    assert beyond == (None if best == 699 else best + 1)
    assert set(looked) <= set(range(1, 700))


def test_what_fits_fits_and_one_more_does_not():
    answers = nano("llava-1.5")
    load = replace(SMALL, pictures=1)
    memory = 3 * predicted_peak(answers, replace(load, batch=1))
    found = fit(answers, load, memory, "batch")
    assert found.largest is not None and found.next_bytes is not None and found.largest > 3
    assert found.peak_bytes <= memory < found.next_bytes
    assert measured_peak(answers, replace(load, batch=found.largest)) <= 1.1 * memory
    assert measured_peak(answers, replace(load, batch=found.largest + 1)) > 0.9 * memory


def test_what_even_the_smallest_needs_is_said():
    found = fit(nano("llava-1.5"), SMALL, 1000, "batch")
    assert found.largest is None and found.peak_bytes > 1000


def test_the_models_own_context_bounds_what_memory_would_hold():
    answers = nano("llava-1.5")
    found = fit(answers, replace(SMALL, batch=1, pictures=1), 10**12, "context")
    assert found.largest == answers.host.max_positions and found.next_bytes is None


def test_an_axis_that_a_system_lacks_is_refused():
    with pytest.raises(Misuse, match="one size"):
        fit(nano("llava-1.5"), SMALL, 10**12, "pixels")


def invoke(*arguments):
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "100"})


NANO = ("llava-1.5", "--scale", "nano", "--new", "5")


def test_the_table_names_every_axis_and_its_bound():
    result = invoke(*NANO, "--memory", "20MB", "--dtype", "fp32")
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines()]
    assert [line[0] for line in lines[-3:]] == ["batch", "context", "frames"]
    assert lines[-3][-1] == "memory"


def test_json_says_what_the_table_says():
    result = invoke(*NANO, "--memory", "30MB", "--solve", "batch", "--training", "--json")
    found = json.loads(result.stdout)
    assert found["memory_bytes"] == 30_000_000 and found["mode"] == "training"
    (only,) = found["fits"]
    assert only["axis"] == "batch" and only["peak_bytes"] <= 30_000_000 < only["next_bytes"]
    assert only["bound_by"] == "memory"


def test_a_folder_of_transformers_is_solved_from_its_config_alone(tmp_path):
    vision = CLIPVisionConfig(
        hidden_size=24, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        image_size=28, patch_size=7, projection_dim=8,
    )  # fmt: skip
    text = LlamaConfig(
        vocab_size=211, hidden_size=40, intermediate_size=56, num_hidden_layers=3,
        num_attention_heads=5, num_key_value_heads=1, max_position_embeddings=300,
        bos_token_id=1, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    config = LlavaConfig(vision_config=vision, text_config=text, image_token_index=200)
    config.architectures = ["LlavaForConditionalGeneration"]
    config.save_pretrained(tmp_path)
    result = invoke(str(tmp_path), "--memory", "2MB", "--json", "--new", "3")
    assert result.exit_code == 0, result.output
    found = {each["axis"]: each["largest"] for each in json.loads(result.stdout)["fits"]}
    assert found["context"] == 300 and found["batch"] > 1


def test_what_does_not_fit_ends_in_one_line_with_both_numbers():
    error = invoke(*NANO, "--memory", "1MiB").exception
    assert isinstance(error, ChiasmError) and not isinstance(error, Misuse)
    assert error.exit_code == 1 and "1MiB" in str(error) and "0.000977 GiB" in str(error)
    assert "\n" not in str(error) and "needs" in str(error)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--memory", "24"], "24GiB"),
        (["--memory", "0GiB"], "--memory 0GiB"),
        (["--memory", "1GiB", "--solve", "depth"], "batch, context, pixels, frames"),
        (["--memory", "1GiB", "--solve", "pixels"], "one size"),
        (["--memory", "1GiB", "--batch", "0"], "--batch"),
        (["--memory", "1GiB", "--dtype", "int3"], "bf16, fp32"),
        (["--memory", "1GiB", "--stage", "last"], "--training"),
        (["--memory", "1GiB", "--training", "--stage", "none"], "no stage"),
    ],
)
def test_bad_requests_get_one_line(arguments, said):
    error = invoke(*NANO, *arguments).exception
    assert isinstance(error, Misuse) and error.exit_code == 2
    assert said in str(error) and "\n" not in str(error)


def test_units_are_decimal_or_binary_as_they_are_written():
    assert memory_bytes("24GiB") == 24 * 1024**3
    assert memory_bytes("24GB") == 24 * 1000**3
    assert memory_bytes("1.5 MiB") == 3 * 1024**2 // 2
    assert memory_bytes("8000MiB") == 8000 * 1024**2
