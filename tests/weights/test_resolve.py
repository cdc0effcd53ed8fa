"""One name means one folder; pickles are refused; a wrong name is answered with the nearest."""

from pathlib import Path

import pytest

from chiasm.errors import ChiasmError, Misuse
from chiasm.weights import resolve


def test_an_existing_folder_is_itself(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").touch()
    assert resolve(str(tmp_path)) == tmp_path


@pytest.mark.parametrize("pickle", ["pytorch_model.bin", "model.pth", "last.ckpt"])
def test_a_folder_of_pickles_needs_the_flag(tmp_path: Path, pickle: str) -> None:
    (tmp_path / pickle).touch()
    with pytest.raises(ChiasmError, match=rf"only as a pickle \({pickle}\)"):
        resolve(str(tmp_path))
    assert resolve(str(tmp_path), allow_pickle=True) == tmp_path


def test_a_pickle_beside_safetensors_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").touch()
    (tmp_path / "model.safetensors").touch()
    assert resolve(str(tmp_path)) == tmp_path


@pytest.mark.parametrize(
    ("wrong", "nearest"), [("smollm-135m", "smollm2-135m"), ("minilm", "minilm-l6")]
)
def test_an_unknown_name_suggests_the_nearest(wrong: str, nearest: str) -> None:
    with pytest.raises(Misuse, match=f"nearest: {nearest}") as caught:
        resolve(wrong)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


def test_a_name_like_nothing_lists_the_aliases() -> None:
    with pytest.raises(Misuse, match="aliases: smollm2-135m, minilm-l6, efficientnet-lite0"):
        resolve("q")


@pytest.mark.parametrize("name", ["./nowhere/model", "../nowhere", "nowhere/model/deep"])
def test_a_missing_folder_is_not_taken_for_a_hub_id(name: str) -> None:
    with pytest.raises(Misuse, match=r"not an alias, a folder, or org/name"):
        resolve(name)


def test_an_unreachable_hub_gives_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The hub client's own offline switch, read when it is imported.
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ChiasmError, match=r"^org/name could not be fetched from the hub") as caught:
        resolve("org/name")
    assert "\n" not in str(caught.value)
