//! Client certificates and requests: who asks for what, as the kernel saw it and as the caller says.

use super::Payload;
use super::fields::{
    Fields, Writer, array, bytes, exactly, hash, int, list, log_head, log_head_value, pair, pair_value, path, pattern, string,
    texts, words, wrong,
};
use crate::encoding::{Hash, Oid, Pair, Value};
use crate::error::Result;
use crate::keys::Key;

words! {
    /// How a daemon runs, in order: a `user` grade is below `system`.
    Grade {
        /// As a user's own process.
        User = "user",
        /// As a system service.
        System = "system",
    }
}

words! {
    /// What a request is for.
    Purpose {
        /// Delivery to the caller.
        Use = "use",
        /// Sealing again for new recipients.
        Reseal = "reseal",
    }
}

/// A client's certificate, signed by the admin threshold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCert {
    /// The pin.
    pub org: Oid,
    /// `host/db-1`, `agent/<name>`, `person/<id>`.
    pub subject: String,
    /// The host's name, shown.
    pub host: String,
    /// The signing key.
    pub key: Key,
    /// Patterns of what it may ask for.
    pub scopes: Vec<String>,
    /// The greatest grade that its observations may claim.
    pub grade: Grade,
    /// Unix seconds.
    pub issued: u64,
    /// Unix seconds.
    pub expires: u64,
}

impl ClientCert {
    /// The person of a `person/<id>` certificate.
    #[must_use]
    pub fn person(&self) -> Option<&str> {
        self.subject.strip_prefix("person/")
    }
}

impl Payload for ClientCert {
    const NAME: &'static str = "client-cert";

    fn from_value(value: Value) -> Result<Self> {
        let mut f = Fields::open("client-cert", value)?;
        let cert = Self {
            org: f.take("org", hash)?,
            subject: f.take("subject", path)?,
            host: f.take("host", string)?,
            key: f.take("key", Key::read_client)?,
            scopes: f.take("scopes", list(pattern))?,
            grade: f.take("grade", Grade::read)?,
            issued: f.take("issued", int)?,
            expires: f.take("expires", int)?,
        };
        f.close()?;
        Ok(cert)
    }

    fn to_value(&self) -> Value {
        Writer::default()
            .with("org", Value::bytes(&self.org))
            .with("subject", Value::text(&self.subject))
            .with("host", Value::text(&self.host))
            .with("key", self.key.value())
            .with("scopes", texts(&self.scopes))
            .with("grade", self.grade.value())
            .with("issued", Value::Int(self.issued))
            .with("expires", Value::Int(self.expires))
            .done()
    }
}

/// An ancestor of the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The executable, in visible form.
    pub exe: String,
    /// Its digest.
    pub exe_sha256: Hash,
}

/// What the kernel says about the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// The host's own name for itself.
    pub host: String,
    /// The account's number.
    pub uid: u64,
    /// The account.
    pub user: String,
    /// The executable, in visible form.
    pub exe: String,
    /// Its digest.
    pub exe_sha256: Hash,
    /// Ancestors, nearest first, at most [`Observed::MAX_CHAIN`].
    pub chain: Vec<Link>,
    /// The systemd unit.
    pub unit: Option<String>,
    /// The container.
    pub container: Option<String>,
    /// How the daemon runs.
    pub grade: Grade,
}

impl Observed {
    /// Ancestors that a request names at most.
    pub const MAX_CHAIN: usize = 8;

    fn read(value: Value) -> Result<Self> {
        let link = |v| {
            let mut f = Fields::open("link", v)?;
            let link = Link { exe: f.take("exe", string)?, exe_sha256: f.take("exe_sha256", hash)? };
            f.close()?;
            Ok(link)
        };
        let mut f = Fields::open("observed", value)?;
        let observed = Self {
            host: f.take("host", string)?,
            uid: f.take("uid", int)?,
            user: f.take("user", string)?,
            exe: f.take("exe", string)?,
            exe_sha256: f.take("exe_sha256", hash)?,
            chain: f.take("chain", list(link))?,
            unit: f.maybe("unit", string)?,
            container: f.maybe("container", string)?,
            grade: f.take("grade", Grade::read)?,
        };
        f.close()?;
        if observed.chain.len() > Self::MAX_CHAIN {
            return Err(wrong("observed.chain", "at most 8 ancestors"));
        }
        Ok(observed)
    }

