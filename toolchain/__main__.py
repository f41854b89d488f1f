"""Where `toolchain` and `python -m toolchain` start."""

from toolchain.support.interrupts import at_once


def main() -> None:
    """Run the command line; a user's mistake ends in a sentence and an exit code."""
    with at_once():
        from toolchain import cli
        from toolchain.support.errors import told
    with told():
        cli.main()


if __name__ == "__main__":
    main()
