"""A tiny checkpoint and a way to run the command line as a user does, in this process."""

import sys
from dataclasses import replace

import pytest
import torch
from PIL import Image
from tests.tiny import tiny_answers

from chiasm import hub
from chiasm.assemble import build
from chiasm.cli.main import main
from chiasm.data.templates import NANO
from chiasm.data.tokenizer import fit_tokenizer
from chiasm.spec import registered


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """A fresh tiny in-sequence model with its tokenizer and template."""
    systems = registered()
    slug = next((s for s in ("llava-1.5", *systems) if s in systems and systems[s].no), None)
    if slug is None:
        pytest.skip("no system file is left")
    torch.manual_seed(0)
    tokenizer = fit_tokenizer(["what color is the shape?", "red", "blue"], 300)
    answers = tiny_answers(systems[slug].at("nano"))
    answers = replace(
        answers, host=replace(answers.host, vocabulary=len(tokenizer), max_positions=120)
    )
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    hub.save(build(answers), folder, slug=slug, scale="nano", tokenizer=tokenizer, template=NANO)
    return folder


@pytest.fixture
def chiasm(monkeypatch, capsys):
    """`chiasm(*arguments)` gives (exit code, stdout, stderr)."""

    def run(*arguments: object, stdin: object = None) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["chiasm", *map(str, arguments)])
        if stdin is not None:
            monkeypatch.setattr(sys, "stdin", stdin)
        code = 0
        try:
            main()
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else int(bool(left.code))
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "picture.png"
    Image.new("RGB", (61, 43), (200, 30, 30)).save(path)
    return path
