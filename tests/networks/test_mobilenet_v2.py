"""MobileNetV2 and its weights, which a server of our own gives in place of Keras'."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.helpers import forked
from tests.helpers.present import present
from toolchain import training
from toolchain.model.artifact import InputContract
from toolchain.model.dataset import Dataset
from toolchain.networks import architectures, mobilenet_v2, pretrained
from toolchain.support.errors import ToolchainError
from toolchain.training import TrainingPlan, record

NARROW = 0.35
Serve = Callable[[bytes | None], list[str]]


@pytest.fixture(scope="module")
def taught() -> Any:
    """A narrow network whose normalisation is drawn at random too."""
    model = keras.applications.MobileNetV2(
        input_shape=(96, 96, 3), alpha=NARROW, include_top=False, weights=None
    )
    draw = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([draw.uniform(0.5, 1.5, w.shape) for w in layer.weights])
    return model


@pytest.fixture(scope="module")
def weights(taught: Any, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of its weights, in the format of those that Keras publishes."""
    path = tmp_path_factory.mktemp("weights") / "weights.h5"
    taught.save(path)
    return path.read_bytes()


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Gives these bytes, or an error, at Keras' address; and lists what was asked for."""
    asked: list[str] = []
    with contextlib.ExitStack() as servers:

        def begin(content: bytes | None) -> list[str]:
            class Handler(BaseHTTPRequestHandler):
                def do_GET(self) -> None:
                    asked.append(self.path.rpartition("/")[2])
                    self.send_response(200 if content else 404)
                    self.end_headers()
                    self.wfile.write(content or b"")

            server = servers.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
            threading.Thread(target=server.serve_forever, daemon=True).start()
            servers.callback(server.shutdown)
            monkeypatch.setattr(mobilenet_v2, "ADDRESS", f"http://127.0.0.1:{server.server_port}/")
            return asked

        monkeypatch.setenv("NO_PROXY", "*")
        monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path / "keras"))
        (tmp_path / "keras").mkdir()
        yield begin


def build(side: int, channels: int = 3, depth: int | None = None) -> Any:
    architecture = architectures.get("mobilenet-v2")
    return architecture.build(InputContract(side, side, channels), 4, NARROW, depth)


def pixels(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, shape, np.uint8)


def test_features_of_raw_pixels_are_those_of_keras(
    serve: Serve, taught: Any, weights: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    serve(weights)
    backbone, head = pretrained.parts(build(96))
    pictures = pixels(2, 96, 96, 3)
    scaled = keras.applications.mobilenet_v2.preprocess_input(pictures.astype(np.float32))
    expected = np.asarray(taught(scaled)).mean((1, 2))
    assert expected.std() > 0.1
    assert np.allclose(backbone(pictures), expected, atol=1e-4)
    assert np.asarray(head(backbone(pictures))).sum(1) == pytest.approx(1, abs=1e-5)
    assert capsys.readouterr().out == ""  # where results go


@pytest.mark.parametrize(("side", "found"), [(96, 96), (100, 224), (32, 224)])
def test_weights_of_the_pictures_size_are_downloaded_once(
    side: int, found: int, serve: Serve, weights: bytes
) -> None:
    asked = serve(weights)
    build(side)
    build(side)
    assert asked == [f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_{found}_no_top.h5"]


def test_a_gray_picture_is_one_of_three_equal_colours(serve: Serve, weights: bytes) -> None:
    serve(weights)
    gray = pixels(2, 40, 32, 1)

    def features(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        image = keras.Input(pictures.shape[1:], dtype="uint8")
        model = keras.Model(image, mobilenet_v2.features(image, NARROW, depth=3))
        return np.asarray(model(pictures))

    found = features(gray)
    assert found.std() > 0.1
    assert np.allclose(found, features(gray.repeat(3, axis=-1)), atol=1e-4)


@pytest.mark.parametrize(("depth", "channels"), [(1, 48), (6, 96), (13, 192), (17, 1280)])
def test_a_cut_network_ends_in_the_next_blocks_channels(
    depth: int, channels: int, serve: Serve, weights: bytes
) -> None:
    serve(weights)
    assert build(64, depth=depth).get_layer(pretrained.FEATURES).output.shape[-1] == channels


def test_it_is_fine_tuned_like_any_pretrained_network(
    serve: Serve, weights: bytes, digits: Dataset, tmp_path: Path
) -> None:
    serve(weights)
    few = dataclasses.replace(
        digits, train_images=digits.train_images[:60], train_labels=digits.train_labels[:60]
    )
    recipe = architectures.get("mobilenet-v2").recipe.with_({"epochs": 3})
    plan = TrainingPlan("mobilenet-v2", "digits", recipe, width=NARROW, depth=2)
    result = training.train(plan, few, tmp_path / "model")
    assert len(result.history.epochs) == 3
    assert present(record.read(tmp_path / "model")).plan == plan


def test_an_address_that_does_not_answer_is_said(serve: Serve, tmp_path: Path) -> None:
    serve(None)
    with pytest.raises(ToolchainError, match=r"cannot be downloaded .*404.*efficientnet-lite0"):
        build(96)
    assert not list((tmp_path / "keras").rglob("*.h5"))


def test_a_server_that_never_answers_is_given_up(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = socket.getdefaulttimeout()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(mobilenet_v2, "ADDRESS", f"http://127.0.0.1:{silent.getsockname()[1]}/")
        monkeypatch.setattr(mobilenet_v2, "TIMEOUT", 0.1)
        with pytest.raises(ToolchainError, match=r"timed out.*efficientnet-lite0"):
            build(96)
    assert socket.getdefaulttimeout() == before


@pytest.mark.parametrize("damage", [lambda data: data[:-5000], lambda _: b"<html>Log in</html>"])
def test_a_damaged_file_is_said_and_can_be_replaced(
    damage: Callable[[bytes], bytes], serve: Serve, weights: bytes, tmp_path: Path
) -> None:
    serve(damage(weights))
    with pytest.raises(ToolchainError, match=r"Remove that file .* efficientnet-lite0") as caught:
        build(96)
    (path,) = (tmp_path / "keras").rglob("*.h5")
    assert str(caught.value).startswith(f"{path} does not hold the weights of mobilenet-v2 (")
    path.unlink()
    serve(weights)
    build(96)


def test_weights_of_another_width_are_no_weights(serve: Serve, weights: bytes) -> None:
    serve(weights)
    with pytest.raises(ToolchainError, match="does not hold the weights of mobilenet-v2"):
        architectures.get("mobilenet-v2").build(InputContract(96, 96, 3), 4, 0.5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("mobilenet-v2", "--width", 0.4), "is one of 0.35, 0.5, 0.75, 1, not 0.4"),
        (("small-cnn", "--width", 0.5), "'small-cnn' is a whole number between 1 and 256, not 0.5"),
        (("efficientnet-lite0", "--width", 1), "takes no width. Leave it out, or train one of: sm"),
        (("small-cnn", "--depth", "small"), "'small-cnn' cannot be cut. Leave --depth out"),
        (("mobilenet-v2", "--depth", 18), "has 17 blocks and cannot be cut after 18"),
    ],
)
def test_widths_and_depths_that_a_network_does_not_have(
    options: tuple[object, ...], words: str
) -> None:
    assert words in forked.run("train", *options, "--dataset", "digits", code=2).stderr
