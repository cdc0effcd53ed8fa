"""Question 7: what comes out? One verb, `emit`."""

from chiasm.heads.action import ActionHead, Actions, Policy
from chiasm.heads.answers import AnswerKind, GatedAnswers, answerability, kind_of
from chiasm.heads.codes import CodeHead
from chiasm.heads.flow import FlowHead
from chiasm.heads.none import NoHead
from chiasm.heads.pointer import PointedState, PointerHead
from chiasm.heads.states import AnswersOfStates
from chiasm.heads.text import TextHead

__all__ = [
    "ActionHead",
    "Actions",
    "AnswerKind",
    "AnswersOfStates",
    "CodeHead",
    "FlowHead",
    "GatedAnswers",
    "NoHead",
    "PointedState",
    "PointerHead",
    "Policy",
    "TextHead",
    "answerability",
    "kind_of",
]
