"""The linear layers of a host's block: their shapes, and how many rows each works on."""

from collections.abc import Mapping

from chiasm.spec import Host
from chiasm.spec.slots import NormSite, Site
from chiasm.spec.work import LayerRows
from chiasm.stream import Modality

BLOCK = (Site.QUERY, Site.KEY, Site.VALUE, Site.OUTPUT, Site.GATE, Site.UP, Site.DOWN)
"""Every linear layer of attention and feed-forward."""


MIXED = (Site.MIXER_IN, Site.MIXER_OUT)
"""The linear layers of a state-space mixer, which stands in attention's place."""


def shape_of(host: Host, site: Site) -> tuple[int, int]:
    """(width in, width out)."""
    inner, shared = host.heads * host.head_width, host.kv_heads * host.head_width
    mixer = host.mixer
    if mixer is not None and site in MIXED:
        mixing = (host.width, mixer.projected), (mixer.inner, host.width)
        return mixing[MIXED.index(site)]
    shapes = {
        Site.QUERY: (host.width, inner),
        Site.KEY: (host.width, shared),
        Site.VALUE: (host.width, shared),
        Site.OUTPUT: (inner, host.width),
        Site.GATE: (host.width, host.ff_width),
        Site.UP: (host.width, host.ff_width),
        Site.DOWN: (host.ff_width, host.width),
    }
    return shapes[site]


def rows_at(rows: LayerRows, site: Site) -> Mapping[Modality, int]:
    """Rows of each modality that pass a site of one layer."""
    counts = {
        Site.QUERY: rows.query,
        Site.KEY: rows.key_value,
        Site.VALUE: rows.key_value,
        Site.OUTPUT: rows.output,
        Site.MIXER_IN: rows.query,
        Site.MIXER_OUT: rows.output,
    }
    return counts.get(site, rows.feed_forward)


def feed_forward_shape(host: Host, hidden: int) -> int:
    """Parameters of a feed-forward of the host's kind with so many hidden units, without biases."""
    return (3 if host.gated else 2) * host.width * hidden


def layer_weights(host: Host, site: Site) -> int:
    """Parameters of one layer's site, its bias included; 0 where the host has no such site."""
    biases = {
        Site.QUERY: host.query_key_value_bias,
        Site.KEY: host.query_key_value_bias,
        Site.VALUE: host.query_key_value_bias,
        Site.OUTPUT: host.output_bias,
    }
    if site is Site.GATE and not host.gated:
        return 0
    width, out = shape_of(host, site)
    return width * out + out * biases.get(site, host.mlp_bias)


def norm_weights(host: Host, site: NormSite) -> int:
    """Parameters of one kind of norm in the whole stack; 0 where the host has none there."""
    each, two = [host.at(layer) for layer in range(host.depth)], host.arrangement != "parallel"
    inner, hidden = sum(of.heads * of.head_width for of in each), sum(of.ff_width for of in each)
    widths = {
        NormSite.ATTENTION: host.depth * host.width,
        NormSite.FEED_FORWARD: host.depth * host.width * two,
        NormSite.QUERY: sum(of.head_width for of in each) * host.query_key_norm,
        NormSite.KEY: sum(of.head_width for of in each) * host.query_key_norm,
        NormSite.READ: inner * host.sub_norm,
        NormSite.HIDDEN: hidden * host.sub_norm,
        NormSite.EMBEDDING: host.width * host.embedding_norm,
        NormSite.FINAL: host.width * host.final_norm,
    }
    return widths[site] * (2 if host.norm == "layer" else 1)
