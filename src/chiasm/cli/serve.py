"""`chiasm serve`: a model and a library behind OpenAI's API, and a web page."""

from typing import Annotated

import typer


def serve(
    library: Annotated[
        str | None, typer.Option(help="A folder that `chiasm index` wrote; searched and cited.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="A chiasm or LLaVA-type Hugging Face folder, or an alias; to chat with."),
    ] = None,
    embedder: Annotated[
        str | None, typer.Option(help="An embedder's name or folder, where no library brings one.")
    ] = None,
    rerank: Annotated[
        str | None,
        typer.Option(help="A reranker's folder: a cross-encoder, or a model that says yes or no."),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Where to listen; beyond this machine only with --token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes any that is free.", min=0, max=65535)] = 8000,
    token: Annotated[
        str,
        typer.Option(
            help="What clients must bring, and the page's password.", envvar="CHIASM_TOKEN"
        ),
    ] = "",
    allow_remote: Annotated[
        bool,
        typer.Option("--allow-remote", help="Fetch pictures from public http(s) addresses too."),
    ] = False,
    max_new: Annotated[int, typer.Option(help="Longest answer, unless asked for.", min=1)] = 512,
    queue: Annotated[int, typer.Option(help="Requests that may wait.", min=1)] = 16,
    seconds: Annotated[float, typer.Option(help="Until a request is given up.", min=0.1)] = 300.0,
    max_body: Annotated[int, typer.Option(help="Megabytes of one request.", min=1)] = 32,
) -> None:
    """Serve OpenAI's API (chat, embeddings), search and answers, and a web page at /.

    Example: chiasm serve --library library --model runs/demo/saisa
    """
    import logging

    from chiasm.errors import Misuse
    from chiasm.serving.extra import check_installed

    if library is None and model is None and embedder is None and rerank is None:
        raise Misuse("nothing to serve; give --library, --model or both")
    check_installed()

    import uvicorn

    from chiasm.serving.app import application
    from chiasm.serving.listening import bound
    from chiasm.serving.opening import opened
    from chiasm.serving.page import with_page
    from chiasm.serving.settings import Settings

    settings = Settings(
        host=host,
        port=port,
        token=token,
        allow_remote=allow_remote,
        max_new=max_new,
        queue=queue,
        seconds=seconds,
        max_body=max_body * 2**20,
    )
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    listener = bound(host, port)
    services = opened(settings, library=library, model=model, embedder=embedder, rerank=rerank)
    app = with_page(application(services), services)
    config = uvicorn.Config(app, host=host, port=port, log_level="warning", access_log=False)
    server = uvicorn.Server(config)
    named = f"[{host}]" if ":" in host else host
    typer.echo(f"serving on http://{named}:{listener.getsockname()[1]} (stop with Ctrl-C)")
    server.run([listener])
