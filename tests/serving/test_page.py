"""The page as a person uses it, in a real browser: search, refine, open, ask, chat."""

import json

import pytest
from tests.serving.browser import Page, browser, chromium
from tests.serving.conftest import COLOURS, QUESTION, png, served

from chiasm.data.media import read_image
from chiasm.library.library import Library
from chiasm.retrieval import Item
from chiasm.retrieval.query import Part, Query
from chiasm.serving.page import with_page
from chiasm.serving.services import Services
from chiasm.serving.settings import Settings

pytestmark = pytest.mark.skipif(chromium() is None, reason="no Chromium is installed")
PATHS = "[...document.querySelectorAll('.card .place')].map(one => one.title)"


@pytest.fixture(scope="module")
def site(services):
    own = Services.start(
        services.settings,
        chatter=services.chatter,
        embeds=services.embeds,
        library=services.answers.library,
        folder=services.folder,
    )
    with served(own, with_page) as address:
        yield address


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("chromium")) as page:
        yield page


@pytest.fixture
def page(tab, site) -> Page:
    """The page, freshly opened."""
    tab.open(f"{site}/")
    tab.wait("document.querySelector('#words textarea')")
    return tab


@pytest.fixture(scope="module")
def held(library):
    with Library.open(library) as found:
        yield found


def show(page: Page, name: str) -> None:
    """Go to a tab of the page."""
    tabs = "[...document.querySelectorAll('button[role=tab]')]"
    page.wait(f"{tabs}.some(one => one.innerText === {json.dumps(name)})")
    page.evaluate(f"{tabs}.find(one => one.innerText === {json.dumps(name)}).click()")


def paths(held, *parts: Part, like: tuple[tuple[str, float], ...] = ()) -> list[str]:
    return [hit.unit.path for hit in held.search(Query(parts=parts, like=like, k=12))]


def wait_for(page: Page, expected: list[str]) -> None:
    page.wait(
        f"JSON.stringify({PATHS}) === {json.dumps(json.dumps(expected, separators=(',', ':')))}"
    )


def test_search_refine_and_open(page, held):
    words = Part(item=Item(text="red car"))
    page.type("#words textarea", "red car")
    page.click("#go")
    wait_for(page, paths(held, words))
    chosen = page.evaluate("document.querySelectorAll('.card button')[1].dataset.unit")
    page.evaluate("document.querySelectorAll('.card')[1].setAttribute('id', 'second')")
    page.click("#second button")
    page.wait("document.querySelector('#like input').checked")
    wait_for(page, paths(held, words, like=((chosen, 1.0),)))
    assert chosen not in page.evaluate(
        "[...document.querySelectorAll('.card button')].map(one => one.dataset.unit)"
    )
    page.click("#like input")
    wait_for(page, paths(held, words))
    page.type("#where textarea", "type=image")
    page.press_enter()
    page.wait(f"{PATHS}.length === {len(COLOURS)}")
    page.click(".card a.look")
    first = page.evaluate(PATHS)[0]
    frame = "document.querySelector('iframe[name=viewer-search]').contentDocument"
    page.wait(f"{frame}.querySelector('img').naturalWidth > 0")
    assert first in page.framed("viewer-search")


def test_a_picture_is_searched_by(page, held, tmp_path):
    (tmp_path / "blue.png").write_bytes(png(COLOURS["blue"]))
    page.upload("input[type=file]", tmp_path / "blue.png")
    page.wait("document.querySelector('button[aria-label=\"Remove Image\"], img[src*=file]')")
    page.click("#go")
    wait_for(page, paths(held, Part(item=Item(image=read_image(png(COLOURS["blue"]))))))


def test_what_cannot_be_meant_is_one_line(page):
    page.click("#go")
    page.wait("document.body.innerText.includes('nothing is asked for')")


def test_an_answer_opens_its_source(page):
    show(page, "Ask")
    page.type("#question textarea", "The red car has 3 wheels.")
    page.click("#ask-go")
    page.wait("document.querySelector('.answer .sources a')")
    page.click(".answer .sources a")
    frame = "document.querySelector('iframe[name=viewer-ask]').contentDocument"
    path = page.evaluate("document.querySelector('.answer .sources a').innerText")
    page.wait(f"{frame}.querySelector('.place').innerText === {json.dumps(path)}")
    quote = page.evaluate("document.querySelector('.answer blockquote').innerText")
    assert quote and quote in page.evaluate(f"{frame}.body.innerText")


def test_a_chat_says_what_the_asker_says(page, chatter):
    show(page, "Chat")
    page.type("#say textarea", QUESTION)
    page.press_enter()
    expected = chatter.asker.answer(QUESTION, max_new=7).text
    page.wait(f"document.querySelector('#chat').innerText.includes({json.dumps(expected)})")


def test_nothing_is_loaded_from_elsewhere_and_nothing_breaks(page, site):
    page.type("#words textarea", "red")
    page.click("#go")
    page.wait("document.querySelector('.card')")
    here = (site, "data:", "blob:", "about:")
    assert [url for url in page.requested if not url.startswith(here)] == []
    assert page.complaints == []


def test_the_page_asks_for_the_token_too(tab, services):
    settings = Settings(token="correct-horse")
    locked = Services.start(settings, chatter=services.chatter)
    with served(locked, with_page) as address:
        tab.open(f"{address}/")
        assert not tab.evaluate("document.querySelector('gradio-app, #say') !== null")
        tab.log_in("correct-horse")
        tab.open(f"{address}/")
        tab.wait("document.querySelector('#say textarea')")
