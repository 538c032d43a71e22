//! Entropy-coded data: bits without stuffing, and Huffman codes (ISO/IEC 10918-1 annexes C and F.2.2).

use super::super::CodecError;
use super::segments::damaged;

/// Codes of up to this many bits are looked up in one step.
const QUICK_BITS: u32 = 9;

/// Bits of entropy-coded data, most significant first, up to the next marker.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    held: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, held: 0, count: 0 }
    }

    /// The next 16 bits without taking them; zeros where the data end.
    fn peek(&mut self) -> u32 {
        while self.count <= 48 {
            let (byte, width) = match *self.bytes {
                [0xff, 0, ..] => (0xff, 2),
                [0xff, ..] | [] => break,
                [byte, ..] => (byte, 1),
            };
            self.bytes = self.bytes.get(width..).unwrap_or_default();
            self.held = self.held << 8 | u64::from(byte);
            self.count += 8;
        }
        let bits = if self.count >= 16 { self.held >> (self.count - 16) } else { self.held << (16 - self.count) };
        bits as u32 & 0xffff
    }

    fn skip(&mut self, count: u32) -> Result<(), CodecError> {
        self.count = self.count.checked_sub(count).ok_or_else(|| damaged("the data end too early"))?;
        Ok(())
    }

    /// The next `count` bits, at most 16.
    pub(super) fn take(&mut self, count: u32) -> Result<u32, CodecError> {
        let bits = self.peek() >> (16 - count);
        self.skip(count)?;
        Ok(bits)
    }

    /// A number of `count` bits, of which the upper half of the codes are positive (F.2.2.1, RECEIVE and EXTEND).
    pub(super) fn signed(&mut self, count: u32) -> Result<i32, CodecError> {
        let bits = self.take(count)? as i32;
        Ok(if count > 0 && bits < 1 << (count - 1) { bits - (1 << count) + 1 } else { bits })
    }

    /// Steps over a restart marker, and what is left before it.
    pub(super) fn restart(&mut self) -> Result<(), CodecError> {
        let mark = self.bytes.windows(2).position(|pair| matches!(*pair, [0xff, 0xd0..=0xd7]));
        let after = mark.and_then(|mark| self.bytes.get(mark + 2..));
        self.bytes = after.ok_or_else(|| damaged("a restart mark is missing"))?;
        (self.held, self.count) = (0, 0);
        Ok(())
    }
}

/// A Huffman table, ready for decoding.
pub(super) struct Table {
    /// For each start of [`QUICK_BITS`] bits the symbol and its length, 0 where the code is longer.
    quick: Vec<(u8, u8)>,
    /// For each length the code after the last one, aligned to 16 bits, and what leads from a code to its symbol.
    ends: [(u32, i32); 17],
    symbols: Vec<u8>,
}

impl Table {
    /// Codes by their number for each length, and symbols in order of their codes.
    fn new(counts: &[u8; 16], symbols: &[u8]) -> Result<Self, CodecError> {
        let mut quick = vec![(0, 0); 1 << QUICK_BITS];
        let mut ends = [(0, 0); 17];
        let (mut code, mut first) = (0_u32, 0_usize);
        for (length, (&count, end)) in (1_u32..).zip(counts.iter().zip(ends.iter_mut().skip(1))) {
            let last = first + usize::from(count);
            for (&symbol, code) in symbols.get(first..last).unwrap_or_default().iter().zip(code..) {
                if length <= QUICK_BITS {
                    let spread = 1_usize << (QUICK_BITS - length);
                    let start = (code as usize) << (QUICK_BITS - length);
                    let places = quick.get_mut(start..start + spread);
                    places.ok_or_else(|| damaged("a Huffman table has too many codes"))?.fill((symbol, length as u8));
                }
            }
            let offset = first as i32 - code as i32;
            code += u32::from(count);
            if code > 1 << length {
                return Err(damaged("a Huffman table has too many codes"));
            }
            *end = (code << (16 - length), offset);
            code <<= 1;
            first = last;
        }
        Ok(Self { quick, ends, symbols: symbols.to_vec() })
    }

    /// The next symbol.
    pub(super) fn symbol(&self, bits: &mut Bits<'_>) -> Result<u8, CodecError> {
        let ahead = bits.peek();
        if let Some(&(symbol, length @ 1..)) = self.quick.get((ahead >> (16 - QUICK_BITS)) as usize) {
            bits.skip(length.into())?;
            return Ok(symbol);
        }
        let longer = (0_u32..).zip(&self.ends).skip(QUICK_BITS as usize + 1);
        for (length, &(end, offset)) in longer {
            if ahead < end {
                bits.skip(length)?;
                let place = (ahead >> (16 - length)) as i32 + offset;
                let symbol = usize::try_from(place).ok().and_then(|place| self.symbols.get(place));
                return symbol.copied().ok_or_else(|| damaged("a Huffman code has no symbol"));
            }
        }
        Err(damaged("there is no such Huffman code"))
    }
}

/// The tables of a stream: DC and lossless ones by their number, then AC ones.
#[derive(Default)]
pub(super) struct Tables {
    dc: [Option<Table>; 4],
    ac: [Option<Table>; 4],
}

impl Tables {
    /// Reads a segment that defines tables.
    pub(super) fn define(&mut self, mut payload: &[u8]) -> Result<(), CodecError> {
        while let Some((&[class, counts @ ..], rest)) = payload.split_first_chunk::<17>() {
            let total = counts.iter().map(|&count| usize::from(count)).sum();
            let symbols = rest.get(..total).ok_or_else(|| damaged("a Huffman table is incomplete"))?;
            let tables = if class >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            let place = tables.get_mut(usize::from(class & 15));
            *place.ok_or_else(|| damaged("a Huffman table has no valid number"))? = Some(Table::new(&counts, symbols)?);
            payload = rest.get(total..).unwrap_or_default();
        }
        Ok(())
    }

    /// A table for DC coefficients or lossless differences.
    pub(super) fn dc(&self, number: u8) -> Result<&Table, CodecError> {
        self.dc.get(usize::from(number)).and_then(Option::as_ref).ok_or_else(|| damaged("a Huffman table is missing"))
    }

    /// A table for AC coefficients.
    pub(super) fn ac(&self, number: u8) -> Result<&Table, CodecError> {
        self.ac.get(usize::from(number)).and_then(Option::as_ref).ok_or_else(|| damaged("a Huffman table is missing"))
    }
}
