# SPDX-License-Identifier: Apache-2.0
"""What a pickle would import and call, read off its opcodes; nothing is unpickled.

    found = read_pickle(path.open("rb"))
    [(each.name, each.opcode, each.called) for each in found.imports], found.whole

A pickle is a program for a stack machine. This follows its stack, marks and memo as far as names
are concerned, so that a name that is put together from memoised strings is still read; objects are
never made, and what a called function would do is not known. The tables of opcodes are
``pickletools``'.
"""

from __future__ import annotations

import pickletools
from dataclasses import dataclass, field
from typing import IO, Any, Final, cast

#: Most bytes of one pickle that are read; raw tensors lie outside of what torch pickles.
LIMIT: Final = 1 << 26
#: Pickles of one file that are read: what torch wrote before version 1.6 is five in a row.
_STREAM = 16

_STRINGS = frozenset(
    {"STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE",
     "BINUNICODE8"}
)  # fmt: skip
_PUTS = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_GETS = frozenset({"GET", "BINGET", "LONG_BINGET"})
_EXTENSIONS = frozenset({"EXT1", "EXT2", "EXT4"})
#: Opcodes that call what is so many objects below the top of the stack.
_CALLS = {"REDUCE": 2, "NEWOBJ": 2, "NEWOBJ_EX": 3}
_UNKNOWN = "a name that is computed"

#: What rebuilds tensors, arrays and plain containers and does nothing else. Loading bytes that
#: are a pickle again is not among them.
_HARMLESS = frozenset(
    {"collections.OrderedDict", "_codecs.encode", "torch.Size", "torch.device", "torch.dtype",
     "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2",
     "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state",
     "torch._tensor._rebuild_from_type_v2", "torch.Tensor", "torch.nn.parameter.Parameter",
     "torch.storage.TypedStorage", "torch.storage.UntypedStorage",
     "numpy.ndarray", "numpy.dtype", "numpy.core.multiarray._reconstruct",
     "numpy._core.multiarray._reconstruct", "numpy.core.multiarray.scalar",
     "numpy._core.multiarray.scalar"}
)  # fmt: skip
_NUMBERS = frozenset(
    {"float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8",
     "bool", "complex64", "complex128", "float8_e4m3fn", "float8_e5m2"}
)  # fmt: skip


@dataclass(slots=True)
class Import:
    """A name that a pickle fetches from a module.

    Attributes:
        name: ``module.name``.
        opcode: the opcode that fetches it.
        position: byte of that opcode.
        called: the opcode that calls it; empty where nothing was seen to.
    """

    name: str
    opcode: str
    position: int
    called: str = ""

    @property
    def harmless(self) -> bool:
        """Whether all it can do is to rebuild tensors, arrays and plain containers."""
        module, _, last = self.name.rpartition(".")
        storage = module == "torch" and (last.endswith("Storage") or last in _NUMBERS)
        return storage or self.name in _HARMLESS


@dataclass(frozen=True)
class PickleReading:
    """The opcodes of a file, as far as they go.

    Attributes:
        imports: what it fetches, in order, each name once.
        opcodes: how many opcodes were read.
        whole: whether every pickle was read to its STOP.
        why: where not, what was in the way.
    """

    imports: tuple[Import, ...]
    opcodes: int
    whole: bool
    why: str = ""


def read_pickle(file: IO[bytes]) -> PickleReading:
    """Read the opcodes of a file that is one pickle or several in a row.

    Args:
        file: at the first byte of the pickle; read to the last one's end at most.

    Returns:
        What was read. A pickle that breaks off counts up to there: a loader would have run that.
    """
    stream, opcodes, why = _Bounded(file), 0, ""
    imports: dict[str, Import] = {}
    for number in range(_STREAM):
        machine, known = _Machine(imports), len(imports)
        try:
            for opcode, argument, position in pickletools.genops(cast(IO[bytes], stream)):
                opcodes += 1
                machine.step(opcode, argument, position or 0)
        except (ValueError, EOFError, OverflowError, MemoryError) as error:
            # Raw tensors that follow the last pickle may begin like another one.
            why = "" if number and len(imports) == known else str(error)
            break
        if not stream.another():
            break
    return PickleReading(tuple(imports.values()), opcodes, not why, why)


