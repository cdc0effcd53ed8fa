"""Requests that nobody thought of: whatever comes, the server answers or refuses in its shape."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode

EXAMPLES = 5
MODELS = {"/v1/chat/completions": "tiny", "/v1/embeddings": "clip", "/rerank": "clip"}


@pytest.fixture(scope="module")
def described(address):
    """What the server says that it answers."""
    return schemathesis.openapi.from_url(f"{address}/openapi.json")


def tried(operation, mode) -> set[int]:
    """The statuses of a few requests of one route; in the body, the right model is named."""
    statuses = set()

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode))
    def run(case):
        if isinstance(case.body, dict) and "model" in case.body:
            case.body["model"] = MODELS.get(case.operation.path, case.body["model"])
        answer = case.call(timeout=20)
        statuses.add(answer.status_code)
        assert answer.status_code < 500, (case.as_curl_command(), answer.text)
        if answer.status_code >= 400:
            assert answer.json()["error"]["code"] == answer.status_code

    run()
    return statuses


def test_no_input_makes_the_server_fail(described):
    """By the description, and against it where a route takes anything at all."""
    seen: dict[str, set[int]] = {}
    for operation in (found.ok() for found in described.get_all_operations()):
        name = f"{operation.method.upper()} {operation.path}"
        seen[name] = tried(operation, GenerationMode.POSITIVE)
        if len(operation.body) or len(operation.query):
            seen[name] |= tried(operation, GenerationMode.NEGATIVE)
    posts = {"/v1/chat/completions", "/v1/embeddings", "/rerank", "/score", "/search", "/answer"}
    assert {f"POST {path}" for path in posts} <= seen.keys()
    assert all(statuses & {400, 422} for name, statuses in seen.items() if "POST" in name), seen
    assert any(200 in statuses for name, statuses in seen.items() if "POST" in name), seen
