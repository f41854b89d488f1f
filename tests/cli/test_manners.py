"""The manners of the command line: help, examples, one name for one thing, completion, mistakes."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from tests import ROOT
from tests.cli.test_cli import run
from tests.tools.readme import write_photos
from toolchain import cli, datasets, formats
from toolchain.device import command_line
from toolchain.external.preprocessing import Scale
from toolchain.model.artifact import Precision
from toolchain.model.dataset import Dataset
from toolchain.networks import architectures, augmentation
from toolchain.support import interrupts
from toolchain.support.errors import UsageError, exit_on_error

EXAMPLE = re.compile(r"^ +((?:toolchain|python3) .*)$", re.MULTILINE)
# the same name where a command means something of its own by it
OWN_MEANING = {
    "--out": "what it writes: a model's folder, a bundle, a page",
    "--json": "of a benchmark it is a file, with far more than the table",
    "--threads": "a benchmark compares several numbers of them",
    "--name": "of a search, or of a model that was trained elsewhere",
    "--seeds": "of the model itself, or of each finalist of a search",
    "--max-memory": "a benchmark measures a process, a search counts activations",
    "--precision": "a search makes files of one precision",
    "--help": "added by the library",
}


def commands() -> dict[str, Any]:
    """Every command by the words that call it, `data check`; the whole is ``."""

    def below(words: str, command: Any) -> Iterator[tuple[str, Any]]:
        yield words, command
        for name, child in getattr(command, "commands", {}).items():
            yield from below(f"{words} {name}".strip(), child)

    return dict(below("", typer.main.get_command(cli.app)))


@pytest.mark.parametrize("words", commands())
def test_the_help_of_each_command_ends_with_an_example(words: str) -> None:
    command = commands()[words]
    examples = EXAMPLE.findall(command.epilog)
    assert examples
    assert all(example.startswith(f"toolchain {words}".strip()) for example in examples)
    context = command.make_context("toolchain", [], resilient_parsing=True)
    assert command.get_help(context).rstrip().endswith(examples[-1])


@pytest.mark.parametrize(
    "example", [each for command in commands().values() for each in EXAMPLE.findall(command.epilog)]
)
def test_each_example_is_understood(example: str, monkeypatch: pytest.MonkeyPatch) -> None:
    called = []

    def note(command: Any) -> None:
        monkeypatch.setattr(command, "callback", lambda **given: called.append(given))
        for child in getattr(command, "commands", {}).values():
            note(child)

    whole = typer.main.get_command(cli.app)
    note(whole)
    whole.main(shlex.split(example)[1:], "toolchain", standalone_mode=False)
    assert len(called) > 1  # the whole, and the command below it


def run_examples(words: str, folder: Path) -> list[str]:
    """What the examples of a command print in `folder`."""
    examples = EXAMPLE.findall(commands()[words].epilog)
    return [run(*shlex.split(example)[1:], cwd=folder).stdout for example in examples]


def test_the_examples_that_are_cheap_work(
    tmp_path: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_photos(tmp_path / "photos", digits)
    datasets.write_samples(digits, tmp_path / "samples")
    for words in ("data", "data check", "info", "classify"):
        assert all(run_examples(words, tmp_path))
    assert (tmp_path / "data.html").exists()


def test_the_examples_with_fashion_mnist_work(tmp_path: Path) -> None:
    if not datasets.status("fashion-mnist").here:
        pytest.skip("fashion-mnist is not on this machine; `toolchain data fetch` brings it")
    run_examples("data sample", tmp_path)
    assert len(list((tmp_path / "samples").iterdir())) == 10
    assert all(run_examples("bundle", tmp_path))
    assert (tmp_path / "fashion.pyz").exists()


def test_the_bundle_has_examples_too() -> None:
    parser = command_line._parser(Path("m.int8.pyz"))
    examples = EXAMPLE.findall(parser.format_help())
    assert parser.format_help().rstrip().endswith(examples[-1])
    for example in examples:
        assert shlex.split(example)[:2] == ["python3", "m.int8.pyz"]
        command_line._check(command_line._parsed(parser, shlex.split(example)[2:]))


def test_one_option_has_one_form_and_one_help_wherever_it_is() -> None:
    seen = defaultdict(set)
    for command in commands().values():
        for parameter in command.params:
            if parameter.param_type_name == "option":
                form = parameter.metavar, parameter.help, parameter.multiple
                seen[parameter.opts[-1]].add(form)
    assert {name: forms for name, forms in seen.items() if len(forms) > 1}.keys() <= set(
        OWN_MEANING
    )
    assert all(text.endswith(".") for forms in seen.values() for _, text, _ in forms)


def test_the_bundle_calls_things_what_the_commands_call_them() -> None:
    theirs = {
        name: parameter.help
        for command in commands().values()
        for parameter in command.params
        for name in parameter.opts
    }
    common = {"--top", "--invert", "--threads", "--verbose"}
    for action in command_line._parser(Path("m.pyz"))._actions:
        for name in common & set(action.option_strings):
            assert str(action.help).capitalize() in theirs[name]


# completion


def completed(*words: str, cwd: Path = ROOT) -> list[str]:
    """What a shell would offer for the last of these words."""
    environment = {
        "_TOOLCHAIN_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(["toolchain", *words]),
        "COMP_CWORD": str(len(words)),
    }
    script = Path(sys.executable).with_name("toolchain")
    done = subprocess.run(
        [script], capture_output=True, text=True, cwd=cwd, env=os.environ | environment
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout.split()


def test_completion_knows_the_models_of_the_user(tmp_path: Path) -> None:
    (tmp_path / "models" / "my-own").mkdir(parents=True)
    assert completed("classify", "m", cwd=tmp_path) == [
        "my-own",
        "mnist-cnn",
        "mnist-one-conv",
        "mnist-small",
    ]
    assert completed("export", "", cwd=tmp_path) == ["my-own"]


def offered(words: str, name: str) -> list[str]:
    """What completion offers for a parameter of a command, asked in this process."""
    command = commands()[words]
    (parameter,) = (each for each in command.params if name in (*each.opts, each.name))
    context = command.make_context("toolchain", [], resilient_parsing=True)
    return [item.value for item in parameter.shell_complete(context, "")]


@pytest.mark.parametrize(
    ("words", "name", "known"),
    [
        ("train", "model", architectures.names()),
        ("train", "--augment", augmentation.CHOICES),
        ("train", "--dataset", datasets.names()),
        ("data fetch", "name", datasets.names()),
        ("export", "--scale", Scale),
        ("bench", "--format", formats.names()),
        ("bundle", "--precision", Precision),
    ],
)
def test_completion_offers_what_there_is(words: str, name: str, known: Any) -> None:
    assert offered(words, name) == [str(each) for each in known]


def test_completion_imports_nothing_heavy() -> None:
    code = (
        "import sys; from toolchain.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([m for m in ('numpy', 'tensorflow', 'keras', 'PIL') if m in sys.modules])\n"
    )
    environment = {
        "_TOOLCHAIN_COMPLETE": "complete_zsh",
        "_TYPER_COMPLETE_ARGS": "toolchain bench ",
    }
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.argv = ['toolchain']\n{code}"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | environment,
    )
    assert "fashion-cnn" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


# mistakes


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("trian fashion-cnn", "'train'"),
        ("data fecth digits", "'fetch'"),
        ("train fashion-cnn --epocs 3", "--epochs"),
        ("train fasion-cnn", "'fashion-cnn'"),
        ("train fashion-cnn --dataset Fashion_MNIST", "'fashion-mnist'"),
        ("train fashion-cnn --augment flipp", "'flip'"),
        ("train fashion-cnn --class-weight balancd", "'balanced'"),
        ("train fashion-cnn --monitor validaton", "'validation'"),
        ("export fashion-cnn --format tflit", "'tflite'"),
        ("export fashion-cnn --precision int9", "'int8'"),
        ("export fashion-cnn --scale 0..2", "'0..1'"),
        ("data sample mnits", "'mnist'"),
        ("classify fashion-cn photo.png", "'fashion-cnn'"),
        ("bench fashion-cnn --threads swep", "'sweep'"),
        ("info fashion-cnn.int8.tflit", "'fashion-cnn'"),
    ],
)
def test_a_mistake_is_answered_with_the_nearest_right_word(
    words: str, meant: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert code_of(words.split()) == 2
    said = capsys.readouterr()
    assert not said.out
    assert re.search(f"(Did you mean|Possible options:).*{re.escape(meant)}", said.err)


def code_of(words: list[str]) -> int:
    """The exit code of a command that is refused before it imports anything heavy."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (cli.train, cli.export, cli.classify, cli.bench, cli.info):
            patch.setattr(module, "silence", lambda: None)
        patch.setattr(interrupts, "ignore_interrupts", lambda: None)  # pytest goes on
        try:
            with exit_on_error():
                cli.app(words, prog_name="toolchain")
        except SystemExit as end:
            return int(end.code or 0)
    return 0


def test_a_mistake_at_a_bundle_too() -> None:
    with pytest.raises(UsageError, match="Did you mean '--self-test'"):
        command_line._parsed(command_line._parser(Path("m.pyz")), ["--sefl-test"])
    with pytest.raises(SystemExit):  # never taken for what it begins
        command_line._parsed(command_line._parser(Path("m.pyz")), ["--top", "none"])
