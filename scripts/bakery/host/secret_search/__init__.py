"""Finds secret values in bytes, in the forms in which programs write them.

`pieces` makes short literals, at least one of which is in every form of a value. Hyperscan finds these in one pass, and
`decoding` confirms each hit: it decodes the bytes around it and compares the result with the value. `streams` does the
same for what is compressed.
"""

from bakery.host.secret_search.files import SHORTEST, cached_matcher, refuse_secrets, searchable
from bakery.host.secret_search.matcher import Content, Hit, Mark, Matcher, Reported
from bakery.host.secret_search.streams import MARKS, StreamHit, StreamSearch

__all__ = [
    "MARKS",
    "SHORTEST",
    "Content",
    "Hit",
    "Mark",
    "Matcher",
    "Reported",
    "StreamHit",
    "StreamSearch",
    "cached_matcher",
    "refuse_secrets",
    "searchable",
]
