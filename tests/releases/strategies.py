"""Sets of entries with few keys and few values, so that two drawn sets often share a key and often differ in it.

Valid sets are `tests.runtime.strategies.entry_maps()`; compose and diff promise the same for any plain documents.
"""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from controlplane.releases.compose import Document

# What a property says holds on a slow or busy machine as well.
unhurried = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

KEYS = (
    "tier/free",
    "tier/premium",
    "model/FAST",
    "interaction/COACHING",
    "prompt/coaching",
    "configuration/COACHING/default/*",
    "configuration/COACHING/premium/*",
    "gate/COACHING",
)

_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([0.0, 0.5, 1.0])
    | st.sampled_from(["", "a", "b"])
)
_variants = st.lists(
    st.fixed_dictionaries(
        {"version": st.integers(1, 4), "model": st.sampled_from(["A", "B"])},
        optional={
            "prompt": st.fixed_dictionaries({"code": st.sampled_from(["x", "y"])}),
            "ranges": st.just([[0, 9]]),
        },
    ),
    max_size=3,
)
_documents = st.dictionaries(st.sampled_from(["a", "b", "model", "version"]), _scalars, max_size=3)


@st.composite
def _document(draw: st.DrawFn) -> Document:
    document: Document = dict(draw(_documents))
    if draw(st.booleans()):
        document["variants"] = draw(_variants | st.lists(_scalars, max_size=2) | _scalars)
    if draw(st.booleans()):
        document["parameters"] = draw(
            st.lists(st.fixed_dictionaries({"name": st.sampled_from("pq")}) | _scalars, max_size=2)
        )
    return document


def documents() -> st.SearchStrategy[Document]:
    return _document()


def entry_sets() -> st.SearchStrategy[dict[str, Document]]:
    return st.dictionaries(st.sampled_from(KEYS), documents(), max_size=5)