class _Bounded:
    """A file for ``pickletools`` that never holds more than a pickle's share of memory."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._left, self._ahead, self._at = file, LIMIT, b"", 0

    def read(self, size: int) -> bytes:
        if size < 0 or size > self._left:
            raise ValueError(f"it is longer than the {LIMIT >> 20} MiB that are read")
        ahead, self._ahead = self._ahead[:size], self._ahead[size:]
        return self._counted(ahead + self._file.read(size - len(ahead)))

    def readline(self) -> bytes:
        ahead, self._ahead = self._ahead, b""
        line = ahead if ahead.endswith(b"\n") else ahead + self._file.readline(self._left)
        if not line.endswith(b"\n") and len(line) >= self._left:
            raise ValueError(f"it is longer than the {LIMIT >> 20} MiB that are read")
        return self._counted(line)

    def tell(self) -> int:
        return self._at

    def another(self) -> bool:
        """Whether what comes next begins like a pickle."""
        if not self._ahead:
            self._ahead = self._file.read(1)
        return self._ahead == b"\x80"

    def _counted(self, data: bytes) -> bytes:
        self._left -= len(data)
        self._at += len(data)
        return data


@dataclass
class _Machine:
    """The stack and the memo of one pickle, with names and imports for objects and else None."""

    imports: dict[str, Import] = field(default_factory=dict)
    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def step(self, opcode: pickletools.OpcodeInfo, argument: Any, position: int) -> None:
        name = opcode.name
        if name in _STRINGS:
            self.stack.append(argument)
        elif name in _GETS:
            self.stack.append(self.memo.get(argument))
        elif name in _PUTS or name == "MEMOIZE":
            self.memo[len(self.memo) if argument is None else argument] = self._top(1)
        elif name == "DUP":
            self.stack.append(self._top(1))
        elif name in ("GLOBAL", "INST"):
            self._take(opcode)
            where = ".".join(str(argument).split(" ", 1))
            self._fetch(where, name, position, called="INST" if name == "INST" else "")
        elif name == "STACK_GLOBAL":
            parts = [self._top(2), self._top(1)]
            self._take(opcode)
            known = all(isinstance(part, str) for part in parts)
            self._fetch(".".join(parts) if known else _UNKNOWN, name, position)
        elif name in _EXTENSIONS:
            self._fetch(f"copyreg extension {argument}", name, position)
        else:
            self._call(name)
            self._take(opcode)
            self.stack.extend(
                pickletools.markobject if kind is pickletools.markobject else None
                for kind in opcode.stack_after
            )

    def _call(self, name: str) -> None:
        callee = self._top(_CALLS[name]) if name in _CALLS else None
        if name == "OBJ" and pickletools.markobject in self.stack:
            from_top = self.stack[::-1].index(pickletools.markobject)
            callee = self._top(from_top) if from_top else None
        if isinstance(callee, Import):
            callee.called = name

    def _fetch(self, where: str, opcode: str, position: int, called: str = "") -> None:
        found = self.imports.setdefault(where, Import(where, opcode, position, called))
        self.stack.append(found)

    def _top(self, depth: int) -> Any:
        return self.stack[-depth] if len(self.stack) >= depth else None

    def _take(self, opcode: pickletools.OpcodeInfo) -> None:
        """Take from the stack what an opcode takes; what is not there is not missed."""
        if pickletools.markobject in opcode.stack_before:
            while self.stack and self.stack.pop() is not pickletools.markobject:
                pass
            below = opcode.stack_before.index(pickletools.markobject)
        else:
            below = len(opcode.stack_before)
        del self.stack[max(len(self.stack) - below, 0) :]
