//! The core of Stillvault: every byte that is signed, sealed, or held as plaintext goes through this crate.
//!
//! It is pure. No clock, no network, no file, no thread: `now` and random bytes are arguments, and time is unix seconds unless a
//! name says otherwise. Two exceptions: [`memory`] asks the kernel for pages, and AWS-LC draws the nonces of ES256 signatures from
//! its own generator. Nothing here panics on any input, and a check that fails returns a [`error::Refusal`] with the code that
//! `docs/protocol.md` gives to it; nothing returns `false`. Sections named in comments are those of that document.
//!
//! # Reading order
//!
//! | module | question |
//! |---|---|
//! | [`encoding`], [`form`], [`json`], [`text`], [`path`] | Are these bytes the one encoding of something? (section 2) |
//! | [`objects`] | What is it? One strict type for each object (section 4) |
//! | [`keys`], [`webauthn`], [`signed`] | Who signed it? (section 2) |
//! | [`roster`], [`trust`] | May they? From the pinned organisation id to people, devices, clients (sections 4 and 8) |
//! | [`enrol`] | How does somebody join? (section 11) |
//! | [`hpke`], [`shares`], [`payload`], [`seal`] | How is a secret closed? (sections 3 and 5) |
//! | [`secret`], [`approver`], [`release`], [`client`] | What is checked before it is opened? (sections 7 and 8) |
//! | [`recovery`] | And with the keys on paper, when nobody can answer? (section 11) |
//! | [`memory`], [`value`], [`lease`] | Where does plaintext live, and for how long? (section 10) |
//!
//! # What to use
//!
//! Bytes from outside become a [`signed::Signed`], that becomes a [`signed::Verified`] through a [`trust::Trust`], and only a
//! `Verified` value may be acted upon. [`signed::Signed::peek`] is for routing. To make an object, build its type, call
//! [`objects::Payload::encode`], then [`signed::Signed::sign`]; both hold the producer to the receiver's rules.
//!
//! # What is not here
//!
//! X.509 and attestation statements, key files, the log's checkpoints, the life of a request at the relay, and identifying the
//! calling process: those are Python, outside this crate.

#![deny(unsafe_code)] // `memory` alone lifts this, and says why.

pub mod approver;
pub mod client;
pub mod encoding;
pub mod enrol;
pub mod error;
pub mod form;
pub mod hpke;
pub mod json;
pub mod keys;
pub mod lease;
pub mod memory;
pub mod objects;
pub mod path;
pub mod payload;
pub mod random;
pub mod recovery;
pub mod release;
pub mod roster;
pub mod seal;
pub mod secret;
pub mod shares;
pub mod signed;
#[cfg(test)]
mod standards;
pub mod text;
pub mod trust;
pub mod value;
#[cfg(feature = "vectors")]
pub mod vectors;
pub mod webauthn;
