"""`python -m toolchain` is the same as `toolchain`."""

from toolchain.cli import main

main()
