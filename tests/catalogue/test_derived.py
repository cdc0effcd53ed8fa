"""Tags that a spec decides equal the written ones."""

import pytest

from chiasm.catalogue.derived import DERIVED, EXPLAINED, compresses
from chiasm.catalogue.rows import by_slug
from chiasm.spec import registered

BUILT = [slug for slug in registered() if slug in by_slug() and by_slug()[slug].facets]


def test_every_built_model_is_tagged():
    rows = by_slug()
    bare = [s for s in registered() if s in rows and not rows[s].facets]
    assert not bare, f"add tags for {', '.join(bare)} to tagged.tsv"


def differs(slug: str, facet: str) -> str:
    """What is wrong between a written tag and the spec; nothing where they agree."""
    of, written = registered()[slug], by_slug()[slug].facets
    if facet == "tok":
        says = any(value[:2] in ("I:", "V:", "A:") for value in written.get("tok", ()))
        return "" if compresses(of) == says else f"{slug}: the spec compresses: {not says}"
    found = DERIVED[facet](of)
    same = set(found) == set(written[facet])
    return "" if same else f"{slug}: the spec says {facet}={'+'.join(found)}"


@pytest.mark.parametrize("facet", [*DERIVED, "tok"])
@pytest.mark.parametrize("slug", BUILT)
def test_a_tag_is_what_the_spec_decides_or_the_difference_is_explained(slug, facet):
    wrong = differs(slug, facet)
    if (slug, facet) in EXPLAINED:
        assert wrong, f"{slug} and its tag agree on {facet}: drop the explanation"
    else:
        assert not wrong
