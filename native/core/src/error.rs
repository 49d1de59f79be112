//! One refusal, one stable code. A check that fails returns [`Refusal`]; nothing returns `false`.

use core::fmt;

/// A check of the protocol that did not hold.
///
/// `code` is stable and named in docs/protocol.md; `detail` says which field or rule, and never holds a secret value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Which check refused.
    pub code: Code,
    /// The field or rule, in a few words.
    pub detail: String,
}

impl Refusal {
    /// A refusal by the check `code`.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.detail)
    }
}

impl std::error::Error for Refusal {}

/// The result of every check.
pub type Result<T> = core::result::Result<T, Refusal>;

macro_rules! codes {
    ($($variant:ident = $text:literal),+ $(,)?) => {
        /// The stable codes, one for each check.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "each code is described in docs/protocol.md")]
        pub enum Code { $($variant),+ }

        impl Code {
            /// Every code, for tests that hold the documents against the code.
            pub const ALL: &'static [Code] = &[$(Code::$variant),+];

            /// The text that scripts see.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$variant => $text),+ }
            }
        }
    };
}

codes! {
    // encoding
    Json = "json", Canonical = "canonical", Number = "number", Null = "null", Depth = "depth", Size = "size", Char = "char",
    Base64 = "base64", Field = "field", Path = "path", Type = "type",
    // signatures
    Alg = "alg", Signature = "signature", ClientData = "client-data", Challenge = "challenge", Origin = "origin",
    CrossOrigin = "cross-origin", RpId = "rp-id", Flags = "flags", Backup = "backup", Threshold = "threshold",
    // paths and policies
    NoMatch = "no-match", NoPolicy = "no-policy",
    // HPKE at the three places
    Open = "open", Stanza = "stanza", Release = "release",
    // root chain, roster, certificate
    Pin = "pin", RootChain = "root-chain", RootThreshold = "root-threshold", RootInvalid = "root-invalid",
    RosterThreshold = "roster-threshold", RosterRoot = "roster-root", RosterInvalid = "roster-invalid", Expired = "expired",
    Future = "future", Rollback = "rollback", Fork = "fork", Org = "org", Cert = "cert", CertThreshold = "cert-threshold",
    Revoked = "revoked", Scope = "scope", Purpose = "purpose", Hold = "hold",
    // request
    Clock = "clock", Replay = "replay", Ttl = "ttl", Suite = "suite", Ephemeral = "ephemeral", Grade = "grade",
    // secret and approver
    Sealer = "sealer", PathMismatch = "path-mismatch", Version = "version", Recipients = "recipients",
    NotRecipient = "not-recipient", NotApprover = "not-approver", Device = "device", Tier = "tier",
    // decision and release
    Verdict = "verdict", Item = "item", Index = "index", SamePerson = "same-person", Quorum = "quorum",
    StaleRoster = "stale-roster", Share = "share", Dek = "dek", Ciphertext = "ciphertext", Decrypt = "decrypt",
    Padding = "padding",
    // enrolment
    Invite = "invite",
    // leases
    LeaseWindow = "lease-window", LeaseUses = "lease-uses", LeaseScope = "lease-scope",
    // memory
    Memory = "memory",
}
