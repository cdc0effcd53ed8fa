"""`/search`, and the units that it finds with their pictures."""

from dataclasses import asdict
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Response

from chiasm.retrieval.unit import Hit, Unit
from chiasm.serving.composing import composed
from chiasm.serving.marking import THUMBNAIL, marked, read_box
from chiasm.serving.refusal import STATUSES, Refused
from chiasm.serving.services import Services
from chiasm.serving.wire.search import Found, SearchRequest, SearchResponse, UnitResponse


def router(services: Services) -> APIRouter:
    out = APIRouter(responses=STATUSES)

    @out.post("/search")
    async def search(asked: SearchRequest) -> SearchResponse:
        """The units that fit words, a picture, fewer of other words, and more like some units."""
        library = services.searched()
        seen = await services.media.pictures([] if asked.image is None else [asked.image])
        query = composed(
            text=asked.text,
            image=seen[0].image if seen else None,
            minus=asked.minus,
            like=asked.like,
            weights=asked.weights,
            where=asked.where,
            k=asked.k,
            instruction=asked.instruction,
        )
        hits = await services.worker.run(lambda: library.search(query))
        return SearchResponse(
            hits=[found(hit) for hit in hits], notes=[note for one in seen for note in one.notes]
        )

    @out.get("/units/{name:path}/picture", response_class=Response)
    async def picture(
        name: str,
        box: Annotated[list[str] | None, Query(max_length=256)] = None,
        small: bool = False,
    ) -> Response:
        """A unit's picture as PNG, boxes (`left,top,right,bottom`, from 0 to 1) drawn on it."""
        unit = await _unit(services, name)
        boxes = [read_box(one) for one in box or []]
        size = THUMBNAIL if small else None
        data = await services.worker.run(lambda: marked(unit, boxes, longest=size))
        return Response(data, media_type="image/png")

    @out.get("/units/{name:path}")
    async def unit(name: str) -> UnitResponse:
        """A unit, with where its words stand."""
        of = await _unit(services, name)
        return UnitResponse(
            **_place(of),
            spans=[asdict(span) for span in of.spans],
            metadata=dict(of.metadata),
        )

    return out


def found(hit: Hit) -> Found:
    """A hit as the API tells it."""
    return Found(**_place(hit.unit), score=hit.score, stage=hit.stage, scores=dict(hit.scores))


def picture_address(unit: Unit) -> str | None:
    """Where a unit's picture is, on this server."""
    return None if unit.picture is None else f"/units/{quote(unit.id, safe='')}/picture"


def _place(unit: Unit) -> dict[str, Any]:
    return {
        "id": unit.id,
        "path": unit.path,
        "type": str(unit.kind),
        "title": unit.title,
        "text": unit.text,
        "page": unit.page,
        "box": None if unit.box is None else list(unit.box),
        "start": unit.start,
        "end": unit.end,
        "picture": picture_address(unit),
    }


async def _unit(services: Services, name: str) -> Unit:
    library = services.searched()
    held = await services.worker.run(lambda: library.units([name]))
    if not held:
        raise Refused(404, f"no unit {name!r:.80} in the library")
    return held[0]
