"""PyTorch's legacy file format, read without PyTorch."""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from switchpoint.errors import WeightsError

if TYPE_CHECKING:
    import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C  # what such a file starts with, pickled


class _Storage(NamedTuple):
    key: str
    dtype: str
    length: int


class _Tensor(NamedTuple):
    """What the pickle says of a tensor: its numbers come later in the file."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild_tensor(
    storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_unused: object
) -> _Tensor:
    return _Tensor(storage, offset, shape, strides)


class _Unpickler(pickle.Unpickler):
    """A pickle may call whatever it can import, so this one can import these four names and nothing else."""

    allowed: ClassVar[dict[tuple[str, str], Any]] = {
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
        ("torch", "FloatStorage"): "<f4",
        ("torch", "LongStorage"): "<i8",
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.allowed:
            raise WeightsError(f"it asks for {module}.{name}, which weights don't need")
        return self.allowed[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _device, length, _view = pid
        if kind != "storage" or dtype not in ("<f4", "<i8"):
            raise WeightsError(f"it refers to a {kind!r}, which weights don't need")
        return _Storage(key, dtype, length)


def read(file: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Read a state dict of PyTorch's legacy format, without PyTorch.

    The format: pickles of a magic number, a version, the machine's type sizes, the state dict (tensors refer to
    storages by key), and the keys in order; then for each storage its length as int64 and its numbers.

    Raises:
        WeightsError: Not that format, cut short, or a pickle that asks for anything else than tensors.

    Source:
        https://github.com/pytorch/pytorch/blob/main/torch/serialization.py (_legacy_load)
    """
    import numpy as np

    data = file.read_bytes()
    stream = io.BytesIO(data)
    try:
        if (magic := _Unpickler(stream).load()) != MAGIC:
            raise WeightsError(f"it starts with {magic!r}")
        _version, _sizes, state, keys = (_Unpickler(stream).load() for _ in range(4))
        position = stream.tell()
        storages = {tensor.storage.key: tensor.storage for tensor in state.values()}
        numbers = {}
        for key in keys:
            storage = storages[key]
            if int.from_bytes(data[position : position + 8], "little") != storage.length:
                raise WeightsError(f"storage {key} has not the {storage.length} numbers announced")
            numbers[key] = np.frombuffer(data, storage.dtype, storage.length, position + 8)
            position += 8 + numbers[key].nbytes
        tensors = {}
        for name, (storage, offset, shape, strides) in state.items():
            values = numbers[storage.key]
            # Counted in numbers, not bytes; np.ndarray refuses what would reach outside the storage.
            tensors[name] = np.ndarray(
                shape, values.dtype, values, offset * values.itemsize, [step * values.itemsize for step in strides]
            )
        return tensors
    except Exception as error:  # a broken pickle can raise nearly anything
        raise WeightsError(
            f"{file} is not a whole file of weights in PyTorch's legacy format "
            f"(torch.save(state_dict, file, _use_new_zipfile_serialization=False)): {error}"
        ) from error
