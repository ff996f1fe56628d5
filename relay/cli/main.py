"""``relay COMMAND``: today, ``relay check``."""

from __future__ import annotations

import sys

from relay.version import VERSION

_USAGE = """Usage: relay check [options]

Commands:
  check   validate the configuration and exit; takes the options of 'twistd relay'
          (relay check --help lists them)

The gateway itself runs as: twistd relay --provider=NAME
"""


def main(argv: list[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: arguments without the program's name; the process's own by default.

    Returns:
        The exit status: 0, 1 for a wrong configuration, 2 for a wrong command.
    """
    arguments = sys.argv[1:] if argv is None else argv
    if arguments[:1] == ["check"]:
        from relay.tap import Options

        options = Options()
        options.synopsis = "Usage: relay check [options]"
        options.parseOptions(["--check", *arguments[1:]])
        return 0
    if arguments in (["--version"], ["version"]):
        sys.stdout.write(f"relay {VERSION}\n")
        return 0
    wanted_help = not arguments or arguments[0] in ("-h", "--help", "help")
    (sys.stdout if wanted_help else sys.stderr).write(_USAGE)
    return 0 if wanted_help else 2
