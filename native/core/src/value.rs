//! A secret's plaintext. It is born padded and in secret memory, is encrypted from there and decrypted to there, and goes out
//! through a descriptor; nothing copies it on the way.

use core::fmt;
use core::ops::Range;

use crate::error::Result;
use crate::memory::SecretBytes;
use crate::payload::{pad, padded_length, unpad};

/// The plaintext of one secret, at most 60 KiB, wiped on drop. `Debug` shows nothing of it, not even the length.
pub struct Value {
    padded: SecretBytes,
    data: Range<usize>,
}

impl Value {
    /// Copies `data` into secret memory; the caller's copy stays with the caller. Above 60 KiB: `size`.
    pub fn new(data: &[u8]) -> Result<Self> {
        let mut padded = SecretBytes::new(padded_length(data.len())?)?;
        pad(data, padded.expose_mut()?)?;
        Self::from_padded(padded)
    }

    /// Takes a padded value over. `padding` unless the padding is strict.
    pub(crate) fn from_padded(padded: SecretBytes) -> Result<Self> {
        let data = unpad(padded.expose()?)?;
        Ok(Self { padded, data })
    }

    /// Bytes of the value.
    #[must_use]
    pub fn length(&self) -> usize {
        self.data.len()
    }

    /// The plaintext itself: for the write to the caller's descriptor, and for nothing that keeps it.
    pub fn expose(&self) -> Result<&[u8]> {
        Ok(self.padded.expose()?.get(self.data.clone()).unwrap_or_default())
    }

    /// The padded form, to be encrypted.
    pub(crate) fn padded(&self) -> Result<&[u8]> {
        self.padded.expose()
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Value(..)")
    }
}
