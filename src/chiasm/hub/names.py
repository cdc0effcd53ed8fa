"""Parameter names of chiasm's modules and of transformers' checkpoints, both ways."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Names:
    """A bijection by prefix, and the other spellings that folders of the same model use.

    `pairs` are (our prefix, the prefix that is written); `spellings` are (another prefix, its
    written form), tried in order, each at most once.
    """

    pairs: tuple[tuple[str, str], ...]
    spellings: tuple[tuple[str, str], ...] = ()

    def theirs(self, ours: str) -> str:
        """The checkpoint's name of one of our tensors; KeyError if it has none."""
        for mine, written in self.pairs:
            if ours.startswith(mine):
                return written + ours.removeprefix(mine)
        raise KeyError(ours)

    def spelt(self, theirs: str) -> str:
        """The written form of a name found in a checkpoint."""
        for other, written in self.spellings:
            if theirs.startswith(other) and not theirs.startswith(written):
                theirs = written + theirs.removeprefix(other)
        return theirs


DERIVED = ("rotary_emb.inv_freq", "embeddings.position_ids")
"""Endings of buffers that old checkpoints carry and every model computes anew."""


def decoder(text: str, head: str) -> tuple[tuple[str, str], ...]:
    """Names of a decoder's tensors under the prefixes of its text model and of its head."""
    return (
        ("decoder.embed_tokens.", f"{text}embed_tokens."),
        ("decoder.stack.layers.", f"{text}layers."),
        ("decoder.norm.", f"{text}norm."),
        ("head.lm_head.", f"{head}lm_head."),
    )


CAUSAL = Names(decoder("model.", ""))
"""LlamaForCausalLM and its like."""

HEADLESS = Names(decoder("", ""), (("model.", ""),))
"""LlamaModel and its like."""
