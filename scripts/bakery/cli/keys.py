"""`bakery keys`: the public keys that this machine trusts."""

from bakery.cli import options
from bakery.cli.session import describe_project
from bakery.model import documents
from bakery.signing import open_keyring


def keys(workspace: options.Workspace = options.WORKSPACE) -> None:
    """Print the public keys that verify signatures, by duty.

    BAKERY_SIGNING_KEY names the key that signs: vault:MOUNT for the keys of the duties in a transit engine of Vault, or
    a file with an ed25519 key in PEM. Without it, the workspace has a key of its own, made by this command or by the
    first signature.

    BAKERY_TRUSTED_KEYS names the keys that are trusted: vault:MOUNT, or files that this command wrote, with colons
    between them. Without it, they are those that sign.

    Example: bakery keys > keys.json
    """
    keyring = open_keyring(describe_project(workspace))
    keyring.make_own()
    print(documents.dump(keyring.trusted_keys()).decode(), end="")
