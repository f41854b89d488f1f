"""Where `toolchain` and `python -m toolchain` start."""

from toolchain.support.interrupts import exit_on_interrupt


def main() -> None:
    """Run the command line; a user's mistake ends in a sentence and an exit code."""
    with exit_on_interrupt():
        from toolchain import cli
        from toolchain.support.errors import exit_on_error
    with exit_on_error():
        cli.main()


if __name__ == "__main__":
    main()
