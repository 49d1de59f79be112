"""The Rust core as Python sees it. Only `stillvault.crypto` imports this module.

Signed objects, certificates, secrets, releases go in and come out as the canonical bytes of their wrapper. Every check that
fails raises `stillvault.protocol.errors.Refused` with the code of the check. Keys and plaintext live in wiped Rust memory;
`repr` shows none of it. Times are unix seconds, `boot` times CLOCK_BOOTTIME milliseconds.
"""

from typing import final

# ---- encoding (protocol 2) ---------------------------------------------------------------------------------------------

def encode(value: object) -> bytes: ...
    # dict, list, str, bool, int only; refuses null, float, bad names, raw hidden characters, > 1 MiB, depth > 16
def check_form(type: str, payload: bytes) -> bytes: ...  # form alone; returns the oid
def check_object(name: str, payload: bytes) -> bytes: ...  # form and schema of `name` (section 4); returns the oid
def payload_of(name: str, signed: bytes) -> bytes: ...
    # UNVERIFIED payload of a wrapper, form and schema checked: for routing and for "who signed" only
def oid_of(signed: bytes) -> bytes: ...  # oid of a wrapper (unverified; wrapper form checked)
def visible(raw: bytes) -> str: ...
def check_path(path: str) -> None: ...
def check_pattern(pattern: str) -> None: ...
def check_id(text: str) -> None: ...
def pattern_matches(pattern: str, path: str) -> bool: ...
def b64encode(raw: bytes) -> str: ...
def b64decode(text: str) -> bytes: ...  # strict
def sha256(raw: bytes) -> bytes: ...
def request_code(oid: bytes) -> str: ...  # six digits
def features() -> list[str]: ...  # [] in a released wheel; ["vectors"] in a test build

# ---- keys --------------------------------------------------------------------------------------------------------------

@final
class SigningKey:
    """An ed25519 or es256 key in wiped memory."""
    @staticmethod
    def generate(alg: str) -> SigningKey: ...
    @staticmethod
    def from_bytes(alg: str, secret: bytes) -> SigningKey: ...
    @property
    def alg(self) -> str: ...
    @property
    def public(self) -> bytes: ...
    def secret_bytes(self) -> bytes: ...  # for the key file and the recovery kit alone
    def sign(self, name: str, payload: bytes) -> bytes: ...  # schema checked first; wrapper with one signature

@final
class KemKey:
    """A p256 decryption key in wiped memory."""
    @staticmethod
    def generate() -> KemKey: ...
    @staticmethod
    def from_bytes(secret: bytes) -> KemKey: ...
    @property
    def public(self) -> bytes: ...
    def secret_bytes(self) -> bytes: ...
    def open(self, info: bytes, enc: bytes, ct: bytes) -> bytes: ...  # 32 bytes; used for the enrolment proof alone

def kem_seal(public: bytes, info: bytes, plaintext: bytes) -> tuple[bytes, bytes]: ...  # (enc, ct); the enrolment challenge
def add_signature(name: str, signed: bytes, key: SigningKey) -> bytes: ...  # for thresholds

# ---- trust (protocol 7.1, 8) -------------------------------------------------------------------------------------------

@final
class Trust:
    """A verified root chain and roster. Immutable."""
    @staticmethod
    def verify(pin: bytes, roots: list[bytes], roster: bytes, now: int,
               seen: tuple[tuple[int, int], bytes] | None = None) -> Trust: ...
    @property
    def pin(self) -> bytes: ...
    @property
    def pair(self) -> tuple[int, int]: ...
    @property
    def oid(self) -> bytes: ...  # of the roster
    @property
    def root_oid(self) -> bytes: ...
    @property
    def root(self) -> bytes: ...  # payload of the newest root
    @property
    def roster(self) -> bytes: ...  # payload
    @property
    def expires(self) -> int: ...  # the earlier of root and roster
    def select_policy(self, path: str) -> bytes: ...  # canonical JSON of the Policy; no-policy
    def recipients(self, path: str, now: int) -> list[tuple[int, str, str]]: ...  # of a seal made now (section 5.1)
    def verify_cert(self, cert: bytes, now: int) -> Cert: ...
    def verify_by_device(self, name: str, signed: bytes, person: str, device: str, now: int, *, deny: bool = False) -> bytes: ...
        # signature of one `auth` key (or `deny` key) of a rostered device in date; returns the payload
    def verify_by_client(self, name: str, signed: bytes, cert: Cert, now: int) -> bytes: ...
        # signature of a certificate's key; receipt, use, cancel, login; returns the payload
    def verify_request(self, signed: bytes, cert: Cert, now: int) -> Request: ...  # 7.1 and 7.2 without memory
    def verify_secret(self, signed: bytes, path: str, lowest: list[tuple[int, int]], now: int,
                      *, reseal: bool = False) -> Secret: ...  # 7.3 without self
    def verify_new_secret(self, signed: bytes, ciphertext: bytes, now: int) -> Secret: ...
        # what the relay can check at upload: 7.3, length and hash of the ciphertext, policy and recipients of the current
        # roster (5.6), sealed not older than 300 s
    def verify_decision(self, signed: bytes, now: int) -> Decision: ...
        # signature of a rostered approver's device, in date: what can be said without the requests

