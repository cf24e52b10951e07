"""Benchmarks: ``make bench`` (see the README); peers come from ``make bench-peers``.

Sets up the process before torch is imported: waiting threads must not spin, and the peers are found.
"""

import os
import sys
from pathlib import Path

PEERS = Path("build/peers")

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
if PEERS.is_dir():
    sys.path.append(str(PEERS.resolve()))
