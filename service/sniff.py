"""What a file is, by its first bytes.  Nothing is parsed here: that is the worker's, behind its walls."""

from pathlib import Path, PurePath
from typing import Literal

from service.contract.problem import Invalid, Unsupported

ModelFormat = Literal["json", "onnx"]
BatchFormat = Literal["npz", "npy", "safetensors", "json"]

SECOND = "second batch"
"""What complaints call the part `second_batch`."""

_HEAD = 512
_PYTORCH = (
    "Export it first: torch.onnx.export(model.eval(), example_input, 'model.onnx', opset_version=17, "
    "dynamo=False, do_constant_folding=False), and send model.onnx."
)
_KERAS = "Send the text of model.to_json(), or convert it: python -m tf2onnx.convert --keras FILE --output model.onnx."
_RECIPES: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file", _KERAS),
    (0, b"\x1f\x8b", "a gzip archive", "Send the model itself, unpacked."),
    (257, b"ustar", "a tar archive", "Send the model itself, unpacked."),
    (0, b"\xfd7zXZ\x00", "an xz archive", "Send the model itself, unpacked."),
    (0, b"GGUF", "a GGUF file", "It holds weights for inference alone; send the ONNX file of the original."),
    (4, b"TFL3", "a TensorFlow Lite file", "python -m tf2onnx.convert --tflite FILE --output model.onnx."),
    (0, b'"{\\', "JSON within a JSON string", "Write the text itself, without json.dump: file.write(model.to_json())."),
    (0, b"[", "a JSON list", "A description is one object; a batch is sent as `batch`."),
    (0, b"\xff\xfe", "text in UTF-16", "Save it as UTF-8; PowerShell's > does not."),
    (0, b"\x93NUMPY", "a NumPy array", "This looks like a batch: send it as `batch`."),
)
_ONNX_TAGS = frozenset({0x08, 0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42, 0x72, 0xA2, 0xCA})
"""First bytes of the fields of an ONNX ModelProto, by onnx.proto: number and wire type."""


def model(path: Path, filename: str) -> ModelFormat:
    """Return what the model file is; Unsupported, with a recipe, where it is nothing that is accepted."""
    head = _head(path, "model")
    if head.lstrip()[:1] == b"{":
        return "json"
    if head[:4] == b"PK\x03\x04":
        raise Unsupported(_advice("a zip archive", _KERAS if PurePath(filename).suffix == ".keras" else _PYTORCH))
    if _pickled(head):
        raise Unsupported(_advice("a pickle, which runs code when it is loaded", _PYTORCH))
    if _safetensors(head):
        raise Unsupported(_advice("a safetensors file", "It holds weights without their network; send the ONNX file."))
    for offset, magic, name, recipe in _RECIPES:
        if head[offset:].startswith(magic):
            raise Unsupported(_advice(name, recipe))
    if head[0] not in _ONNX_TAGS:
        raise Unsupported(
            _advice("of an unknown kind", "Send ONNX, or JSON (an architecture, or Keras's model.to_json()).")
        )
    return "onnx"


def batch(path: Path, what: str = "batch") -> BatchFormat:
    """Return what a batch file, called `what`, is; Unsupported where it is nothing that is accepted."""
    head = _head(path, what)
    if head[:4] in {b"PK\x03\x04", b"PK\x05\x06"}:
        return "npz"
    if head.startswith(b"\x93NUMPY"):
        return "npy"
    if head.lstrip()[:1] in {b"{", b"["}:
        return "json"
    if _safetensors(head):
        return "safetensors"
    kind = "a pickle, which runs code when it is loaded" if _pickled(head) else "of an unknown kind"
    msg = f"The {what} is {kind}. Send .npz, .npy, .safetensors or .json: numpy.savez('batch.npz', input=x, target=y)."
    raise Unsupported(msg)


def batches(first: Path | None, second: Path | None) -> None:
    """Look at the batches that came; Unsupported as `batch` is, Invalid where a second one came alone."""
    if first is not None:
        batch(first)
    if second is not None:
        if first is None:
            msg = f"There is a {SECOND} and no first one; send the first as `batch`."
            raise Invalid(msg)
        batch(second, SECOND)


def flat(name: str) -> str:
    """Return the name of an external data file; Invalid unless it is one plain file name."""
    plain = name.isprintable() and not {"/", "\\"} & set(name) and not name.startswith(".")
    if not plain or not 0 < len(name.encode(errors="replace")) <= 200:  # noqa: PLR2004  leaves file systems some room
        msg = f"The data part is named {name[:80]!r}; a name is one plain file name of at most 200 bytes."
        raise Invalid(msg)
    return name


def _head(path: Path, what: str) -> bytes:
    with path.open("rb") as file:
        head = file.read(_HEAD).removeprefix(b"\xef\xbb\xbf")
    if not head.strip():
        msg = f"The {what} is empty: {path.stat().st_size} bytes."
        raise Invalid(msg)
    return head


def _pickled(head: bytes) -> bool:
    return head[0] == 0x80 and head[1:2] in {b"\x02", b"\x03", b"\x04", b"\x05"}  # noqa: PLR2004  PROTO, then its number


def _safetensors(head: bytes) -> bool:
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 2**32


def _advice(kind: str, recipe: str) -> str:
    return f"The model is {kind}. {recipe}"
