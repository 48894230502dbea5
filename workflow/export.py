"""Write every record into one JSON, with the file that says how to cite it, for whoever goes on from these runs.

    python workflow/export.py FOLDER

FOLDER/records.json holds the commit it was made from, the schema of a record as JSON Schema, and the records as
`attnlib train` wrote them: the finished runs and those that diverged. FOLDER/CITATION.cff is the repository's own.
"""

import argparse
import json
import sys
from pathlib import Path

from attnlib.data.files import writable_folder, write_bytes, write_text
from attnlib.results import failed, records
from attnlib.training.provenance import commit
from attnlib.training.record import Record

_CITATION = Path(__file__).parents[1] / "CITATION.cff"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="created where it is not there")
    folder = writable_folder(parser.parse_args(arguments).folder, fix="choose another folder")
    runs = [*records(), *failed()]
    table = {
        "commit": commit(),
        "record_schema": Record.model_json_schema(),
        "records": [run.model_dump(mode="json") for run in runs],
    }
    write_text(folder / "records.json", json.dumps(table, indent=1) + "\n")
    write_bytes(folder / _CITATION.name, _CITATION.read_bytes())
    print(f"{len(runs)} records in {folder / 'records.json'}, cited by {folder / _CITATION.name}")


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as told:
        sys.exit(f"error: {told}")
