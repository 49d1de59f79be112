"""Values in this process: hidden wherever Python shows or copies things, and wiped.

A `Secret` is kept in memory of its own, outside of the interpreter's heap: private pages that no core file holds, that a child
of a fork finds empty, and that are overwritten by `wipe`, at the end of a `with` block and when the object is collected.

What cannot be promised: `reveal` gives an ordinary `bytes` or `str`, of which Python makes as many copies as it likes and wipes
none; pages may be swapped out; code in this process and root can read them. `write_to` makes no such copy.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn, Protocol

from stillvault.protocol.errors import Failed
from stillvault.sdk.memory import Memory

MAX_VALUE = 60 * 1024  # bytes (docs/protocol.md, section 5.3)


class HasFileno(Protocol):
    """A file, a socket, a pipe."""

    def fileno(self) -> int: ...


class Secret:
    """One value. `reveal`, `reveal_text` and `write_to` are the only ways to it; `with` wipes it at the end of the block."""

    __slots__ = ("__weakref__", "_memory", "reference", "version")

    reference: str
    version: int

    def __init__(self, memory: Memory, reference: str, version: int) -> None:
        self._memory = memory
        self.reference = reference
        self.version = version

    # ---- the value -----------------------------------------------------------------------------------------------------

    def reveal(self) -> bytes:
        """The value as it was sealed. The copy is yours, and nothing wipes it."""
        with self._memory.view() as view:
            return bytes(view)

    def reveal_text(self) -> str:
        """The value as UTF-8 text. Raises `Failed` (`not-text`) where it is none, without showing a byte of it."""
        with self._memory.view() as view:
            try:
                return str(view, "utf-8")
            except UnicodeDecodeError:
                pass  # it holds the value: the error below must not carry it along as its context
        raise Failed("not-text", f"{self.reference} is not UTF-8 text", "use reveal() and take the bytes")

    def write_to(self, target: int | HasFileno) -> int:
        """Writes the value to a descriptor or to what has one, past every buffer of Python's. Returns how many bytes."""
        fd = target if isinstance(target, int) else target.fileno()
        with self._memory.view() as view:
            written = 0
            while written < len(view):
                with view[written:] as rest:
                    written += os.write(fd, rest)
        return written

    def field(self, name: str) -> Secret:
        """The field of a JSON object or of `.env` lines, as `sv://PATH#FIELD` names it. A secret of its own."""
        from stillvault.sdk.fields import cut

        reference = f"{self.reference}#{name}"
        with self._memory.view() as view:
            try:
                return Secret(cut(view, name), reference, self.version)
            except Failed as error:
                problem = Failed(error.code, f"{reference}: {error.message}", error.remedy)
        # Raised anew, out here: the local variables of the search would show parts of the value in a traceback.
        raise problem

    def wipe(self) -> None:
        """Overwrites the value; using it afterwards raises `Failed` (`wiped`)."""
        self._memory.wipe()

    @property
    def wiped(self) -> bool:
        return self._memory.wiped

    def __enter__(self) -> Secret:
        return self

    def __exit__(self, *_: object) -> None:
        self.wipe()

    def __del__(self) -> None:
        try:
            self.wipe()
        except (AttributeError, TypeError):
            pass  # it was never whole, or the interpreter ends

    # ---- hidden --------------------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        return f"<Secret {self.reference} version {self.version}>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a Secret is not pickled or copied: it stays in the process that asked")

    def __copy__(self) -> NoReturn:
        self.__reduce_ex__(0)

    def __deepcopy__(self, memo: Any) -> NoReturn:
        self.__reduce_ex__(0)


class Secrets(Mapping[str, Secret]):
    """What one card brought, by reference. `with` wipes all of it; so does `wipe`."""

    def __init__(self, values: dict[str, Memory], versions: dict[str, int], references: tuple[str, ...]) -> None:
        self._whole = {f"sv://{path}": Secret(memory, f"sv://{path}", versions[path]) for path, memory in values.items()}
        self._cut: dict[str, Secret] = {}
        self._references = references

    def __getitem__(self, reference: str) -> Secret:
        whole, mark, field = reference.partition("#")
        if not mark:
            return self._whole[whole]
        if reference not in self._cut:
            self._cut[reference] = self._whole[whole].field(field)
        return self._cut[reference]

    def __iter__(self) -> Iterator[str]:
        return iter(self._references)

    def __len__(self) -> int:
        return len(self._references)

    def detach(self, reference: str) -> Secret:
        """One of them, no longer wiped with the others."""
        found = self[reference]
        self._cut.pop(reference, None)
        self._whole.pop(reference, None)
        return found

    def wipe(self) -> None:
        """Overwrites every value."""
        for secret in (*self._whole.values(), *self._cut.values()):
            secret.wipe()

    def __enter__(self) -> Secrets:
        return self

    def __exit__(self, *_: object) -> None:
        self.wipe()

    def __repr__(self) -> str:
        return f"<Secrets {' '.join(self._references)}>"

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("Secrets are not pickled or copied: they stay in the process that asked")
