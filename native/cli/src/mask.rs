//! Masking of a stream: each stretch of bytes that belongs to a value, in one of its forms, is replaced by a fixed text.
//!
//! A seat belt, not a wall. It catches what a program prints by accident; a program that wants to show a value in another form can.
//!
//! What is promised: the result does not depend on how the stream was cut into pieces. For that, bytes are held back as long as
//! they may still be the beginning of a value, and no longer; at the end of the stream the rest comes out. Overlapping finds are
//! one mask, so that no end of a value peeks out from under another.

use zeroize::Zeroizing;

use crate::forms;

/// What stands where a value was.
pub const MASK: &[u8] = b"<concealed by stillvault>";
/// Shorter values are not looked for, in bytes: they would match by chance.
pub const SHORTEST: usize = 6;

/// All forms of all values, sorted by their first bytes, the longest first among equals.
pub struct Patterns {
    all: Vec<forms::Secret>,
    /// Which pairs of bytes begin a form.
    pairs: Zeroizing<Vec<bool>>,
    longest: usize,
}

impl Patterns {
    /// The forms of `values`.
    pub fn new<'a>(values: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut all: Vec<_> = values.flat_map(|value| forms::all(value, SHORTEST)).collect();
        all.sort_unstable_by(|a, b| {
            head(a).cmp(head(b)).then_with(|| b.len().cmp(&a.len())).then_with(|| a.as_slice().cmp(b.as_slice()))
        });
        all.dedup();
        let mut pairs = Zeroizing::new(vec![false; 1 << 16]);
        for form in &all {
            if let Some(slot) = form.first_chunk::<2>().and_then(|pair| pairs.get_mut(pair_index(*pair))) {
                *slot = true;
            }
        }
        let longest = all.iter().map(|form| form.len()).max().unwrap_or(0);
        Self { all, pairs, longest }
    }

    /// How many bytes may be held back at most.
    pub fn longest(&self) -> usize {
        self.longest
    }

    fn begins(&self, rest: &[u8]) -> bool {
        match rest.first_chunk::<2>() {
            Some(pair) => self.pairs.get(pair_index(*pair)).copied().unwrap_or(false),
            None => true,
        }
    }

    /// What begins at the start of `rest`.
    fn at(&self, rest: &[u8], ended: bool) -> Found {
        if rest.len() < SHORTEST {
            let begun = !ended && self.all.iter().any(|form| form.starts_with(rest));
            return if begun { Found::Perhaps } else { Found::Nothing };
        }
        let wanted = head(rest);
        let start = self.all.partition_point(|form| head(form) < wanted);
        for form in self.all.iter().skip(start).take_while(|form| head(form) == wanted) {
            if rest.starts_with(form) {
                return Found::Value(form.len());
            }
            if !ended && form.starts_with(rest) {
                return Found::Perhaps;
            }
        }
        Found::Nothing
    }
}

enum Found {
    Nothing,
    Perhaps,
    Value(usize),
}

fn head(bytes: &[u8]) -> &[u8] {
    bytes.get(..SHORTEST).unwrap_or(bytes)
}

fn pair_index(pair: [u8; 2]) -> usize {
    usize::from(u16::from_be_bytes(pair))
}

/// One stream on its way through.
pub struct Masker<'a> {
    patterns: &'a Patterns,
    held: forms::Secret,
    /// How many of the held bytes, from the first, belong to a value.
    covered: usize,
    inside: bool,
}

impl<'a> Masker<'a> {
    /// A stream that is fed at most `chunk` bytes at once.
    pub fn new(patterns: &'a Patterns, chunk: usize) -> Self {
        // All the room it will ever need: a buffer that grows leaves its old copy behind.
        let held = Zeroizing::new(Vec::with_capacity(patterns.longest() + chunk));
        Self { patterns, held, covered: 0, inside: false }
    }

