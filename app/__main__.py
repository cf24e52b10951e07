"""``python -m app`` serves the workbench, as ``spikelens app`` does."""

import sys

from app.cli import main

sys.argv[1:1] = ["app"]
main()
