"""What two changes make together is nobody's version yet: it becomes one, before it is proposed or goes live.

So a release never names a version that holds something else, and what is saved includes what is live.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from controlplane.accounts.actor import Actor
from controlplane.configurations import inputs
from controlplane.configurations import services as configurations
from controlplane.configurations.documents import place_of, settings_of
from controlplane.configurations.models import Configuration, ConfigurationVersion
from controlplane.configurations.places import Place
from controlplane.errors import NotFound, Refused
from controlplane.prompts import services as prompts
from controlplane.prompts.documents import digest, entry_document
from controlplane.prompts.models import Prompt, PromptVersion
from controlplane.proposals.merge import Merged
from controlplane.proposals.references import references
from controlplane.registry.models import Model
from controlplane.releases.compose import Document
from controlplane.releases.diff import same
from controlplane.releases.saved import bodies_by_hash
from controlplane.runtime.profile import normalise
from controlplane.snippets.expansion import SnippetProblem
from controlplane.snippets.models import Snippet
from controlplane.snippets.texts import library_for

_ONLY_LIVE: Final = frozenset({"version", "ranges"})
_REASON_LIMIT: Final = 500


def hold_what_may_be_saved(session: Session, entries: Mapping[str, Merged]) -> None:
    """Hold the rows that saving versions of these entries needs, before the first of them is saved.

    The event of the first version takes the end of the audit chain. Whoever saves one of the others meanwhile has its row
    and waits for that end, so nothing may be waited for from then on. The order is that of `configurations.save_version`,
    which does the same for one alone.
    """
    moved = {key: each for key, each in entries.items() if not same(each.base, each.theirs)}
    if len(moved) < 2:
        return
    documents = [(key, side) for key, each in moved.items() for side in (each.theirs, each.ours)]
    named = {*moved, *(key for each in documents for key in references(*each))}
    codes = {kind: _codes(named, kind) for kind in ("model", "prompt")}
    interactions = {code.partition("/")[0] for code in _codes(moved, "configuration")}
    for query in (
        # Whoever saves a snippet holds it before the templates that follow it.
        select(Snippet.code).order_by(Snippet.code).with_for_update(read=True),
        select(Configuration.id)
        .where(Configuration.interaction.in_(interactions))
        .order_by(Configuration.id)
        .with_for_update(),
        select(Model.code)
        .where(Model.code.in_(codes["model"]))
        .order_by(Model.code)
        .with_for_update(read=True, key_share=True),
        select(Prompt.code).where(Prompt.code.in_(codes["prompt"])).order_by(Prompt.code).with_for_update(),
    ):
        session.execute(query).all()


def _codes(keys: Iterable[str], kind: str) -> set[str]:
    return {key.partition("/")[2] for key in keys if key.startswith(f"{kind}/")}


def with_a_version(
    session: Session, key: str, document: Document | None, *, reason: str, actor: Actor
) -> Document | None:
    """Return a document that was put together with the number of a version that holds the same; one is saved if there is none.

    That is for a configuration with one variant. Any other document is returned as it is: its parts have their versions.
    Raises `Refused` where two changes that were sound do not go together.
    """
    variants = (document or {}).get("variants")
    if document is None or not isinstance(variants, list) or len(variants) != 1:
        return document
    configuration = _configuration(session, key)
    if configuration is None:
        return document
    (variant,) = variants
    number = _number_of(configuration, variant)
    if number is None:
        number = _save(session, configuration, variant, reason=reason, actor=actor).number
    return {**document, "variants": [{**variant, "version": number}]}


def texts_to_go_on_with(session: Session, hashes: Iterable[str]) -> dict[str, str]:
    """Return texts by their hash for somebody to change: as they were written, with snippets included and not put in."""
    wanted = set(hashes)
    return {**bodies_by_hash(session, wanted), **prompts.as_written(session, wanted)}


def text_as_version(session: Session, key: str, body: str, *, reason: str, actor: Actor) -> Document:
    """Return the document of a template with this text, saved as its next version unless one has it already.

    Raises what `prompts.services.save_version` does.
    """
    prompt = prompts.get_prompt(session, key.partition("/")[2])
    version = _version_with(session, prompt, normalise(body))
    if version is None:
        base = prompt.versions[0].number
        version = prompts.save_version(
            session, prompt, body=body, base_version=base, reason=_kept(reason), actor=actor
        )
    return entry_document(prompt, version)


def _version_with(session: Session, prompt: Prompt, body: str) -> PromptVersion | None:
    """Return the version that was written so and has the snippets of today in it."""
    try:
        sha256 = digest(library_for(session, body).expand(body).text)
    except SnippetProblem:
        return None  # saving it says why
    return next((each for each in prompt.versions if (each.sha256, each.body) == (sha256, body)), None)


def _configuration(session: Session, key: str) -> Configuration | None:
    try:
        place = Place.from_key(key)
        return configurations.get_configuration(
            session, place.interaction, tier=place.tier, tenant=place.tenant
        )
    except (ValueError, NotFound):
        return None  # every interaction's default, or one that came with a bundle


def _number_of(configuration: Configuration, variant: Mapping[str, Any]) -> int | None:
    """Return the version that holds these settings; the one the variant names, if that is one of several."""
    wanted = _settings(variant)
    numbers = [each.number for each in configuration.versions if same(settings_of(each), wanted)]
    return variant.get("version") if variant.get("version") in numbers else next(iter(numbers), None)


def _settings(variant: Mapping[str, Any]) -> Document:
    settings = {name: value for name, value in variant.items() if name not in _ONLY_LIVE}
    prompt = {name: value for name, value in settings.get("prompt", {}).items() if name != "sha256"}
    return {**settings, "prompt": prompt}


def _save(
    session: Session, configuration: Configuration, variant: Mapping[str, Any], *, reason: str, actor: Actor
) -> ConfigurationVersion:
    settings = _settings(variant)
    reference = settings.pop("prompt")
    read = inputs.read(
        {
            **settings,
            "prompt": reference["code"],
            "prompt_version": reference.get("version"),
            "reason": _kept(reason),
        }
    )
    newest = select(ConfigurationVersion.number).where(
        ConfigurationVersion.configuration_id == configuration.id
    )
    base = session.scalars(newest.order_by(ConfigurationVersion.number.desc()).limit(1)).one()
    try:
        if read.values is None:
            raise Refused(read.errors)
        return configurations.save_version(
            session, configuration, read.values, base_version=base, actor=actor
        )
    except Refused as refusal:
        # Each change was sound by itself, and the page has no field of these settings to say it beside.
        told = " ".join(refusal.errors.values())
        raise Refused({"": f"{place_of(configuration).title} cannot have both changes: {told}"}) from None


def _kept(reason: str) -> str:
    return " ".join(reason.split())[:_REASON_LIMIT]
