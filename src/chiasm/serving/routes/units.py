"""The units that searches find: what they say, how they look, and their sound or film."""

from dataclasses import asdict
from pathlib import PurePosixPath
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import FileResponse, HTMLResponse

from chiasm.ingestion.walk import inside
from chiasm.retrieval.unit import Unit
from chiasm.serving.addresses import PLAYED
from chiasm.serving.marking import THUMBNAIL, marked, read_box
from chiasm.serving.refusal import STATUSES, Refused
from chiasm.serving.services import Services
from chiasm.serving.viewing import page
from chiasm.serving.wire.search import UnitResponse, place_of

Boxes = Annotated[list[str] | None, Query(max_length=64)]
MEDIA = {
    **{".mp3": "audio/mpeg", ".wav": "audio/wav", ".flac": "audio/flac", ".ogg": "audio/ogg"},
    **{".m4a": "audio/mp4", ".aac": "audio/aac", ".opus": "audio/ogg", ".aiff": "audio/aiff"},
    **{".mp4": "video/mp4", ".m4v": "video/mp4", ".webm": "video/webm", ".mkv": "video/x-matroska"},
    **{".mov": "video/quicktime", ".avi": "video/x-msvideo", ".mpg": "video/mpeg"},
}
LOCKED = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; media-src 'self'; "
    "style-src 'unsafe-inline'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
}
"""Whatever a file says, nothing of it is run."""


def router(services: Services) -> APIRouter:
    out = APIRouter(responses=STATUSES, prefix="/units")

    async def held(name: str) -> Unit:
        library = services.answering().library
        found = await services.worker.run(lambda: library.units([name]))
        if not found:
            raise Refused(404, f"no unit {name!r:.80} in the library")
        return found[0]

    @out.get("/{name}/picture", response_class=Response)
    async def picture(name: str, box: Boxes = None, small: bool = False) -> Response:
        """A unit's picture as PNG, boxes (`left,top,right,bottom`, from 0 to 1) drawn on it."""
        unit = await held(name)
        boxes = [read_box(one) for one in box or []]
        size = THUMBNAIL if small else None
        data = await services.media.apart(lambda: marked(unit, boxes, longest=size))
        return Response(data, media_type="image/png", headers=LOCKED)

    @out.get("/{name}/media", response_class=FileResponse)
    async def media(name: str) -> FileResponse:
        """A unit's sound or film, whole or the bytes asked for."""
        unit = await held(name)
        suffix = PurePosixPath(unit.path).suffix.lower()
        if unit.kind not in PLAYED or services.folder is None:
            raise Refused(404, f"{name!r:.80} has neither sound nor film")
        file = services.folder / unit.path
        if not inside(services.folder, file) or not file.is_file():
            raise Refused(404, f"{unit.path!r:.80} is no longer in the library's folder")
        kind = MEDIA.get(suffix, "application/octet-stream")
        return FileResponse(file, media_type=kind, headers=LOCKED)

    @out.get("/{name}/view", response_class=HTMLResponse)
    async def view(
        name: str,
        box: Boxes = None,
        at: Annotated[float | None, Query(ge=0, le=1e9, allow_inf_nan=False)] = None,
    ) -> HTMLResponse:
        """A page that shows a unit: its picture with boxes, or its sound or film from a second."""
        unit = await held(name)
        return HTMLResponse(page(unit, [read_box(one) for one in box or []], at), headers=LOCKED)

    @out.get("/{name}")
    async def unit(name: str) -> UnitResponse:
        """A unit, with where its words stand."""
        of = await held(name)
        return UnitResponse(
            **place_of(of), spans=[asdict(span) for span in of.spans], metadata=dict(of.metadata)
        )

    return out
