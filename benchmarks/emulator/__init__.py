"""Real Raspberry Pi userlands on any Debian machine, emulated: no root, no container, no Pi."""
