"""The `attnlib` command, also as `python -m attnlib`: Ctrl-C ends it in silence from its first import on."""

import sys


def main() -> None:
    for stream in (sys.stdout, sys.stderr):  # a terminal without our lines and letters must not end a command
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        from attnlib.cli import app

        app(prog_name="attnlib")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
