"""The packaged data, fetched once; its tests are skipped where it cannot be had."""

from pathlib import Path

import pytest

from chiasm import weights
from chiasm.errors import ChiasmError


@pytest.fixture(scope="session")
def easy_vqa_folder() -> Path:
    try:
        return weights.fetch("easy-vqa")
    except ChiasmError as error:
        pytest.skip(f"easy-vqa is not available: {error}")
