"""Token identity: the types that flow between rooms. Imports nothing of ours."""

from chiasm.stream.features import Asked, Connects, Features, Memory, Tokens
from chiasm.stream.identity import SHARED, Modality, Role
from chiasm.stream.permission import Permission
from chiasm.stream.plan import ALL, MEDIA, NONE, TEXT, RowPlan, Rows, groups_of
from chiasm.stream.rule import Rule, as_mask
from chiasm.stream.spotted import Spotted
from chiasm.stream.stream import Inputs, Stream
from chiasm.stream.table import TokenTable

__all__ = [
    "ALL",
    "MEDIA",
    "NONE",
    "SHARED",
    "TEXT",
    "Asked",
    "Connects",
    "Features",
    "Inputs",
    "Memory",
    "Modality",
    "Permission",
    "Role",
    "RowPlan",
    "Rows",
    "Rule",
    "Spotted",
    "Stream",
    "TokenTable",
    "Tokens",
    "as_mask",
    "groups_of",
]
