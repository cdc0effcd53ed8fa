"""What stands where on the page, and which event calls which handler."""

import functools
from collections.abc import AsyncIterator, Callable
from typing import Any

import gradio as gr

from chiasm.errors import ChiasmError
from chiasm.serving.page.cards import CHOOSE, frame
from chiasm.serving.page.handlers import ASK, SEARCH, Handlers, as_line
from chiasm.serving.services import Services

INTRO = "Type words, add a picture, take words away; press <em>More like this</em> to refine."
WHERE = "such as type=page and page>3, or path~report"


def blocks(services: Services) -> gr.Blocks:
    """The page of these services: the tabs of what they serve."""
    handlers = Handlers(services)
    with gr.Blocks(title="chiasm", fill_width=True, analytics_enabled=False) as page, gr.Tabs():
        if services.answers is not None:
            with gr.Tab("Search", id="search"):
                _search(handlers)
            with gr.Tab("Ask", id="ask"):
                _ask(handlers, services)
        if services.chatter is not None:
            with gr.Tab("Chat", id="chat"):
                _chat(handlers, services)
    return page


def _search(handlers: Handlers) -> None:
    names = gr.State({})
    with gr.Row():
        with gr.Column(scale=4, min_width=350):
            with gr.Group():
                with gr.Row():
                    text = _words("Words", "what you look for", "words")
                    text_weight = _weight()
                with gr.Row():
                    minus = _words("Minus words", "what it should not be", "minus")
                    minus_weight = _weight()
                with gr.Row(equal_height=True):
                    image = _picture()
                    image_weight = _weight()
                with gr.Row(visible=False) as examples:
                    like = gr.CheckboxGroup(
                        [], label="More like", elem_id="like", scale=3, min_width=150
                    )
                    like_weight = _weight()
                where = gr.Textbox(label="Filter", placeholder=WHERE, elem_id="where")
                k = gr.Slider(1, 60, value=12, step=1, label="Results", buttons=[])
            go = gr.Button("Search", variant="primary", elem_id="go")
        with gr.Column(scale=6, min_width=360):
            results = gr.HTML(f'<p class="quiet">{INTRO}</p>', js_on_load=CHOOSE, elem_id="results")
        with gr.Column(scale=5, min_width=320):
            gr.HTML(frame(SEARCH))
    asked = [
        *(text, text_weight, image, image_weight, minus, minus_weight),
        *(like, like_weight, where, k),
    ]
    search = _told(handlers.search)
    for event in (go.click, text.submit, minus.submit, where.submit, like.input):
        event(search, asked, results, api_visibility="private")

    def more(
        known: dict[str, str], chosen: list[str], event: gr.EventData
    ) -> tuple[dict[str, str], Any, Any]:
        """One example more among the parts of the query."""
        known = {**known, str(event.unit): str(event.title)}
        choices = [(title, unit) for unit, title in known.items()]
        value = list(dict.fromkeys([*chosen, str(event.unit)]))
        return known, gr.CheckboxGroup(choices=choices, value=value), gr.Row(visible=True)

    results.select(more, [names, like], [names, like, examples], api_visibility="private").then(
        search, asked, results, api_visibility="private"
    )


def _ask(handlers: Handlers, services: Services) -> None:
    readers = [("the sentence that fits best", "extractive")]
    if services.answers is not None and services.answers.model is not None:
        readers.insert(0, ("the chat model", "model"))
    with gr.Row():
        with gr.Column(scale=6, min_width=360):
            question = gr.Textbox(
                label="Question", placeholder="what do your files say about …?", elem_id="question"
            )
            with gr.Row():
                where = gr.Textbox(label="Filter", placeholder=WHERE)
                reader = gr.Radio(readers, value=readers[-1][1], label="Answered by")
            with gr.Accordion("Show a picture with it", open=False):
                image = _picture()
            go = gr.Button("Ask", variant="primary", elem_id="ask-go")
            told = gr.HTML(
                '<p class="quiet">Each sentence of an answer names its source.</p>',
                elem_id="answer",
            )
        with gr.Column(scale=6, min_width=320):
            gr.HTML(frame(ASK))
    for event in (go.click, question.submit):
        event(_told(handlers.ask), [question, image, where, reader], told, api_visibility="private")


def _chat(handlers: Handlers, services: Services) -> None:
    assert services.chatter is not None
    looks = services.chatter.asker.looks
    gr.ChatInterface(
        _told_on(handlers.chat),
        multimodal=True,
        chatbot=gr.Chatbot(
            height="70vh",
            allow_tags=False,
            buttons=["copy"],
            show_label=False,
            placeholder=f"Chat with {services.chatter.name}",
            elem_id="chat",
        ),
        textbox=gr.MultimodalTextbox(
            file_types=["image"] if looks else [],
            file_count="multiple",
            placeholder="Say something, or add pictures" if looks else "Say something",
            sources=["upload"] if looks else [],
            elem_id="say",
        ),
        analytics_enabled=False,
        api_visibility="private",
        fill_width=True,
    )


def _words(label: str, example: str, name: str) -> gr.Textbox:
    return gr.Textbox(label=label, placeholder=example, elem_id=name, scale=3, min_width=150)


def _picture() -> gr.Image:
    """Taken in as it is: nothing is encoded again."""
    return gr.Image(
        label="Picture",
        type="filepath",
        image_mode=None,
        height=150,
        sources=["upload", "clipboard"],
        scale=3,
        min_width=150,
    )


def _weight() -> gr.Slider:
    return gr.Slider(
        0,
        2,
        value=1,
        step=0.1,
        label="weight",
        buttons=[],
        scale=2,
        min_width=110,
        elem_classes="weight",
    )


def _told(handler: Callable[..., Any]) -> Callable[..., Any]:
    """A refusal as Gradio shows it."""

    @functools.wraps(handler)
    async def run(*asked: Any) -> Any:
        try:
            return await handler(*asked)
        except ChiasmError as error:
            raise gr.Error(as_line(error), print_exception=False) from None

    return run


def _told_on(handler: Callable[..., AsyncIterator[str]]) -> Callable[..., AsyncIterator[str]]:
    """The same, of what answers in pieces."""

    @functools.wraps(handler)
    async def run(*asked: Any) -> AsyncIterator[str]:
        try:
            async for piece in handler(*asked):
                yield piece
        except ChiasmError as error:
            raise gr.Error(as_line(error), print_exception=False) from None

    return run
