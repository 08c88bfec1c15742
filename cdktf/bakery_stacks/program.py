"""Builds the stacks of an environment."""

from collections.abc import Mapping
from pathlib import Path

from cdktf import App

from bakery.catalog import Catalog, open_store
from bakery.host.errors import BakeryError
from bakery.signing import Keyring
from bakery_stacks import config, locks
from bakery_stacks.channel_images import ChannelImages, read_channel_images
from bakery_stacks.config import Settings
from bakery_stacks.stacks.consumer.stack import ConsumerStack
from bakery_stacks.stacks.distribution.stack import DistributionStack
from bakery_stacks.stacks.images.stack import ImagesStack


def load_program(environments: Path, environ: Mapping[str, str]) -> App:
    """The program for BAKERY_ENVIRONMENT and the images of its catalog, ready for `synth`."""
    settings = config.load_settings(environments, environ)
    workspace = Path(environ.get("BAKERY_WORKSPACE") or ".bakery")
    return build_app(settings, _read_catalog(settings, Keyring(workspace / "keys", environ)))


def synth(app: App) -> None:
    """Write all stacks, each with the lock file of its providers."""
    app.synth()
    locks.write_locks(Path(app.outdir))


def _read_catalog(settings: Settings, keyring: Keyring) -> ChannelImages | None:
    try:
        return read_channel_images(Catalog(open_store(settings.catalog), keyring), settings.environment)
    except BakeryError as error:
        # The line that names the catalog helps a reader more than the address that did not work.
        error.message = f"{error.message}: {error.where}" if error.where else error.message
        error.where = settings.catalog_source
        raise


def build_app(settings: Settings, channel_images: ChannelImages | None, outdir: Path | None = None) -> App:
    """All stacks of an environment, for `outdir` or for the folder that the cdktf command names.

    `channel_images` is None if there is no catalog yet, which is not the same as an empty one. A stack that may be
    absent is imported when it is needed: the bindings of all of them take a quarter of a second to load.
    """
    app = new_app(outdir)
    distribution = DistributionStack(app, settings).outputs
    for consumer in settings.environment.consumer_accounts:
        ConsumerStack(app, settings, consumer, distribution)
    ImagesStack(app, settings, channel_images)
    if settings.environment.network:
        from bakery_stacks.stacks.network.stack import NetworkStack

        network = NetworkStack(app, settings, settings.environment.network).outputs
        if settings.environment.vault:
            from bakery_stacks.stacks.vault.stack import VaultStack

            VaultStack(app, settings, settings.environment.vault, network, channel_images)
        if settings.environment.runner:
            from bakery_stacks.stacks.runner.stack import RunnerStack, StackInputs

            RunnerStack(app, settings, settings.environment.runner, StackInputs(network, distribution, channel_images))
    if settings.environment.vault_config:
        from bakery_stacks.stacks.vault_config.stack import VaultConfigStack

        VaultConfigStack(app, settings, settings.environment.vault_config)
    if settings.environment.vsphere:
        from bakery_stacks.stacks.vsphere.stack import VsphereStack

        VsphereStack(app, settings, settings.environment.vsphere)
    if settings.environment.azure:
        from bakery_stacks.stacks.azure.stack import AzureStack

        AzureStack(app, settings, settings.environment.azure)
    return app


def new_app(outdir: Path | None = None) -> App:
    """An empty program, without stack traces: they would put this machine's paths into the output."""
    return App(stack_traces=False, outdir=str(outdir) if outdir else None)
