//! Randomness as an argument. The core draws none by itself: whoever calls it passes the source in, so that a test can repeat
//! a run and nobody can forget where the bytes came from. Outside tests the source is the operating system.

/// A source of uniform random bytes fit for keys.
///
/// It cannot fail: a caller whose source can fail has to stop (abort, unwind) rather than hand out weaker bytes.
pub trait Randomness {
    /// Fills `out` with uniform random bytes.
    fn fill(&mut self, out: &mut [u8]);
}

impl<F: FnMut(&mut [u8])> Randomness for F {
    fn fill(&mut self, out: &mut [u8]) {
        self(out);
    }
}
