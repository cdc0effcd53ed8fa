"""Words that say nothing of what is looked for: full-text search is not asked for them."""

FUNCTION_WORDS = {
    *("a", "about", "all", "am", "an", "and", "any", "are", "as", "at", "be", "been", "but"),
    *("by", "can", "could", "did", "do", "does", "for", "from", "had", "has", "have", "he"),
    *("her", "him", "his", "how", "i", "if", "in", "into", "is", "it", "its", "me", "my", "no"),
    *("not", "of", "on", "or", "our", "she", "should", "so", "some", "than", "that", "the"),
    *("their", "them", "then", "there", "these", "they", "this", "those", "to", "was", "we"),
    *("were", "what", "when", "where", "which", "who", "whom", "whose", "why", "will", "with"),
    *("would", "you", "your"),
}
"""English. A rank in a list counts however little the match that gave it, so that a text which
shares only `in the` with a question would stand high."""


def telling(words: str) -> str:
    """The query without function words; all of it if it has no others."""
    kept = [one for one in words.split() if one.strip(".,;:!?\"'()").lower() not in FUNCTION_WORDS]
    return " ".join(kept) or words
