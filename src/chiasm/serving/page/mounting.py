"""The page in its place beside the API; nothing of it is loaded from elsewhere."""

import os
from pathlib import Path

from fastapi import FastAPI

from chiasm.serving.page.layout import blocks
from chiasm.serving.services import Services

STYLE = Path(__file__).with_name("page.css")


def with_page(app: FastAPI, services: Services) -> FastAPI:
    """The app with the page at `/`, under the same guard as every other address."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    import gradio
    from gradio.themes import Default

    system = ["system-ui", "sans-serif"]
    return gradio.mount_gradio_app(
        app,
        blocks(services),
        path="/",
        footer_links=[],
        run_history=False,
        show_error=True,
        max_file_size=services.settings.max_media,
        ssr_mode=False,
        enable_monitoring=False,
        mcp_server=False,
        pwa=False,
        theme=Default(primary_hue="blue", font=system, font_mono=["ui-monospace", "monospace"]),
        css_paths=STYLE,
    )