@final
class Cert:
    @property
    def oid(self) -> bytes: ...
    @property
    def subject(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def grade(self) -> str: ...
    @property
    def scopes(self) -> list[str]: ...
    @property
    def expires(self) -> int: ...
    @property
    def public(self) -> bytes: ...
    @property
    def payload(self) -> bytes: ...

@final
class Request:
    @property
    def oid(self) -> bytes: ...
    @property
    def path(self) -> str: ...
    @property
    def code(self) -> str: ...
    @property
    def payload(self) -> bytes: ...

@final
class Secret:
    @property
    def oid(self) -> bytes: ...
    @property
    def path(self) -> str: ...
    @property
    def version(self) -> tuple[int, int]: ...
    @property
    def payload(self) -> bytes: ...

@final
class Decision:
    @property
    def oid(self) -> bytes: ...
    @property
    def verdict(self) -> str: ...
    @property
    def person(self) -> str: ...
    @property
    def device(self) -> str: ...
    @property
    def expires(self) -> int: ...
    @property
    def payload(self) -> bytes: ...

# ---- values ------------------------------------------------------------------------------------------------------------

@final
class Value:
    """A secret's plaintext in secret memory (memfd_secret, else mlocked). Wiped on drop."""
    @staticmethod
    def read_fd(fd: int, limit: int = 61440) -> Value: ...  # until end of file; refuses more than limit with code `size`
    @staticmethod
    def random(length: int) -> Value: ...  # base64url text of `length` random bytes
    @staticmethod
    def from_bytes(raw: bytes) -> Value: ...  # for the SDK and tests: the caller's copy stays with the caller
    @property
    def length(self) -> int: ...
    def write_fd(self, fd: int, *, wait: bool = True) -> None: ...  # all of it or OSError; detached
        # with wait=False into a pipe at once or not at all (BlockingIOError): whoever holds the other end cannot stall the writer
    def reveal(self) -> bytes: ...  # the only place where plaintext becomes a Python object
    def wipe(self) -> None: ...

def memory_kind() -> str: ...  # "memfd_secret" | "mlock" | "plain" (with a warning by the caller)
def harden_process() -> None: ...  # PR_SET_DUMPABLE 0, RLIMIT_CORE 0

# ---- sealing (protocol 5) ----------------------------------------------------------------------------------------------

@final
class Sealed:
    @property
    def secret(self) -> bytes: ...
    @property
    def ciphertext(self) -> bytes: ...
    @property
    def oid(self) -> bytes: ...
    @property
    def recipients(self) -> list[tuple[int, str, str]]: ...
    @property
    def missing(self) -> list[str]: ...  # people of the policy without a usable device

def seal(trust: Trust, key: SigningKey, by: tuple[str, str], path: str, value: Value,
         version: tuple[int, int], previous: bytes | None, now: int) -> Sealed: ...

# ---- the client (protocol 6, 8) ----------------------------------------------------------------------------------------

@final
class Ephemeral:
    """A fresh KEM key for one request. Wiped on drop or `erase`."""
    @staticmethod
    def generate() -> Ephemeral: ...
    @property
    def public(self) -> bytes: ...
    def erase(self) -> None: ...

@final
class Opened:
    @property
    def value(self) -> Value: ...
    @property
    def secret(self) -> Secret: ...
    @property
    def window(self) -> int: ...
    @property
    def uses(self) -> int: ...
    @property
    def scope(self) -> str: ...
    @property
    def approvers(self) -> list[tuple[str, str]]: ...

def open_releases(trust: Trust, request: bytes, ephemeral: Ephemeral, secret: bytes, ciphertext: bytes,
                  releases: list[bytes], remembered: tuple[int, int] | None, now: int) -> Opened: ...
def verify_denial(trust: Trust, request: bytes, secret: bytes | None, decision: bytes, now: int) -> Decision: ...

# ---- recovery keys (protocol 11) -----------------------------------------------------------------------------------------

def open_recovered(trust: Trust, path: str, secret: bytes, ciphertext: bytes, keys: list[KemKey], now: int) -> Value: ...

# ---- the approver (protocol 7) -----------------------------------------------------------------------------------------

@final
class Prompt:
    """A prompt that passed checks 7.1 to 7.3 for one device. Only such a prompt can be approved."""
    @property
    def request(self) -> Request: ...
    @property
    def secret(self) -> Secret: ...
    @property
    def cert(self) -> Cert: ...
    @property
    def code(self) -> str: ...
    @property
    def index(self) -> int: ...
    @property
    def position(self) -> int: ...
    @property
    def host(self) -> str: ...
    @property
    def window(self) -> int: ...  # the most seconds of lease that a decision may give
    @property
    def outside(self) -> list[tuple[int, str, str]]: ...  # recipients outside the current policy: shown

def check_prompt(trust: Trust, own: tuple[str, str], cert: bytes, request: bytes, secret: bytes,
                 decided: bool, lowest: tuple[int, int] | None, now: int) -> Prompt: ...
def release(trust: Trust, prompts: list[Prompt], decision: bytes, kem: KemKey, now: int) -> bytes: ...
    # decision: signed; checked against the prompts first. Canonical bytes of the release wrapper
def split_release(release: bytes) -> tuple[bytes, list[tuple[bytes, bytes, bytes]]]: ...
    # (signed decision, [(request oid, enc, ct)]); strict; for the relay, which hands on only the requester's own entry
def join_release(decision: bytes, sealed: list[tuple[bytes, bytes, bytes]]) -> bytes: ...

# ---- enrolment (protocol 11) -------------------------------------------------------------------------------------------

@final
class Enrol:
    @property
    def oid(self) -> bytes: ...
    @property
    def invite(self) -> bytes: ...
    @property
    def payload(self) -> bytes: ...

def verify_enrol(pin: bytes, origins: list[str], signed: bytes, invite: bytes) -> Enrol: ...
def invite_terms(pin: bytes, nonce: bytes) -> tuple[bytes, str]: ...  # (invite, bearer text)
def enrol_words(oid: bytes, nonce: bytes) -> list[str]: ...  # five BIP-39 words
def proof_info() -> bytes: ...

# ---- leases (protocol 10) ----------------------------------------------------------------------------------------------

@final
class LeaseCache:
    """Live leases. `now` is CLOCK_BOOTTIME in milliseconds, given by the caller. Keeps the interpreter for a lookup."""
    def __new__(cls, capacity: int = 4096) -> LeaseCache: ...
    def insert(self, client: str, path: str, scope: str, scope_id: bytes, value: Value, version: tuple[int, int],
               window: int, uses: int, now: int, *, uid: int, people: list[tuple[str, str]], request: bytes) -> int: ...
        # takes the value's memory over; counts the delivery as the first use. Returns the lease number.
    def find(self, client: str, path: str, scopes: list[tuple[str, bytes]], now: int) -> int | None: ...
        # the live lease of the first matching scope; None is a miss. Counts nothing.
    def deliver(self, number: int, scope_id: bytes, fd: int, now: int) -> tuple[int, int]: ...
        # window, uses and scope looked at again (lease-window, lease-uses, lease-scope), the value written to `fd`, the use
        # counted. Returns (bytes written, seconds left).
    def value_length(self, number: int) -> int: ...
    def expire(self, now: int) -> list[tuple[int, str]]: ...  # (number, reason) of what ended; wiped
    def evict(self, *, number: int | None = None, client: str | None = None, path: str | None = None,
              below: tuple[int, int] | None = None, device: tuple[str, str] | None = None, uid: int | None = None,
              scope_id: bytes | None = None) -> list[int]: ...  # all given terms must match; no term: everything
    def list(self, now: int) -> list[tuple[int, str, str, str, int, tuple[int, int], int, int, bytes]]: ...
        # (number, client, path, scope, uid, version, seconds left, uses so far, request oid)
    def __len__(self) -> int: ...

def lease_terms(policy: bytes, sealed_policy: bytes, items: list[tuple[int, int]], request: tuple[int, int],
                *, reseal: bool = False) -> tuple[int, int, str]: ...  # (window, uses, scope); window 0 comes with uses 1
def is_interpreter(exe: str) -> bool: ...  # the fixed list: such an executable counts as `process` under scope `exe`

# ---- log (RFC 6962) ----------------------------------------------------------------------------------------------------

def leaf_hash(leaf: bytes) -> bytes: ...
def node_hash(left: bytes, right: bytes) -> bytes: ...

# ---- only in a build with the feature `vectors` --------------------------------------------------------------------------

def run_vector(op: str, input: bytes) -> bytes: ...  # JSON in, canonical-ish JSON out; raises Refused
