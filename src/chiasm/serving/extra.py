"""What serving needs beside chiasm itself."""

import importlib.util

from chiasm.errors import Misuse

NEEDED = ("fastapi", "gradio", "httpx", "prometheus_client", "uvicorn")


def check_installed() -> None:
    """Raises Misuse that names the extra, if a library is missing."""
    missing = [one for one in NEEDED if importlib.util.find_spec(one) is None]
    if missing:
        raise Misuse(
            f"serving needs {' and '.join(missing)}, not installed: pip install 'chiasm[serve]'"
        )
