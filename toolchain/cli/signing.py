"""Keys, signatures, and checking them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toolchain import formats
from toolchain.cli import locate
from toolchain.cli.options import AllowOlder, Json
from toolchain.support.records import as_json

Signable = Annotated[
    str, typer.Argument(metavar="FILE", help="A bundle, a model file, a model folder or name.")
]


def keygen(
    name: Annotated[Path, typer.Argument(help="Name of the key pair: NAME.key and NAME.pub.")],
    passphrase: Annotated[
        bool,
        typer.Option(
            "--passphrase", help="Encrypt the private key with a passphrase, which is asked for."
        ),
    ] = False,
) -> None:
    """Make a pair of keys: the private one signs, the public one goes to the devices."""
    from toolchain.cli.progress import say
    from toolchain.delivery import signing

    private, public = signing.make_key(name, _new_passphrase() if passphrase else None)
    say(f"Keep {private} to yourself, best on a medium that is not always connected.")
    say(f"Give {public} to the devices, over a way that you trust.")
    typer.echo(public)


def _new_passphrase() -> str:
    asked: str = typer.prompt("Passphrase", hide_input=True, confirmation_prompt=True, err=True)
    return asked


def sign(
    file: Signable,
    key: Annotated[Path, typer.Option(metavar="NAME.key", help="The private key.")],
    number: Annotated[
        int | None,
        typer.Option(
            min=0, help="Version number; devices refuse a lower one. Default: the time in seconds."
        ),
    ] = None,
) -> None:
    """Sign what was proved: FILE.sig; of a folder its manifest, which vouches for its files."""
    from toolchain.cli.progress import say
    from toolchain.delivery import signing
    from toolchain.model import signatures

    path = _file(file)
    said = signing.sign(path, key, number, lambda: _passphrase(key))
    say(f"Signed {path} as {said.file} of the model {said.model}, number {said.number}.")
    typer.echo(signatures.beside(path))


def _passphrase(key: Path) -> str:
    asked: str = typer.prompt(f"Passphrase of {key}", hide_input=True, err=True)
    return asked


def verify(
    file: Signable,
    trust: Annotated[
        list[Path],
        typer.Option(metavar="KEY.pub", help="Accept only files that this public key signed."),
    ],
    allow_older: AllowOlder = False,
    json: Json = False,
) -> None:
    """Check that a trusted key signed it, and that it is not older than what was seen before."""
    from toolchain.model.signatures import Trust
    from toolchain.model.signatures import verify as check

    found = check(_file(file), Trust(tuple(trust), allow_older))
    if json:
        typer.echo(as_json(found), nl=False)
        return
    typer.echo(f"{found.signed}")
    for name in found.files:
        typer.echo(f"  {name}")


def _file(name: str) -> Path:
    """The file that is meant: of a model's folder its manifest."""
    from toolchain.model import manifest

    if Path(name).is_file():
        return Path(name)
    return locate.model_folder(name, formats.endings((), ())) / manifest.NAME
