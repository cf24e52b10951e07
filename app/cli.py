"""The ``spikelens`` command: one line of error, exit code 2, never a traceback."""

from __future__ import annotations

import logging
import os
import sys

import typer

from app.commands import (
    analyses,
    data,
    energy,
    gradients,
    interventions,
    papers,
    probes,
    reconstruction,
    rules,
    separability,
    sweeps,
    training,
)
from app.commands.output import fail
from models.errors import SpikelensError

cli = typer.Typer(
    name="spikelens",
    help="Train, load and inspect speech-to-spike encoders.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
cli.add_typer(data.group, name="data")
training.add_to(cli)
sweeps.add_to(cli)
analyses.add_to(cli)
probes.add_to(cli)
gradients.add_to(cli)
separability.add_to(cli)
energy.add_to(cli)
interventions.add_to(cli)
rules.add_to(cli)
reconstruction.add_to(cli)
papers.add_to(cli)


@cli.command("app")
def app_command(
    data_folder: list[str] = typer.Option([], "--data", help="Folder of recordings to offer; repeatable."),
    port: int = typer.Option(8501, help="First port to try."),
) -> None:
    """Serve the workbench on this machine and print its address."""
    from app.serve import serve

    serve(port=port, data=tuple(data_folder))


def main() -> None:
    """Run the command line; every mistake of the user ends in one line and exit code 2."""
    # Before numpy and torch are imported: on a machine with any other work two threads a product are slower
    # than one (a linear probe: 340 s against 40 s), and idle threads must not spin.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    logging.basicConfig(format="%(message)s", stream=sys.stderr, level=logging.WARNING)
    try:
        cli()
    except SpikelensError as error:
        fail(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
    except Exception as error:
        if os.environ.get("SPIKELENS_DEBUG"):
            raise
        fail(f"unexpected {type(error).__name__}: {error} (SPIKELENS_DEBUG=1 shows where)", code=1)


if __name__ == "__main__":
    main()