    fn value(&self) -> Value {
        let link =
            |l: &Link| Writer::default().with("exe", Value::text(&l.exe)).with("exe_sha256", Value::bytes(&l.exe_sha256)).done();
        Writer::default()
            .with("host", Value::text(&self.host))
            .with("uid", Value::Int(self.uid))
            .with("user", Value::text(&self.user))
            .with("exe", Value::text(&self.exe))
            .with("exe_sha256", Value::bytes(&self.exe_sha256))
            .with("chain", array(&self.chain, link))
            .maybe("unit", self.unit.as_deref().map(Value::text))
            .maybe("container", self.container.as_deref().map(Value::text))
            .with("grade", self.grade.value())
            .done()
    }
}

/// What the caller says about itself. Never mixed with [`Observed`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Claimed {
    /// The command to be run.
    pub argv: Option<Vec<String>>,
    /// Why.
    pub reason: Option<String>,
}

impl Claimed {
    fn read(value: Value) -> Result<Self> {
        let mut f = Fields::open("claimed", value)?;
        let claimed = Self { argv: f.maybe("argv", list(string))?, reason: f.maybe("reason", string)? };
        f.close()?;
        Ok(claimed)
    }

    fn value(&self) -> Value {
        Writer::default()
            .maybe("argv", self.argv.as_deref().map(texts))
            .maybe("reason", self.reason.as_deref().map(Value::text))
            .done()
    }
}

/// A client asks for one secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The pin.
    pub org: Oid,
    /// Random.
    pub id: [u8; 16],
    /// Oid of the client certificate.
    pub client: Oid,
    /// What is asked for.
    pub path: String,
    /// The least `(version, revision)` that serves.
    pub minimum: Pair,
    /// The cipher suite; looked at by the verifier (`suite`).
    pub suite: String,
    /// The key that releases are sealed to; looked at by the verifier (`ephemeral`).
    pub ephemeral: Vec<u8>,
    /// Unix seconds.
    pub issued: u64,
    /// Unix seconds.
    pub expires: u64,
    /// Seconds of lease that are asked for.
    pub window: u64,
    /// Uses that are asked for; 0 is no limit.
    pub uses: u64,
    /// The roster that the client saw.
    pub roster: Pair,
    /// The log head that the client saw.
    pub log_head: Option<(u64, Hash)>,
    /// What for.
    pub purpose: Purpose,
    /// From the kernel.
    pub observed: Observed,
    /// From the caller.
    pub claimed: Claimed,
}

impl Payload for Request {
    const NAME: &'static str = "request";

    fn from_value(value: Value) -> Result<Self> {
        let mut f = Fields::open("request", value)?;
        let request = Self {
            org: f.take("org", hash)?,
            id: f.take("id", exactly)?,
            client: f.take("client", hash)?,
            path: f.take("path", path)?,
            minimum: f.take("minimum", pair)?,
            suite: f.take("suite", string)?,
            ephemeral: f.take("ephemeral", bytes)?,
            issued: f.take("issued", int)?,
            expires: f.take("expires", int)?,
            window: f.take("window", int)?,
            uses: f.take("uses", int)?,
            roster: f.take("roster", pair)?,
            log_head: f.maybe("log_head", log_head)?,
            purpose: f.take("purpose", Purpose::read)?,
            observed: f.take("observed", Observed::read)?,
            claimed: f.take("claimed", Claimed::read)?,
        };
        f.close()?;
        Ok(request)
    }

    fn to_value(&self) -> Value {
        Writer::default()
            .with("org", Value::bytes(&self.org))
            .with("id", Value::bytes(&self.id))
            .with("client", Value::bytes(&self.client))
            .with("path", Value::text(&self.path))
            .with("minimum", pair_value(self.minimum))
            .with("suite", Value::text(&self.suite))
            .with("ephemeral", Value::bytes(&self.ephemeral))
            .with("issued", Value::Int(self.issued))
            .with("expires", Value::Int(self.expires))
            .with("window", Value::Int(self.window))
            .with("uses", Value::Int(self.uses))
            .with("roster", pair_value(self.roster))
            .maybe("log_head", self.log_head.as_ref().map(log_head_value))
            .with("purpose", self.purpose.value())
            .with("observed", self.observed.value())
            .with("claimed", self.claimed.value())
            .done()
    }
}
