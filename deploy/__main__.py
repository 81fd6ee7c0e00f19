"""The command line of ``sh deploy/run``."""

import argparse
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType

from deploy import checks, commands, programs
from deploy.devstack import DevstackError

# Their arguments belong to the program they start, options and all.
PASSED_ON = {"chaos", "manage", "test"}

EPILOGUE = """\
Without DATABASE_URL and REDIS_URL each command starts servers of its own, with their data under
.colophon/; with them it uses yours. COLOPHON_PG_BIN names another directory of PostgreSQL
programs; DEVSTACK_PG_USER the account that PostgreSQL runs as when you are root (nobody).

More about a command: sh deploy/run COMMAND --help
"""


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status; 2 says that something outside is missing."""
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    parser = _parser()
    options = _parse(parser, list(arguments))
    run: Callable[[argparse.Namespace], int] | None = getattr(options, "run", None)
    if run is None:
        parser.print_help()
        return 0
    try:
        return run(options)
    except DevstackError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _leave(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)  # so that every block on the way out stops what it started


def _parse(parser: argparse.ArgumentParser, arguments: list[str]) -> argparse.Namespace:
    if arguments and arguments[0] in PASSED_ON and arguments[1:] not in (["-h"], ["--help"]):
        options = parser.parse_args(arguments[:1])
        options.arguments = arguments[1:]
        return options
    return parser.parse_args(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sh deploy/run",
        description="Run, show and test Colophon.",
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = _Adder(parser)
    add("help", "list the commands")
    _port_and_host(add("up", "run the service until Ctrl-C", commands.up))
    _port(
        add("demo", "show a whole story on a running service, which then stays up", commands.demo)
    )
    _port(add("demo-check", "run the demonstration and exit with its result", commands.demo_check))
    add("test", "run the tests; arguments go to pytest", commands.test, passes="ARGUMENT")
    add("check", "run the linters, the type checker and Django's checks", checks.check)
    _rows_and_scale(
        add("bench", "measure speed beside yardsticks, into .bench/results.json", commands.bench)
    )
    add(
        "chaos",
        "kill, freeze and flush what the service rests on while people use it, and hold it to what "
        "they were told; `chaos -- --help` lists its options",
        commands.chaos,
        passes="ARGUMENT",
    )
    add(
        "manage",
        "run Django's manage.py on the servers of `up`; `manage help` lists its commands",
        commands.manage,
        passes="ARGUMENT",
    )
    return parser


def _rows_and_scale(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "rows", nargs="*", metavar="ROW", help="measure only the groups of these rows of the table"
    )
    parser.add_argument(
        "--scale",
        choices=["small", "full"],
        help="how much data; the default is BENCH_SCALE, or small (some minutes)",
    )


class _Adder:
    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    def __call__(
        self,
        name: str,
        summary: str,
        run: Callable[[argparse.Namespace], int] | None = None,
        passes: str = "",
    ) -> argparse.ArgumentParser:
        description = f"{summary[0].upper()}{summary[1:]}."
        added = self._commands.add_parser(name, help=summary, description=description)
        if run:
            added.set_defaults(run=run)
        if passes:
            added.add_argument("arguments", nargs="*", metavar=passes, help="passed on unread")
        return added


def _port(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=_port_number, help="port to listen on (default: a free one)")


def _port_and_host(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--port", type=_port_number, default=programs.PORT, help="port (default: %(default)s)"
    )
    parser.add_argument(
        "--host",
        default=programs.HOST,
        help="address to listen on (default: %(default)s); 0.0.0.0 is every one of this machine, "
        "and then COLOPHON_HOSTS names the host names to answer to",
    )


def _port_number(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1 to 65535")
    return int(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
