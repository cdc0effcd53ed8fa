"""The attention map itself: what `attend` reads with, row by row."""

import pytest
import torch
from tests.tiny import close

from chiasm.layers import attend, attention_map
from chiasm.stream import Permission


def test_a_map_times_values_is_what_attend_reads():
    q, k, v = torch.randn(2, 6, 5, 7), torch.randn(2, 3, 11, 7), torch.randn(2, 3, 11, 7)
    allowed = torch.rand(2, 5, 11) > 0.4
    allowed[1, 2] = False
    for permission in (Permission(dense=allowed), Permission()):
        made = attention_map(q, k, permission)
        close(made @ v.repeat_interleave(2, 1), attend(q, k, v, permission), 1e-6)
    assert not bool(attention_map(q, k, Permission(dense=allowed))[1, :, 2].any())


def test_other_forms_of_a_permission_are_refused():
    q = torch.randn(1, 2, 3, 4)
    with pytest.raises(ValueError, match="dense permission"):
        attention_map(q, q, Permission(causal=True))
