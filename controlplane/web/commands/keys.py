"""Commands on the keys that releases are signed with."""

import click

from controlplane.runtime.signing import PUBLIC_KEYS, SIGNING_KEY, SigningKeyError, new_key_pair


@click.group()
def keys() -> None:
    """The keys that releases are signed with."""


@keys.command("new")
@click.argument("key_id")
def keys_new(key_id: str) -> None:
    """Make a key and print both halves, each as the variable that holds it. Nothing is kept.

    KEY_ID is how releases name the key; the year and a word will do: 2026-blue.
    """
    try:
        pair = new_key_pair(key_id)
    except SigningKeyError as wrong:
        raise click.UsageError(str(wrong)) from None
    click.echo("# For the worker alone; a secret.")
    click.echo(f"{SIGNING_KEY}={pair.signing}")
    click.echo("# For whatever reads releases; several with commas between them.")
    click.echo(f"{PUBLIC_KEYS}={pair.public}")
