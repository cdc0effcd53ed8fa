"""`chiasm`: the verbs, and the one place where an error becomes a line and an exit code."""

import logging
import os
import sys

import typer

from chiasm.cli import data, inspect, weights
from chiasm.cli.answer import answer
from chiasm.cli.ask import ask
from chiasm.cli.compare import compare
from chiasm.cli.compress import compress
from chiasm.cli.cost import cost
from chiasm.cli.explain import explain
from chiasm.cli.fit import fit
from chiasm.cli.generate import generate
from chiasm.cli.index import index
from chiasm.cli.merge import merge
from chiasm.cli.parity import parity
from chiasm.cli.search import search
from chiasm.cli.serve import serve
from chiasm.cli.show import show
from chiasm.cli.slim import slim
from chiasm.cli.systems import systems
from chiasm.cli.train import train
from chiasm.errors import ChiasmError

app = typer.Typer(
    help="Every multimodal model as answers to eight questions: build, count, train, compare, ask.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for verb in (
    *(systems, show, explain, cost, fit, train, compare, compress, merge, slim),
    *(ask, answer, generate, parity, index, search, serve),
):
    app.command()(verb)
app.add_typer(inspect.app, name="inspect")
app.add_typer(weights.app, name="weights")
app.add_typer(data.app, name="data")


def main() -> None:
    """Run the command line; a `ChiasmError` is one line on stderr and its own exit code."""
    # transformers imports torchao where it is installed, which reports kernels for other machines.
    for name in ("torchao", "torch.utils._pytree"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        app(prog_name="chiasm")
    except ChiasmError as error:
        print(f"chiasm: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


if __name__ == "__main__":
    main()
