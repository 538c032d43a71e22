//! Entropy-coded data of JPEG-LS: after a byte of ones the next byte has seven bits (T.87 A.1).

use super::super::CodecError;
use super::super::jpeg::segments::damaged;

/// Bits, most significant first, up to the next marker.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    held: u64,
    count: u32,
    after_ones: bool,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, held: 0, count: 0, after_ones: false }
    }

    /// Fetches bytes until 32 bits are there, or the data end.
    fn fill(&mut self) {
        while self.count <= 48 {
            let Some((&byte, rest)) = self.bytes.split_first() else { break };
            let marker = byte == 0xff && rest.first().is_none_or(|&next| next >= 0x80);
            if marker || (self.after_ones && byte >= 0x80) {
                break;
            }
            let width = if self.after_ones { 7 } else { 8 };
            self.held = self.held << width | u64::from(byte);
            self.count += width;
            self.after_ones = byte == 0xff;
            self.bytes = rest;
        }
    }

    /// The next `count` bits, at most 32.
    pub(super) fn take(&mut self, count: u32) -> Result<u32, CodecError> {
        if self.count < count {
            self.fill();
        }
        self.count = self.count.checked_sub(count).ok_or_else(|| damaged("the data end too early"))?;
        Ok((self.held >> self.count & ((1 << count) - 1)) as u32)
    }

    /// A Golomb code of limited length (A.5.3): zeros, a one, `k` bits; or many zeros, a one, and `range_bits` bits.
    pub(super) fn golomb(&mut self, k: u32, limit: u32, range_bits: u32) -> Result<u32, CodecError> {
        let longest = limit.saturating_sub(range_bits + 1);
        let mut zeros = 0;
        while zeros <= longest {
            if self.count == 0 {
                self.fill();
            }
            let ahead = self.held << (64 - self.count.clamp(1, 63));
            let run = ahead.leading_zeros().min(self.count);
            zeros += run;
            self.count -= run;
            if self.count > 0 {
                break;
            }
            if run == 0 {
                return Err(damaged("the data end too early"));
            }
        }
        if zeros > longest {
            return Err(damaged("a code is longer than codes can be"));
        }
        self.take(1)?;
        if zeros < longest { Ok(zeros << k | self.take(k)?) } else { Ok(self.take(range_bits)? + 1) }
    }

    /// The bits after the next restart marker.
    pub(super) fn after_restart(&self) -> Result<Self, CodecError> {
        let mark = self.bytes.windows(2).position(|pair| matches!(*pair, [0xff, 0xd0..=0xd7]));
        let after = mark.and_then(|mark| self.bytes.get(mark + 2..));
        after.map(Self::new).ok_or_else(|| damaged("a restart mark is missing"))
    }
}
