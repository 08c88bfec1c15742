"""Puts the stacks of an environment together."""

from collections.abc import Mapping
from pathlib import Path

from bakery.catalog import Catalog, open_store
from bakery.errors import BakeryError
from bakery_stacks import config, locks, published
from bakery_stacks.azure import AzureStack
from bakery_stacks.bindings import core
from bakery_stacks.config import Settings
from bakery_stacks.consumer import ConsumerStack
from bakery_stacks.distribution import DistributionStack
from bakery_stacks.images import ImagesStack
from bakery_stacks.network import NetworkStack
from bakery_stacks.published import Published
from bakery_stacks.runner import Around, RunnerStack
from bakery_stacks.vault import VaultStack
from bakery_stacks.vault_config import VaultConfigStack
from bakery_stacks.vsphere import VsphereStack


def program(environments: Path, environ: Mapping[str, str]) -> core.App:
    """The whole program, ready for `synth`: what BAKERY_ENVIRONMENT names, with the images of its catalog."""
    settings = config.load(environments, environ)
    return build(settings, _published(settings))


def synth(app: core.App) -> None:
    """Write all stacks, each with the lock file of its providers."""
    app.synth()
    locks.write_locks(Path(app.outdir))


def _published(settings: Settings) -> Published | None:
    try:
        return published.read(Catalog(open_store(settings.catalog)), settings.environment)
    except BakeryError as error:
        # Whoever reads this wants to know first where the address stands that did not work.
        error.message = f"{error.message}: {error.where}" if error.where else error.message
        error.where = settings.catalog_source
        raise


def build(settings: Settings, found: Published | None, outdir: Path | None = None) -> core.App:
    """All stacks of an environment; written to `outdir`, or to where the cdktf command says.

    `found` is None when there is no catalog yet, which is not the same as an empty one.
    """
    # Stack traces would put this machine's paths into the output.
    app = core.App(stack_traces=False, outdir=str(outdir) if outdir else None)
    distribution = DistributionStack(app, settings).outputs
    for consumer in settings.environment.consumer_accounts:
        ConsumerStack(app, settings, consumer, distribution)
    ImagesStack(app, settings, found)
    if settings.environment.network:
        network = NetworkStack(app, settings, settings.environment.network).outputs
        if settings.environment.vault:
            VaultStack(app, settings, settings.environment.vault, network, found)
        if settings.environment.runner:
            RunnerStack(app, settings, settings.environment.runner, Around(network, distribution, found))
    if settings.environment.vault_config:
        VaultConfigStack(app, settings, settings.environment.vault_config)
    if settings.environment.vsphere:
        VsphereStack(app, settings, settings.environment.vsphere)
    if settings.environment.azure:
        AzureStack(app, settings, settings.environment.azure)
    return app
