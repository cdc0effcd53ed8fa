"""Answers as JSON: exact for every registered system; anything else is refused in one line."""

import copy
import json
import random
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.hub.cases import one_line

from chiasm.errors import ChiasmError
from chiasm.fusion import InSequence
from chiasm.fusion.sequence import VisualPath
from chiasm.hub.answers_json import answer_classes, from_json, to_json
from chiasm.lineages.hosts import NANO
from chiasm.spec import Answers, registered

ALL = [(slug, scale) for slug, held in registered().items() for scale in held.scales]


@pytest.mark.parametrize(("slug", "scale"), ALL)
def test_every_system_survives(slug: str, scale: str) -> None:
    answers = registered()[slug].at(scale)
    text = json.dumps(to_json(answers), allow_nan=False)
    back = from_json(json.loads(text))
    assert isinstance(back, Answers) and back == answers
    assert hash(back.host) == hash(answers.host)


def test_enums_and_defaults() -> None:
    written = to_json(InSequence(VisualPath.DIAG))
    assert written == {
        "is": "fusion.InSequence",
        "visual_path": {"is": "fusion.VisualPath", "value": "diag"},
    }
    assert from_json(written) == InSequence(VisualPath.DIAG)
    assert from_json({"is": "fusion.InSequence"}) == InSequence()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"is": "os.path"}, "os.path"),
        ({"is": "subprocess.Popen", "args": "x"}, "subprocess.Popen"),
        ({"is": "chiasm.weights.fetch.Store"}, "chiasm.weights"),
        ({"is": "fusion.InSequense"}, "fusion.InSequence"),
        ({"is": "fusion.InSequence", "extra": 1}, "'extra'"),
        ({"is": "fusion.InSequence", "visual_path": "full"}, "visual_path"),
        ({"is": "fusion.VisualPath", "value": "nonesuch"}, "nonesuch"),
        ({"is": "spec.Host"}, "missing field 'vocabulary'"),
        ({"is": "spec.Fixed", "height": True, "width": 3}, "height = True"),
        ({"is": "spec.Fixed", "height": 2.5, "width": 3}, "height = 2.5"),
        ({"is": 3}, "not an answer"),
        ({"tuple": 3}, "not an answer"),
        ([1], "not an answer"),
        ({}, "not an answer"),
    ],
)
def test_what_is_no_answer_is_named(data: Any, said: str) -> None:
    with pytest.raises(ChiasmError) as error:
        from_json(data)
    assert said in one_line(error)


def test_deep_nesting_is_refused() -> None:
    data: Any = 1
    for _ in range(200):
        data = {"tuple": [data]}
    with pytest.raises(ChiasmError) as error:
        from_json(data)
    assert "nested" in one_line(error)


def test_what_cannot_be_saved_is_named() -> None:
    for value in (object(), [1], {"a": 1}, random.Random()):
        with pytest.raises(ChiasmError) as error:
            to_json(value)
        assert type(value).__name__ in one_line(error)


def spots(data: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of JSON data."""
    held = data.items() if isinstance(data, dict) else enumerate(data)
    found = []
    for key, value in held:
        found.append((data, key))
        if isinstance(value, dict | list):
            found += spots(value)
    return found


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=5),
    st.floats(allow_nan=False),
    st.sampled_from([[], {}, {"is": "spec.Host"}, {"is": "os.system"}, {"tuple": []}]),
    st.sampled_from(sorted(answer_classes())).map(lambda name: {"is": name}),
)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), JUNK)
def test_damage_gives_an_answer_or_one_line(where: int, junk: Any) -> None:
    data = copy.deepcopy(to_json(NANO))
    places = spots({"answer": data})
    container, key = places[where % len(places)]
    if junk == {}:
        del container[key]
    else:
        container[key] = junk
    try:
        from_json(data)
    except ChiasmError as error:
        assert "\n" not in str(error)


def test_reading_imports_nothing_outside_the_rooms() -> None:
    told = (
        "import sys; from chiasm.hub.answers_json import from_json\n"
        "before = set(sys.modules)\n"
        "try: from_json({'is': 'antigravity.X'})\n"
        "except Exception: pass\n"
        "new = set(sys.modules) - before\n"
        "print([name for name in new if 'antigravity' in name or 'systems' in name])"
    )
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
