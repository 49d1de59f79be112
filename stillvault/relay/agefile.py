"""Backups that are encrypted to people who hold an age identity (age-encryption.org/v1, X25519 recipients).

The relay knows recipients alone, which are public: what it writes it cannot read again. The format is that of `age` and `rage`,
so either of them opens such a file where this program is not at hand. pyrage does the work and is loaded only when a recipient
or an identity is named: the extra `stillvault[backup]`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stillvault.relay.settings import BadSetting

HEADER = b"age-encryption.org/v1\n"
IDENTITY = "AGE-SECRET-KEY-1"
LARGEST_IDENTITY = 64 * 1024  # bytes of an identity file


def recipients(names: Sequence[str]) -> list[Any]:
    """The recipients, parsed. Raises `BadSetting` for one that is none, or where pyrage is not installed."""
    if not names:
        return []
    pyrage = _pyrage("backup.recipients")
    try:
        return [pyrage.x25519.Recipient.from_str(name) for name in names]
    except pyrage.RecipientError:
        fix = "Take the public key that `age-keygen` printed."
        raise BadSetting("settings", "backup.recipients", "an entry is not an age recipient (age1...)", fix) from None


def encrypt(source: Path, target: Path, to: Sequence[Any]) -> None:
    """Writes `target`, which exists already and is empty. Raises OSError."""
    pyrage = _pyrage("backup.recipients")
    with open(source, "rb") as reading, open(target, "wb") as writing:
        pyrage.encrypt_io(reading, writing, list(to))


def is_encrypted(file: Path) -> bool:
    """Whether the file begins as age files do. Raises OSError."""
    with open(file, "rb") as reading:
        return reading.read(len(HEADER)) == HEADER


def decrypt(source: Path, target: Path, identity: Path | None) -> None:
    """Writes what the identity opens to `target`, a new file. Nothing of it counts unless this returns: age authenticates block
    by block.

    Raises:
        BadSetting: no identity given, not an identity file, another one's backup, damaged.
    """
    if identity is None:
        fix = "Add --identity FILE, or decrypt it elsewhere: age -d -i FILE."
        raise BadSetting(str(source), "backup", "it is encrypted to an age recipient", fix)
    pyrage = _pyrage("--identity")
    keys = _identities(pyrage, identity)
    try:
        with open(source, "rb") as reading, open(target, "xb") as writing:
            pyrage.decrypt_io(reading, writing, keys)
    except pyrage.DecryptError:
        target.unlink(missing_ok=True)
        rule = "this identity does not open it, or it is damaged"
        raise BadSetting(str(source), "backup", rule, "Name the identity of a recipient, or take an older backup.") from None


def _identities(pyrage: Any, file: Path) -> list[Any]:
    refused = BadSetting(str(file), "--identity", "it is not an age identity file", "Name the file that `age-keygen -o` wrote.")
    try:
        with open(file, "rb") as reading:
            lines = reading.read(LARGEST_IDENTITY).decode("ascii").split("\n")
        keys = [line.strip() for line in lines if line.strip().startswith(IDENTITY)]
        found = [pyrage.x25519.Identity.from_str(one) for one in keys]
    except (OSError, UnicodeDecodeError, pyrage.IdentityError):
        raise refused from None
    if not found:
        raise refused
    return found


def _pyrage(field: str) -> Any:
    try:
        import pyrage  # type: ignore[import-untyped]  # it has no types of its own
    except ImportError:
        raise BadSetting(
            "settings", field, "encrypted backups need pyrage, which is not installed", "Run: pip install 'stillvault[backup]'"
        ) from None
    return pyrage
