"""`chiasm merge` writes a model that lies between two, and says what it cannot do."""

import torch
from tests.tiny import close, host_of

from chiasm import hub
from chiasm.hub.checkpoint import open_checkpoint
from chiasm.hub.folder import read_record


def language_of(checkpoint, folder):
    """The checkpoint's host with other weights, as a language model's folder."""
    opened = open_checkpoint(checkpoint)
    host = host_of(opened.model)
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in host.parameters():
            parameter.add_(torch.randn_like(parameter))
    hub.save(host, folder, tokenizer=opened.tokenizer, template=opened.template)
    return folder


def test_a_merged_run_lies_between_its_two(chiasm, checkpoint, tmp_path):
    text, out = language_of(checkpoint, tmp_path / "text"), tmp_path / "merged"
    code, said, err = chiasm("merge", checkpoint, text, "--share", "0.25", "--out", out)
    assert code == 0, err
    assert "0.25 of" in said and "0.75 of" in said
    taught, language, merged = (open_checkpoint(f).model for f in (checkpoint, text, out))
    for name, other in language.named_parameters():
        expected = 0.25 * taught.get_parameter(name) + 0.75 * other
        close(merged.get_parameter(name), expected, 1e-6)
    assert read_record(out).extra["merged"]["share"] == 0.25
    assert open_checkpoint(out).slug == open_checkpoint(checkpoint).slug


def test_what_cannot_be_merged_is_one_line(chiasm, checkpoint, tmp_path):
    text = language_of(checkpoint, tmp_path / "text")
    code, _, err = chiasm("merge", checkpoint, text, "--share", "2", "--out", tmp_path / "new")
    assert code == 2 and "from 0 to 1" in err and err.count("\n") == 1
    assert not (tmp_path / "new").exists()
    code, _, err = chiasm("merge", checkpoint, text, "--out", text)
    assert code == 2 and "is not empty" in err
