//! `stillvault._native`: the Rust core as Python sees it (`stillvault/_native.pyi` says what each name does).
//!
//! Thin by intent: convert the arguments, let other threads go on, call the core, convert the result. No rule of the protocol
//! stands here. What is added is the operating system: its randomness ([`random`]) and its descriptors ([`values`]).

#![deny(unsafe_code)] // `descriptors` alone lifts this, once, and says why.
#![allow(clippy::needless_pass_by_value, reason = "an argument of a Python function is converted into a value of its own")]

use pyo3::prelude::*;

mod approver;
mod client;
mod descriptors;
mod encoding;
mod errors;
mod keys;
mod leases;
mod random;
mod recovery;
mod releases;
mod seal;
mod trust;
mod values;
#[cfg(feature = "vectors")]
mod vectors;

/// The Rust core.
#[pymodule]
mod _native {
    use super::pyfunction;

    #[pymodule_export]
    use crate::approver::{Prompt, check_prompt, release_prompts};
    #[pymodule_export]
    use crate::client::{Ephemeral, Opened, open_releases, verify_denial};
    #[pymodule_export]
    use crate::encoding::{
        b64decode, b64encode, check_form, check_id, check_object, check_path, check_pattern, encode, leaf_hash, node_hash,
        oid_of, pattern_matches, payload_of, request_code, sha256, visible,
    };
    #[pymodule_export]
    use crate::keys::{KemKey, SigningKey, add_signature, kem_seal};
    #[pymodule_export]
    use crate::leases::{LeaseCache, is_interpreter, lease_terms};
    #[pymodule_export]
    use crate::recovery::open_recovered;
    #[pymodule_export]
    use crate::releases::{join_release, split_release};
    #[pymodule_export]
    use crate::seal::{Sealed, seal_value};
    #[pymodule_export]
    use crate::trust::{Cert, Decision, Enrol, Request, Secret, Trust, enrol_words, invite_terms, proof_info, verify_enrol};
    #[pymodule_export]
    use crate::values::{Value, harden_process, memory_kind};
    #[cfg(feature = "vectors")]
    #[pymodule_export]
    use crate::vectors::run_vector;

    /// What this build has beyond a released one.
    #[pyfunction]
    fn features() -> Vec<&'static str> {
        if cfg!(feature = "vectors") { vec!["vectors"] } else { vec![] }
    }

    #[pymodule_init]
    fn init() {
        crate::errors::quiet_panics();
    }
}
