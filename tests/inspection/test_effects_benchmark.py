"""The benchmark of what inspection shows: its records are those that the catalogue reads."""

import json

from benchmarks.inspected_effects import records

from chiasm.catalogue.effects import read_result
from chiasm.catalogue.rows import row

PROOF = {"command": "python x", "commit": "abc", "machine": "a kind", "seeds": [0, 1, 2]}


def figures(overlap: float, score: float) -> dict[str, float]:
    return {"overlap": overlap, "score": score, "random": 0.1}


def test_records_are_whole_and_say_what_was_seen(tmp_path):
    heads = [{"top": 0.3 + at / 50, "random": 0.1, "late": 0.2 + at / 90} for at in range(3)]
    words = [
        {"semi-nmf": figures(0.2 + at / 99, 0.3), "k-means": figures(0.6, 0.2)} for at in range(3)
    ]
    found = records(heads, words)
    assert {name: one["outcome"] for name, one in found.items()} == {
        "visual-heads/top-against-random": "confirmed",
        "visual-heads/random-against-late": "contrary",
        "concept-explainability/overlap-against-k-means": "confirmed",
        "concept-explainability/words-against-random": "confirmed",
    }
    for name, one in found.items():
        path = tmp_path / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({**one, **PROOF}))
        assert read_result(path)["outcome"] == one["outcome"]
        assert row(path.parent.name).kind == "pipeline"
