"""Refuse files above 1 MB: a repository keeps them for ever. Arguments: the files to check."""

import sys
from pathlib import Path

LARGEST = 1_000_000

if __name__ == "__main__":
    large = [path for path in map(Path, sys.argv[1:]) if path.is_file() and path.stat().st_size > LARGEST]
    for path in large:
        print(f"{path}: {path.stat().st_size:,} bytes, more than {LARGEST:,}")
    sys.exit(bool(large))
