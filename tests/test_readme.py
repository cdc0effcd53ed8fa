"""The README's code runs as it stands, and its generated blocks are up to date."""

import re
from pathlib import Path

import pytest
from tests.compressing import tiny_hosts as tiny

import chiasm
from chiasm.spec import registered

README = Path(__file__).parents[1] / "README.md"


def test_code_comes_early():
    assert "```python" in "\n".join(README.read_text().splitlines()[:20])


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


def test_code_runs(capsys):
    code, _ = blocks()
    named = set(re.findall(r'"((?:saisa|llava)[\w.-]*)"', code))
    if not named <= set(registered()):
        pytest.skip("a system of the README was deleted")
    exec(compile(code, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "llava-1.5: 8.53 TFLOPs" in printed and "saisa: 2.86 TFLOPs" in printed


def test_compression_runs_under_generate():
    """The second block, on a model of transformers and its inputs."""
    _, code = blocks()
    model, inputs = tiny.host("smolvlm", 1), tiny.batch("smolvlm", 2).told
    code = code.replace("model.generate(", "found = model.generate(max_new_tokens=2, ")
    code = code.replace(":  #", " as context:  #")
    names = {"chiasm": chiasm, "model": model, "inputs": inputs}
    exec(compile(code, "README.md", "exec"), names)
    assert names["found"].shape[1] == inputs["input_ids"].shape[1] + 2
    assert names["context"].kept[-1][1] < names["context"].kept[0][1]


def test_every_command_exists():
    from typer.main import get_command

    from chiasm.cli.main import app

    known = set(getattr(get_command(app), "commands"))  # noqa: B009
    named = set(re.findall(r"`chiasm (\w+)", README.read_text()))
    assert named and named <= known
