"""Sample sets: reading them, and making, changing and removing them.

    list_samples(session, "COACHING_RESPONSE")    the default first, then by name; never empty

As long as no default is stored, the declared examples are it: every interaction has one from its beginning, and it follows
the declaration. What is stored does not follow; whoever shows it asks `fitting.misfits` whether it still fits.
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor, Role
from controlplane.audit.services import record
from controlplane.db import Json, now
from controlplane.errors import Conflict, NotFound, Refused
from controlplane.registry.models import Interaction
from controlplane.runtime.entries import Parameter
from controlplane.samples import fitting, values
from controlplane.samples.inputs import RESERVED, slug_of
from controlplane.samples.models import Sample

EXAMPLE: Final = "Example"
EXAMPLE_SLUG: Final = "example"
ONLY_REQUIRED: Final = "Only what is required"
_MOST: Final = 200
_MUST_PASS = "publishing is refused while a template fails with it"  # noqa: S105 - no password


# Reading


def list_samples(session: Session, interaction: str) -> Sequence[Sample]:
    """Return the sample sets of an interaction, the default first, then by name."""
    query = select(Sample).where(Sample.interaction == interaction)
    stored = session.scalars(query.order_by(Sample.is_default.desc(), Sample.name, Sample.id)).all()
    if stored and stored[0].is_default:
        return stored
    return [_declared_examples(session, interaction), *stored]


def get_sample(session: Session, interaction: str, slug: str) -> Sample:
    """Return one sample set; raises NotFound."""
    found = next((each for each in list_samples(session, interaction) if each.slug == slug), None)
    if found is None:
        raise NotFound("sample set", slug)
    return found


def declared_parameters(session: Session, interaction: str) -> tuple[Parameter, ...]:
    """Return what an interaction declares; raises NotFound."""
    found = session.get(Interaction, interaction)
    if found is None:
        raise NotFound("interaction", interaction)
    return msgspec.convert(found.parameters, tuple[Parameter, ...])


def _declared_examples(session: Session, interaction: str) -> Sample:
    declared = declared_parameters(session, interaction)
    return Sample(
        id=uuid.uuid5(uuid.NAMESPACE_URL, f"interaction:{interaction}:example"),
        interaction=interaction,
        slug=EXAMPLE_SLUG,
        name=EXAMPLE,
        values=fitting.all_examples(declared),
        is_default=True,
        must_pass=False,
        revision=0,
    )


# Writing


def create_sample(
    session: Session,
    interaction: str,
    *,
    name: str,
    values: Mapping[str, Any],
    must_pass: bool = False,
    is_default: bool = False,
    actor: Actor,
) -> Sample:
    """Store values under a name. Refused, parameter by parameter, when a call with them would be."""
    actor.require(Role.EDITOR)
    taken = _locked(session, interaction)
    if len(taken) >= _MOST:
        raise Refused(
            {"": f"{interaction} has {_MOST} sample sets, and no more are kept. Remove some first."}
        )
    _check_name(name, taken)
    kept = _checked(session, interaction, values)
    before = next((each.name for each in taken if each.is_default), EXAMPLE)
    if is_default:
        _no_default(session, taken)
    moment = now()
    sample = Sample(
        interaction=interaction,
        slug=_free_slug(name, taken),
        name=name,
        values=kept,
        is_default=is_default,
        must_pass=must_pass,
        created_at=moment,
        created_by=actor.name,
        changed_at=moment,
        changed_by=actor.name,
    )
    session.add(sample)
    session.flush()
    effects = [_MUST_PASS] if must_pass else []
    if is_default:
        effects.append(f"previews begin with it instead of “{before}”")
    _record(session, sample, "added", effects, actor=actor, after=_told(sample))
    return sample


def change_sample(
    session: Session,
    sample: Sample,
    *,
    name: str,
    values: Mapping[str, Any],
    must_pass: bool,
    revision: int,
    actor: Actor,
) -> Sample:
    """Change a stored sample set; raises Conflict when somebody else did since `revision`."""
    actor.require(Role.EDITOR)
    others = [each for each in _locked_with(session, sample) if each is not sample]
    if sample.revision != revision:
        raise Conflict(f"{sample.changed_by} changed “{sample.name}” while you were editing.")
    _check_name(name, others)
    kept = _checked(session, sample.interaction, values)
    before = _told(sample)
    sample.name, sample.values, sample.must_pass = name, kept, must_pass
    after = _told(sample)
    # Compared with the order of an object's fields: a template may go through them.
    if before == after and _spelled(before["values"]) == _spelled(after["values"]):
        raise Refused({"": "Nothing was changed."})
    _touch(sample, actor)
    session.flush()
    _record(session, sample, "changed", _effects(before, after), actor=actor, before=before, after=after)
    return sample


def make_default(session: Session, sample: Sample, *, actor: Actor) -> None:
    """Have previews begin with this one."""
    actor.require(Role.EDITOR)
    stored = _locked_with(session, sample)
    if sample.is_default:
        raise Refused({"": f"“{sample.name}” is the default already."})
    before = next((each.name for each in stored if each.is_default), EXAMPLE)
    _no_default(session, stored)
    sample.is_default = True
    _touch(sample, actor)
    session.flush()
    _record(
        session,
        sample,
        "made_default",
        [f"previews begin with it instead of “{before}”"],
        actor=actor,
        before={"default": before},
        after={"default": sample.name},
    )


def remove_sample(session: Session, sample: Sample, *, actor: Actor) -> None:
    """Remove a stored sample set; the default stays until another one is."""
    actor.require(Role.EDITOR)
    _locked_with(session, sample)
    if sample.is_default:
        raise Refused({"": f"“{sample.name}” is the default. Make another one the default first."})
    effects = ["it no longer has to pass before a publish"] if sample.must_pass else []
    told = _told(sample)
    session.delete(sample)
    session.flush()
    _record(session, sample, "removed", effects, actor=actor, before=told)


def _locked(session: Session, interaction: str) -> Sequence[Sample]:
    """Hold the interaction's row, so that writers of its samples come one after the other, and return what is stored."""
    query = select(Interaction.code).where(Interaction.code == interaction)
    if session.scalar(query.with_for_update(key_share=True)) is None:
        raise NotFound("interaction", interaction)
    stored = select(Sample).where(Sample.interaction == interaction).order_by(Sample.name, Sample.id)
    return session.scalars(stored, execution_options={"populate_existing": True}).all()


