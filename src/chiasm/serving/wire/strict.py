"""The base of every request."""

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """Unknown fields, and numbers that are none, are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
