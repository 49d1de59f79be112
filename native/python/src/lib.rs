//! `stillvault._native`: the Rust core as Python sees it.
use pyo3::prelude::*;

#[pymodule]
mod _native {
    use super::*;
    #[pyfunction]
    fn features() -> Vec<&'static str> {
        if cfg!(feature = "vectors") { vec!["vectors"] } else { vec![] }
    }
}
