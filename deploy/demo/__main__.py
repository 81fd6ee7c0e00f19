"""``python -m deploy.demo``: walk the story on a running service, and fail at a wrong answer."""

import argparse
import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx

from deploy.demo.doors import DoorError
from deploy.demo.story import Story, tell
from deploy.demo.telling import Teller, WrongAnswerError

EPILOGUE = """\
It uses the service's public doors only, and four variables of its environment: with
COLOPHON_MASTER_KEY, DATABASE_URL and REDIS_URL it runs operators' commands (manage.py), in
DATABASE_URL it makes a schema of its own for half of the patients' data, and in
COLOPHON_MAIL_DIR it reads the letter with the sign-in code. Each run uses new names, so it can be
repeated on the same service at once.

The exit status is 0 if every answer was right, and 1 at the first that was not.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Tell the story and return the exit status."""
    options = _parser().parse_args(arguments)
    run, teller = secrets.token_hex(4), Teller()
    folder = options.workdir.resolve() / run
    story = Story(options.url.rstrip("/"), run, folder, os.environ.get("DATABASE_URL"), teller)
    try:
        tell(story)
    except WrongAnswerError as error:
        return _failed(teller, f"Wrong answer: {error}")
    except DoorError as error:
        return _failed(teller, str(error))
    except httpx.TransportError as error:
        return _failed(teller, f"{story.url} cannot be reached: {error}")
    except KeyboardInterrupt:
        return 130
    return 0


def _failed(teller: Teller, message: str) -> int:
    teller.console.print(f"\n[bold red]{len(teller.told) + 1}.[/bold red] ", end="")
    teller.console.print(message, markup=False, soft_wrap=True)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.demo",
        description="Walk a whole story on a running service: from a patient's yes to an erasure "
        "that reaches the models, with every answer checked.",
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--url", required=True, help="where the service is: http://127.0.0.1:8000")
    parser.add_argument(
        "--workdir",
        required=True,
        type=Path,
        metavar="DIR",
        help="where patients' files and models are put, in a new folder of it",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
