"""CTranslate2's files: what its own writer wrote is read back, and what is no such file refused."""

import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from chiasm.errors import ChiasmError
from chiasm.weights.ctranslate import ctranslate_tensors

KINDS = {"float32": 0, "int8": 1, "int16": 2, "int32": 3, "float16": 4}


def written(arrays: dict[str, np.ndarray], version: int = 6) -> bytes:
    """As `ctranslate2.specs.model_spec.ModelSpec._serialize` writes them."""

    def string(said: str) -> bytes:
        return struct.pack("<H", len(said) + 1) + said.encode() + b"\0"

    told = struct.pack("<I", version) + string("WhisperSpec") + struct.pack("<II", 3, len(arrays))
    for name, array in arrays.items():
        told += string(name) + struct.pack("<B", array.ndim)
        told += struct.pack(f"<{array.ndim}I", *array.shape)
        told += struct.pack("<BI", KINDS[array.dtype.name], array.nbytes) + array.tobytes()
    return told + struct.pack("<I", 0)


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    draw = np.random.default_rng(7)
    return {
        "encoder/weight": draw.normal(size=(3, 5)).astype(np.float32),
        "encoder/half": draw.normal(size=(7,)).astype(np.float16),
        "encoder/heads": np.int16(11).reshape(()),
        "decoder/weight": draw.normal(size=(2, 3)).astype(np.float32),
        "decoder/packed": np.arange(6, dtype=np.int8).reshape(2, 3),
    }


def test_what_was_written_is_read(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(written(arrays))
    found = ctranslate_tensors(path, "encoder/")
    assert set(found) == {"weight", "half", "heads"}
    assert torch.equal(found["weight"], torch.from_numpy(arrays["encoder/weight"]))
    assert torch.equal(found["half"], torch.from_numpy(arrays["encoder/half"]).float())
    assert found["half"].dtype == torch.float32
    assert int(found["heads"]) == 11


def test_every_cut_is_refused(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    path, whole = tmp_path / "model.bin", written(arrays)
    for length in range(0, len(whole) - 4, 3):
        path.write_bytes(whole[:length])
        with pytest.raises(ChiasmError, match="no CTranslate2 model"):
            ctranslate_tensors(path, "encoder/")


def test_other_files_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    path = tmp_path / "model.bin"
    with pytest.raises(ChiasmError, match="no CTranslate2 model"):
        ctranslate_tensors(path, "encoder/")
    path.write_bytes(written(arrays, version=5))
    with pytest.raises(ChiasmError, match="version 5"):
        ctranslate_tensors(path, "encoder/")
    path.write_bytes(written(arrays))
    with pytest.raises(ChiasmError, match="quantised to int8"):
        ctranslate_tensors(path, "decoder/")
    with pytest.raises(ChiasmError, match=r"no tensor sound/\*"):
        ctranslate_tensors(path, "sound/")
