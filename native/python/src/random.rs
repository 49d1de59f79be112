//! The operating system's randomness, handed to the core, which draws none by itself.

use stillvault_core::random::Randomness;

/// getrandom(2). A system that gives none stops the call: [`crate::errors`] makes an exception of it.
pub struct Os;

impl Randomness for Os {
    fn fill(&mut self, out: &mut [u8]) {
        // Weaker bytes would be worse than none, and the trait knows no error.
        assert!(getrandom::fill(out).is_ok(), "the operating system gives no randomness");
    }
}
