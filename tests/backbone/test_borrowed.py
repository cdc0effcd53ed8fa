"""A borrowed cache: seen with what a call adds, and left as it was."""

import pytest
import torch
from tests.tiny import batch, close, cut, real, said, shared_model, tiny

from chiasm.backbone import Borrowed, Cache, GrowingCache, StaticCache


@pytest.mark.parametrize("lender", [GrowingCache(), StaticCache(40)], ids=["growing", "static"])
def test_calls_beside_a_lent_cache_leave_no_trace(lender: Cache):
    model = shared_model("text-only")
    inputs = batch(tiny("text-only"), [(said(9, 1),), (said(7, 2),)])
    prompt, rest = cut(inputs, slice(0, 5), media=False), cut(inputs, slice(5, 9), media=False)
    other = batch(tiny("text-only"), [(said(9, 3),), (said(7, 4),)])
    model(prompt, cache=lender)
    held = [tensor.clone() for tensor in lender.held(0)]
    whole = model(inputs)[:, 5:]
    for _ in range(2):
        got = model(rest, cache=Borrowed(lender))
        close(got[real(rest)], whole[real(rest)], 1e-5)
        model(cut(other, slice(5, 9), media=False), cache=Borrowed(lender))
    assert all(torch.equal(a, b) for a, b in zip(held, lender.held(0), strict=True))
    assert Borrowed(lender).bytes == lender.bytes
    assert lender.held("no such layer") is None