    /// Takes the next bytes; appends to `out` what is certain.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.held.extend_from_slice(bytes);
        self.advance(false, out);
    }

    /// The stream has ended: appends the rest.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.advance(true, out);
    }

    fn advance(&mut self, ended: bool, out: &mut Vec<u8>) {
        let mut at = 0;
        while let Some((&byte, rest)) = self.held.get(at..).and_then(|rest| Some((rest.first()?, rest))) {
            if self.patterns.begins(rest) {
                match self.patterns.at(rest, ended) {
                    Found::Perhaps => break,
                    Found::Value(length) => self.covered = self.covered.max(at + length),
                    Found::Nothing => {}
                }
            }
            if at >= self.covered {
                out.push(byte);
            } else if !self.inside {
                out.extend_from_slice(MASK);
            }
            self.inside = at < self.covered;
            at += 1;
        }
        self.held.drain(..at);
        self.covered = self.covered.saturating_sub(at);
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a test may panic")]
mod tests {
    use super::*;

    fn masked(values: &[&[u8]], chunks: &[&[u8]]) -> String {
        let patterns = Patterns::new(values.iter().copied());
        let mut masker = Masker::new(&patterns, 1 << 16);
        let mut out = Vec::new();
        for chunk in chunks {
            masker.feed(chunk, &mut out);
        }
        masker.finish(&mut out);
        String::from_utf8_lossy(&out).replace("<concealed by stillvault>", "*")
    }

    #[test]
    fn a_value_is_masked_however_the_stream_is_cut() {
        let text = b"a swordfish b c3dvcmRmaXNo c 73776f726466697368 d sword e";
        let whole = masked(&[b"swordfish"], &[text]);
        assert_eq!(whole, "a * b * c * d sword e");
        for first in 0..text.len() {
            for second in first..text.len() {
                let cut = masked(&[b"swordfish"], &[&text[..first], &text[first..second], &text[second..]]);
                assert_eq!(cut, whole, "{first} {second}");
            }
        }
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(masked(&[b"swordfish"], &bytes), whole);
    }

    #[test]
    fn overlapping_values_are_one_mask() {
        assert_eq!(masked(&[b"abcdefgh", b"efghijkl"], &[b"-abcdefghijkl-"]), "-*-");
        assert_eq!(masked(&[b"abcdefgh", b"abcdefghijkl"], &[b"-abcdefghij", b"kl-"]), "-*-");
        assert_eq!(masked(&[b"aaaaaa"], &[b"-aaaaaaaaa-aaaaa-"]), "-*-aaaaa-");
    }

    #[test]
    fn only_a_beginning_is_held_back() {
        let patterns = Patterns::new([&b"swordfish"[..]].into_iter());
        let mut masker = Masker::new(&patterns, 64);
        let mut out = Vec::new();
        masker.feed(b"password: sw", &mut out);
        assert_eq!(out, b"password: ");
        masker.feed(b"ing", &mut out);
        assert_eq!(out, b"password: swing");
    }

    #[test]
    fn any_cut_of_any_text_gives_the_same() {
        // xorshift: a fixed sequence, no clock and no device.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state >> 33).unwrap_or(0) % below
        };
        for _ in 0..300 {
            let values: Vec<Vec<u8>> =
                (0..=random(3)).map(|_| (0..6 + random(6)).map(|_| b"ab/\n"[random(4)]).collect()).collect();
            let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
            let mut text = Vec::new();
            for _ in 0..random(12) {
                match random(3) {
                    0 => text.extend_from_slice(values[random(values.len())]),
                    1 => text.extend_from_slice(&forms::base64(values[random(values.len())], forms::STANDARD)),
                    _ => text.extend((0..random(9)).map(|_| b"ab/\n"[random(4)])),
                }
            }
            let whole = masked(&values, &[&text]);
            let mut chunks = Vec::new();
            let mut rest = text.as_slice();
            while !rest.is_empty() {
                let (chunk, after) = rest.split_at(1 + random(rest.len()));
                chunks.push(chunk);
                rest = after;
            }
            assert_eq!(masked(&values, &chunks), whole);
            for value in &values {
                let shown = String::from_utf8_lossy(value).trim_end_matches('\n').to_owned();
                assert!(shown.len() < 6 || !whole.contains(&shown), "{whole:?} {shown:?}");
            }
        }
    }
}
