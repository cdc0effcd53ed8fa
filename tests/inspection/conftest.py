"""Fresh tiny models asked about drawn scenes: nothing is fetched and nothing is taught."""

import functools
from dataclasses import replace

import pytest
from tests.tiny import tiny_answers

from chiasm import data, hub
from chiasm.answering import Asker
from chiasm.assemble import build
from chiasm.data.templates import NANO
from chiasm.data.tokenizer import fit_tokenizer
from chiasm.evaluation.trial import alone
from chiasm.inspection.subject import Subject
from chiasm.spec import registered


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """`folders(slug)` is a checkpoint of that system, tiny, with a tokenizer of the scenes."""

    @functools.cache
    def folder(slug: str):
        texts = list(data.scenes.load("train", count=40).texts())
        tokenizer = fit_tokenizer(texts, 400)
        answers = tiny_answers(registered()[slug].at("nano"))
        answers = replace(answers, host=replace(answers.host, vocabulary=len(tokenizer)))
        out = tmp_path_factory.mktemp("inspected") / slug
        made = build(answers, seed=7)
        hub.save(made, out, slug=slug, scale="nano", tokenizer=tokenizer, template=NANO)
        return out

    return folder


@pytest.fixture(scope="session")
def subjects(folders):
    """`subjects(slug)` is that checkpoint, asked a question of each of 13 scenes."""

    @functools.cache
    def subject(slug: str) -> Subject:
        scenes = alone(data.scenes.load("test", count=13).examples)
        first = list({one.id: one for one in scenes}.values())
        return Subject(Asker.open(folders(slug)), first).checked()

    return subject
