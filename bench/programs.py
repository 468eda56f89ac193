"""Where cargo puts the programs that are measured, and how they get there."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RELEASE = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"


def build(*packages):
    """In release mode, one by one, so that none gets another's features."""
    for package in packages:
        subprocess.run(["cargo", "build", "--quiet", "--release", "-p", package], cwd=ROOT, check=True)
