"""The web page: a composed search, cited answers and a chat, in one Gradio app at `/`."""

from chiasm.serving.page.mounting import with_page

__all__ = ["with_page"]
