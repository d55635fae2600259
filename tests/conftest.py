"""Fixtures that tests of several folders share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def reference_dir() -> Path:
    """Folder of reference figures: `$ARCHGYM_REFERENCE`, else beside the repository."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "reference"
    folder = Path(os.environ.get("ARCHGYM_REFERENCE", beside))
    if not folder.is_dir():
        pytest.skip(f"no reference figures in {folder}; set ARCHGYM_REFERENCE to their folder")
    return folder
