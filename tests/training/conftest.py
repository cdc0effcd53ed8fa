from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tests.training.toy import draw


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Bits are compared for one setting of threads; the machine's is put back."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
