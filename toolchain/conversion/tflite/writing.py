"""Writes what a `.tflite` file says of itself, on the workstation.

Our own JSON and its seal; Google's `TFLITE_METADATA` (metadata schema, file identifier M001), which
Android's tools read; and the labels as a file in a zip archive appended to the FlatBuffer, where
Google's tools look for them.
"""

from __future__ import annotations

import io
import zipfile
from typing import Any

from toolchain.conversion.tflite.builder import packed, sharing_builder
from toolchain.conversion.tflite.slimming import slim
from toolchain.formats.tflite.metadata import INFO_ENTRY
from toolchain.model import seal
from toolchain.model.artifact import ModelInfo
from toolchain.support.errors import require

GOOGLE_ENTRY = "TFLITE_METADATA"
SEAL_ENTRY = "TOOLCHAIN_SEAL"
FLAGS_ENTRY = "CONVERSION_METADATA"  # the converter's; our description has its version
LABELS_FILE = "labels.txt"


def write_entries(data: bytes, info: ModelInfo) -> bytes:
    """The same model, slim, its ends named, with Google's metadata, our JSON and the labels."""
    schema = require("ai_edge_litert.schema_py_generated", "export")
    model = schema.ModelT.InitFromPackedBuf(data, 0)
    entries = {
        GOOGLE_ENTRY: google_metadata(info),
        INFO_ENTRY: info.to_json().encode(),
        SEAL_ENTRY: seal.OPEN,
    }
    # what an earlier description left: a second seal would break both
    slim(model, {name.encode() for name in (FLAGS_ENTRY, *entries)})
    _name_ends(model)
    for name, content in entries.items():
        entry = schema.MetadataT()
        entry.name, entry.buffer = name, len(model.buffers)
        buffer = schema.BufferT()
        buffer.data = content
        model.buffers.append(buffer)
        model.metadata.append(entry)
    return seal.close(_append_labels(packed(model), info.labels))


def _name_ends(model: Any) -> None:
    """Call the ends `image` and `probabilities`, in the graph and in its signature."""
    graph, signature = model.subgraphs[0], model.signatureDefs[0]
    graph.tensors[graph.inputs[0]].name = signature.inputs[0].name = b"image"
    graph.tensors[graph.outputs[0]].name = signature.outputs[0].name = b"probabilities"


def _append_labels(data: bytes, labels: tuple[str, ...]) -> bytes:
    file = io.BytesIO(data)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(LABELS_FILE), "".join(f"{label}\n" for label in labels))
    return file.getvalue()


def google_metadata(info: ModelInfo) -> bytes:
    """The description that Google's task libraries and Android Studio read.

    Source: TensorFlow Lite metadata schema, `metadata_schema.fbs`; the numbers are the fields'
    places in its tables. Normalisation is mean 0 and std 1: raw pixels go in.
    """
    builder = sharing_builder(1024)
    text = builder.CreateString
    image = _table(
        builder,
        {
            0: text("image"),
            1: text("Raw pixels, uint8, 0 to 255."),
            3: _image_content(builder, info),
            4: _vector(builder, _normalization(builder)),
            5: _table(builder, {0: _floats(builder, 255.0), 1: _floats(builder, 0.0)}),
        },
    )
    axis_labels = 2
    labels = _table(builder, {0: text(LABELS_FILE), 1: text("One class a line.")}, {2: axis_labels})
    probabilities = _table(
        builder,
        {
            0: text("probabilities"),
            1: text("Probability of each class, 0 to 1."),
            6: _vector(builder, labels),
        },
    )
    graph = _table(builder, {2: _vector(builder, image), 3: _vector(builder, probabilities)})
    description = text(f"{info.architecture} for {info.dataset}")
    root = _table(
        builder,
        {0: text(info.name), 1: description, 3: _vector(builder, graph), 7: text("1.0.0")},
    )
    builder.Finish(root, b"M001")
    return bytes(builder.Output())


def _image_content(builder: Any, info: ModelInfo) -> int:
    image_properties, rgb, grayscale = 2, 1, 2
    builder.StartObject(2)
    builder.PrependUint32Slot(0, info.input.width, 0)
    builder.PrependUint32Slot(1, info.input.height, 0)
    size = builder.EndObject()
    color = rgb if info.input.channels == 3 else grayscale
    properties = _table(builder, {1: size}, {0: color})
    return _table(builder, {1: properties}, {0: image_properties})


def _normalization(builder: Any) -> int:
    normalization = 1
    options = _table(builder, {0: _floats(builder, 0.0), 1: _floats(builder, 1.0)})
    return _table(builder, {1: options}, {0: normalization})


def _table(builder: Any, references: dict[int, int], enums: dict[int, int] | None = None) -> int:
    """A table of references to finished objects, and of one-byte enumerations."""
    builder.StartObject(8)
    for field, offset in references.items():
        builder.PrependUOffsetTRelativeSlot(field, offset, 0)
    for field, value in (enums or {}).items():
        builder.PrependUint8Slot(field, value, 0)
    return int(builder.EndObject())


def _vector(builder: Any, table: int) -> int:
    """A vector of one table."""
    builder.StartVector(4, 1, 4)
    builder.PrependUOffsetTRelative(table)
    return int(builder.EndVector())


def _floats(builder: Any, value: float) -> int:
    """A vector of one float, which stands for all channels."""
    builder.StartVector(4, 1, 4)
    builder.PrependFloat32(value)
    return int(builder.EndVector())
