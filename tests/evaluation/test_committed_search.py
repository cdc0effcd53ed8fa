"""The README's tables of search, from records like those that the benchmarks write."""

import json
from pathlib import Path

from chiasm.evaluation.committed_search import search_block


def share(right: int, of: int) -> dict:
    return {"right": right, "of": of, "interval": [0.1, 0.9]}


def recall(value: float) -> dict:
    return {
        f"{way}, recall@{k}": {"recall": value, "interval": [0.25, 0.75], "chance": 0.02}
        for way in ("text to picture", "picture to text")
        for k in (1, 5, 10)
    } | {"pictures": 31, "texts": 29}


def test_nothing_measured_is_nothing_said(tmp_path: Path) -> None:
    assert search_block(tmp_path) == ""


def test_both_tables(tmp_path: Path) -> None:
    who = {"command": "python x.py", "machine": "a machine"}
    arms = {
        "taught": [recall(0.5), recall(0.75)],
        "structure off": [recall(0.25)],
        "untaught": [recall(0)],
    }
    for name, told in (
        ("house_embedder/cpu.json", {"found": {"stamps": arms}}),
        (
            "search_answers/mixed.json",
            {
                "files": 7,
                "index": {"seconds": 11.2, "units": {"image": 5, "page": 8}},
                "recall": {
                    "ours": {"all": share(3, 4)},
                    "names": {"all": share(1, 4)},
                },
                "answers": {
                    "cites a right source": {"all": share(2, 4)},
                    "refuses what is not there": share(1, 2),
                },
            },
        ),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(who | told))
    said = search_block(tmp_path)
    line = (
        "| stamps | text to picture | 29 | 62.5 | 62.5 | 62.5 (25.0 to 75.0) | 25.0 | 0.0 | 2.0 |"
    )
    assert line in said
    assert "| all | 4 | 75% (10 to 90) | 25% (10 to 90) | 50% (10 to 90) |" in said
    assert "13 units, indexed in 11 s" in said
    assert "refused 1 of 2 questions" in said


def test_speech_and_other_languages(tmp_path: Path) -> None:
    def heard(value: float) -> dict:
        return {
            f"{way}, recall@{k}": {"recall": value, "interval": [0.25, 0.75], "chance": 0.02}
            for way in ("to picture", "from picture")
            for k in (1, 5, 10)
        } | {"items": 31, "pictures": 29, "pictures that ask": 23}

    who = {"command": "python x.py", "machine": "a machine"}
    spoken = {
        "shipped": "words",
        "taught clips": 1_009,
        "found": {
            "fr": {"words": [heard(0.5), heard(0.75)], "untaught": [heard(0.125)]},
            "en": {"words": [heard(0.25)], "written down": [heard(1)]},
        },
    }
    written = {
        "shipped": "n-grams",
        "English captions": heard(0.875),
        "found": {"fr": {"n-grams": [heard(0.5)], "tokens": [heard(0.25)]}},
    }
    for name, told in (("speech", spoken), ("written", written)):
        path = tmp_path / f"spoken_embedder/{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(who | told))
    said = search_block(tmp_path)
    assert "taught on 1,009 clips" in said
    assert "| fr | to picture | 31 | 62.5 | 62.5 | 62.5 (25.0 to 75.0) | 12.5 |  | 2.0 |" in said
    assert "| en | from picture | 23 | 25.0 | 25.0 | 25.0 (25.0 to 75.0) |  | 100.0 | 2.0 |" in said
    assert "English captions: 87.5." in said
    assert "| fr | to picture | 31 | 50.0 | 50.0 | 50.0 (25.0 to 75.0) | 25.0 | 2.0 |" in said


def test_embedders_side_by_side(tmp_path: Path) -> None:
    def asked(task: str, share: float) -> dict:
        depth = {"recall": share, "low": 0.25, "high": 0.75, "chance": 0.02}
        recalls = [{"depth": k, **depth} for k in (1, 5, 10)]
        speed = {"bytes_per_document": 1536.0, "index_ms": 2.25, "query_ms": 1.5}
        return {"task": task, "recalls": recalls, **speed}

    record = {
        "command": "chiasm compare a b",
        "machine": "a machine",
        "scale": "nano",
        "data": "stamps",
        "budget": {"samples": 3200},
        "pairs_taught": 1_234,
        "pairs_asked": 170,
        "systems": [
            {"system": "a", "judged": [asked("to text", 0.5), asked("to picture", 0.75)]},
            {"system": "b", "judged": [asked("to text", 0.25)]},
        ],
    }
    path = tmp_path / "embedders/stamps.json"
    path.parent.mkdir()
    path.write_text(json.dumps(record))
    said = search_block(tmp_path)
    assert "| `a` | to text | 50.0 | 50.0 | 50.0 (25.0 to 75.0) | 1,536 | 2.2 | 1.5 |" in said
    assert "|  | to picture | 75.0 |" in said
    assert said.count("| chance |") == 2 and "3,200 samples of 1,234 stamps" in said
