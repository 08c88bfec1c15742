"""`bakery verify`: test disks."""

from bakery.cli import options
from bakery.cli.session import session
from bakery.engine import steps as line
from bakery.host import parallel
from bakery.model import documents
from bakery.model.documents import Verdict
from bakery.reports import table


def verify(
    images: options.Images = None,
    definitions: options.Definitions = options.DEFINITIONS,
    workspace: options.Workspace = options.WORKSPACE,
    catalog: options.CatalogAt = options.CATALOG,
    jobs: options.Jobs = options.JOBS,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Test the newest baked disks.

    Looks inside, searches for secrets, boots a throwaway copy and runs the tests. Writes verdict.json.

    Example: bakery verify web
    """
    with session(definitions, workspace, catalog, verb="verify", quiet=quiet, verbose=verbose) as opened:

        def work(name: str) -> Verdict:
            return line.verify_image(opened, opened.newest_artifact(opened.definitions.images[name]))

        # What Packer builds at a target was tested there.
        names = [image.name for image in opened.definitions.select(images or []) if "qemu" in image.builders]
        outcomes = parallel.run_parallel(names, work, jobs)
        verdicts = [outcome.result for outcome in outcomes if outcome.result]
        if json:
            print(documents.dump_all(verdicts).decode(), end="")
        else:
            rows = [
                (found.image, found.version, f"{len(found.checks)} passed", found.accelerator) for found in verdicts
            ]
            print(table(("image", "version", "checks", "accelerator"), rows))
        parallel.raise_failures(outcomes)