def _locked_with(session: Session, sample: Sample) -> Sequence[Sample]:
    stored = _locked(session, sample.interaction)
    if sample not in stored:
        raise Refused(
            {
                "": "These are the declared examples, which follow the declaration. Make a sample set of them first."
            }
            if sample.is_declared
            else {"": f"“{sample.name}” was removed meanwhile."}
        )
    return stored


def _check_name(name: str, others: Sequence[Sample]) -> None:
    if any(each.name.casefold() == name.casefold() for each in others):
        raise Refused({"name": f"There is a sample set “{name}” already."})


def _checked(session: Session, interaction: str, given: Mapping[str, Any]) -> Json:
    """Return the values as they are kept: what is None is not given."""
    kept = {name: value for name, value in given.items() if value is not None}
    declared = declared_parameters(session, interaction)
    wrong = fitting.undeclared(declared, kept) | fitting.misfits(declared, kept)
    wrong |= {
        name: _NUL for name, value in kept.items() if name not in wrong and "\\u0000" in _spelled(value)
    }
    if wrong:
        raise Refused({values.PREFIX + name if name else "": words for name, words in wrong.items()})
    return kept


_NUL: Final = "This holds a NUL character, which cannot be stored."


def _spelled(value: object) -> str:
    return values.as_json(value).replace("\\\\", "")


def _free_slug(name: str, others: Sequence[Sample]) -> str:
    stem, taken = slug_of(name), {each.slug for each in others} | RESERVED
    further = (f"{stem}-{number}" for number in range(2, len(taken) + 3))
    return next(slug for slug in (stem, *further) if slug not in taken)


def _no_default(session: Session, stored: Sequence[Sample]) -> None:
    for each in stored:
        each.is_default = False
    session.flush()  # the index allows one at any moment


def _touch(sample: Sample, actor: Actor) -> None:
    sample.changed_at, sample.changed_by = now(), actor.name
    sample.revision += 1


def _told(sample: Sample) -> Json:
    return {"name": sample.name, "must_pass": sample.must_pass, "values": sample.values}


def _effects(before: Json, after: Json) -> list[str]:
    said = []
    if before["name"] != after["name"]:
        said.append(f"renamed from “{before['name']}”")
    old, new = before["values"], after["values"]
    names = [name for name in {**old, **new} if _spelled(old.get(name)) != _spelled(new.get(name))]
    if names:
        said.append(f"other values for {', '.join(names)}")
    if before["must_pass"] != after["must_pass"]:
        said.append(_MUST_PASS if after["must_pass"] else "it no longer has to pass before a publish")
    return said or ["the values in another order"]


def _record(
    session: Session,
    sample: Sample,
    done: str,
    effects: Sequence[str],
    *,
    actor: Actor,
    before: Json | None = None,
    after: Json | None = None,
) -> None:
    what = f"sample set “{sample.name}” of {sample.interaction}"
    sentence = f"made {what} the default" if done == "made_default" else f"{done} {what}"
    record(
        session,
        actor=actor,
        action=f"sample.{done}",
        object_kind="sample",
        object_key=f"{sample.interaction}/{sample.slug}",
        sentence=f"{sentence}: {'; '.join(effects)}" if effects else sentence,
        before=before,
        after=after,
    )
