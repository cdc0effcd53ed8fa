"""`/answer`."""

from fastapi import APIRouter

from chiasm.answering.records import Citation
from chiasm.retrieval.unit import Unit
from chiasm.serving.addresses import view_of
from chiasm.serving.refusal import STATUSES, Refused
from chiasm.serving.services import Services
from chiasm.serving.wire.answer import AnswerRequest, AnswerResponse, Cited


def router(services: Services) -> APIRouter:
    out = APIRouter(responses=STATUSES)

    @out.post("/answer")
    async def answer(asked: AnswerRequest) -> AnswerResponse:
        """An answer from the library's files, each sentence with what it rests on."""
        answers = services.answering()
        if not asked.question.strip():
            raise Refused(400, "the question is empty; ask something", field="question")
        if asked.reader == "model" and answers.model is None:
            raise Refused(400, "no chat model is served; ask with reader 'extractive'")
        # Read once now, so that what is no picture is refused here.
        await services.media.pictures(asked.images)
        images = [services.media.bytes_of(one) for one in asked.images]

        def run() -> AnswerResponse:
            trace = answers.ask(
                asked.question, images=images, where=asked.where, k=asked.k, reader=asked.reader
            )
            said = trace.answered()
            wanted = [one.unit for one in said.citations if one.unit is not None]
            units = {unit.id: unit for unit in answers.library.units(wanted)}
            return AnswerResponse(
                answer=said.text,
                citations=[cited(one, units.get(one.unit or "")) for one in said.citations],
                notes=trace.notes(),
                reader=trace.began().reader,
            )

        return await services.worker.run(run)

    return out


def cited(one: Citation, unit: Unit | None) -> Cited:
    """A citation as the API tells it."""
    boxes = [] if one.box is None else [one.box]
    return Cited(
        sentence=one.sentence,
        supported=one.supported,
        number=one.number,
        unit=one.unit,
        path=one.path,
        page=one.page,
        box=None if one.box is None else list(one.box),
        start=one.start,
        end=one.end,
        quote=one.quote,
        view=None if unit is None else view_of(unit, boxes, one.start),
    )
