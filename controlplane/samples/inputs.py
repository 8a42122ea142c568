"""What people send about sample sets, checked once; the values are read by `values.py`."""

import re
import unicodedata
from typing import Annotated, Final

from pydantic import BaseModel, Field, StringConstraints

LONGEST_NAME: Final = 80

# What stands in an address and would be taken for another page, and the name of what the declaration makes.
RESERVED: Final = frozenset({"new", "example"})


class SampleInput(BaseModel):
    """A sample set's name and what it is for; `revision` is the one that the form was made from, 0 for a new one."""

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_NAME)]
    must_pass: bool = False
    is_default: bool = False
    revision: Annotated[int, Field(ge=0)] = 0


def slug_of(name: str) -> str:
    """Return a name as it stands in an address: "French, three goals" is french-three-goals."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return "-".join(re.findall(r"[a-z0-9]+", plain))[:60].strip("-") or "sample"
