"""A tiny real checkpoint behind a real server on this machine, with OpenAI's own client."""

import base64
import contextlib
import io
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import torch
import transformers
import uvicorn
from fastapi import FastAPI
from openai import OpenAI
from PIL import Image
from sentence_transformers import SentenceTransformer
from tests.tiny import tiny_answers

from chiasm import hub
from chiasm.assemble import build
from chiasm.data.collate import Collator
from chiasm.data.example import Example, Turn
from chiasm.data.media import read_image
from chiasm.data.templates import NANO
from chiasm.data.tokenizer import fit_tokenizer
from chiasm.ingestion import Options
from chiasm.library.library import Library
from chiasm.serving.app import application
from chiasm.serving.chatting import Chatter
from chiasm.serving.opening import opened
from chiasm.serving.services import Services
from chiasm.serving.settings import Settings
from chiasm.spec import registered

CONTEXT = 211
STEPS = 60
WIDTH = 17


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


QUESTION = "what color is the shape?"
COLOURS = {"red": (200, 30, 30), "blue": (10, 90, 250)}


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    """A tiny model that was taught two colours for a second, with its tokenizer and template."""
    systems = registered()
    if "llava-1.5" not in systems:
        pytest.skip("the system that these tests serve is not there")
    torch.manual_seed(0)
    said = {name: f"a {name} shape, wie schön; it is {name}" for name in COLOURS}
    tokenizer = fit_tokenizer([QUESTION, *said.values()], 300)
    answers = tiny_answers(systems["llava-1.5"].at("nano"))
    answers = replace(
        answers, host=replace(answers.host, vocabulary=len(tokenizer), max_positions=CONTEXT)
    )
    model = build(answers)
    examples = [
        Example(name, (read_image(png(COLOURS[name])),), (Turn(QUESTION, said[name]),))
        for name in COLOURS
    ]
    examples.append(Example("none", (), (Turn(QUESTION, "nothing is shown"),)))
    taught = Collator(answers, NANO, tokenizer).batch(examples, teach=True)
    adam = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(STEPS):
        adam.zero_grad()
        model.loss(taught).backward()
        adam.step()
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    hub.save(model, folder, slug="llava-1.5", scale="nano", tokenizer=tokenizer, template=NANO)
    return folder


@pytest.fixture(scope="session")
def chatter(services) -> Chatter:
    assert services.chatter is not None
    return services.chatter


def png(colour: tuple[int, int, int] = (200, 30, 30), size: tuple[int, int] = (61, 43)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, format="PNG")
    return buffer.getvalue()


def uri(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64," + base64.b64encode(data).decode()


Finish = Callable[[FastAPI, Services], FastAPI]


@contextlib.contextmanager
def served(services: Services, finish: Finish = lambda app, _: app) -> Iterator[str]:
    """The address of a server that runs until the end of the block; `finish` adds to its app."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        finish(application(services), services), log_level="error", lifespan="on"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        for _ in range(600):
            if server.started:
                break
            time.sleep(0.02)
        assert server.started
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


@pytest.fixture(scope="session")
def embedder(tmp_path_factory) -> Path:
    """A tiny random CLIP as sentence-transformers saves it, said to be of nested widths."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("embedders")
    tokenizer = fit_tokenizer([QUESTION, *COLOURS], 300)
    tokenizer.model_max_length = 31
    sizes = dict(hidden_size=24, intermediate_size=31, num_hidden_layers=2, num_attention_heads=3)
    text = dict(max_position_embeddings=31, bos_token_id=1, eos_token_id=2, pad_token_id=0)
    config = transformers.CLIPConfig(
        text_config={**sizes, **text, "vocab_size": len(tokenizer)},
        vision_config={**sizes, "image_size": 28, "patch_size": 7},
        projection_dim=WIDTH,
    )
    pixels = transformers.CLIPImageProcessor(
        size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}
    )
    transformers.CLIPModel(config).save_pretrained(folder / "raw")
    transformers.CLIPProcessor(pixels, tokenizer).save_pretrained(folder / "raw")
    SentenceTransformer(str(folder / "raw"), device="cpu").save_pretrained(str(folder / "clip"))
    path = folder / "clip" / "config.json"
    told = json.loads(path.read_text()) | {"matryoshka_dimensions": [5, WIDTH]}
    path.write_text(json.dumps(told))
    return folder / "clip"


@pytest.fixture(scope="session")
def files(tmp_path_factory) -> Path:
    """A folder of notes and pictures."""
    folder = tmp_path_factory.mktemp("files")
    for name, colour in COLOURS.items():
        (folder / f"{name}.png").write_bytes(png(colour, (67, 53)))
        (folder / f"{name}.md").write_text(
            f"# {name} things\n\nThe {name} car has {len(name)} wheels. It is parked outside.\n"
        )
    return folder


@pytest.fixture(scope="session")
def library(tmp_path_factory, embedder, files) -> Path:
    """What `chiasm index` makes of them."""
    place = tmp_path_factory.mktemp("libraries") / "library"
    with Library.create(place, embedder=str(embedder)) as made:
        made.index(files, options=Options(ocr=False), workers=0)
    return place


@pytest.fixture(scope="session")
def services(checkpoint, library) -> Services:
    return opened(Settings(max_new=7), model=str(checkpoint), library=str(library))


@pytest.fixture(scope="session")
def address(services) -> Iterator[str]:
    with served(services) as found:
        yield found


@pytest.fixture(scope="session")
def client(address) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as found:
        yield found


@pytest.fixture(scope="session")
def plain(address) -> Iterator[httpx.Client]:
    """A client that sends whatever it is told."""
    with httpx.Client(base_url=address, timeout=30, trust_env=False) as found:
        yield found


def complaint(answer: httpx.Response) -> str:
    """The one line of a refusal, which has the shape of OpenAI's."""
    assert set(answer.json()) == {"error"}
    error = answer.json()["error"]
    assert error["code"] == answer.status_code and "\n" not in error["message"]
    assert "Traceback" not in error["message"]
    return error["message"]
