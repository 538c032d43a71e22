//! From the bytes of a DICOM file to data elements (PS3.5 section 7, PS3.10 section 7).
//!
//! `dicom-object` is not used for reading: it allocates what an element header claims (gigabytes, from a damaged file,
//! end the tab) and follows nested sequences without a limit. This walk reads no value longer than the bytes at hand, stops at
//! the pixel data and remembers where they are, and accepts files without preamble or with a wrong transfer syntax.

use crate::ingest::source::SourceReader;
use crate::ingest::zip::{Deflated, Open, Range};
use crate::ingest::{ByteSource, limits};
use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

/// Values longer than this are stepped over: none that matters here is. A table of 65,536 values has this length.
const LONGEST_VALUE: u32 = 128 << 10;
/// Sequences in sequences; enhanced CT needs four.
const DEEPEST: usize = 12;
/// Most headers fit into one read.
const WINDOW_BYTES: usize = 32 << 10;
/// Elements and items kept of one file; enhanced CT of a thousand frames has some ten thousands.
const MOST_ELEMENTS: usize = 500_000;
/// Retired from the standard, and still in archives.
pub(super) const EXPLICIT_BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";
const UNDEFINED: u32 = u32::MAX;

const ITEM: Tag = Tag(0xfffe, 0xe000);
const ITEM_END: Tag = Tag(0xfffe, 0xe00d);
const SEQUENCE_END: Tag = Tag(0xfffe, 0xe0dd);

/// Sequences that are looked into; implicit VR does not tell them from other values.
const SEQUENCES: [Tag; 9] = [
    tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
    tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
    tags::PLANE_POSITION_SEQUENCE,
    tags::PLANE_ORIENTATION_SEQUENCE,
    tags::PIXEL_MEASURES_SEQUENCE,
    tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE,
    tags::CT_IMAGE_FRAME_TYPE_SEQUENCE,
    tags::MODALITY_LUT_SEQUENCE,
    tags::DIRECTORY_RECORD_SEQUENCE,
];

/// What went wrong in a data set.
#[derive(Debug, thiserror::Error)]
pub(super) enum ElementError {
    #[error("the data end inside element {0}")]
    EndsInside(Tag),
    #[error("sequences are nested more than {DEEPEST} deep")]
    TooDeep,
    #[error("it has more than {MOST_ELEMENTS} data elements")]
    TooMany,
    #[error("there is no item where sequence {0} should have one")]
    NoItem(Tag),
    #[error("there is no data element in it")]
    Nothing,
    #[error("reading: {0}")]
    Io(#[from] io::Error),
}

/// How numbers and element headers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Encoding {
    explicit: bool,
    big_endian: bool,
}

const IMPLICIT_LITTLE: Encoding = Encoding { explicit: false, big_endian: false };
const EXPLICIT_LITTLE: Encoding = Encoding { explicit: true, big_endian: false };
const EXPLICIT_BIG: Encoding = Encoding { explicit: true, big_endian: true };

enum Value {
    Bytes(Vec<u8>),
    Items(Vec<DataSet>),
    /// Present, but too long to be of interest.
    Long,
}

/// Data elements by tag.
#[derive(Default)]
pub(super) struct DataSet {
    elements: BTreeMap<Tag, Value>,
    big_endian: bool,
}

impl DataSet {
    pub(super) fn has(&self, tag: Tag) -> bool {
        self.elements.contains_key(&tag)
    }

    fn bytes(&self, tag: Tag) -> Option<&[u8]> {
        match self.elements.get(&tag) {
            Some(Value::Bytes(bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// A text value without padding; `None` if it is absent or empty.
    pub(super) fn text(&self, tag: Tag) -> Option<String> {
        let text = String::from_utf8_lossy(self.bytes(tag)?);
        let text = text.trim_matches(|c: char| c == '\0' || c.is_whitespace());
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// Values separated by backslashes.
    pub(super) fn texts(&self, tag: Tag) -> Vec<String> {
        self.text(tag).map(|text| text.split('\\').map(|part| part.trim().to_owned()).collect()).unwrap_or_default()
    }

    /// Decimal strings; `None` unless there are exactly `N` finite numbers.
    pub(super) fn decimals<const N: usize>(&self, tag: Tag) -> Option<[f64; N]> {
        let numbers: Vec<f64> = self.texts(tag).iter().map(|text| text.parse()).collect::<Result<_, _>>().ok()?;
        numbers.try_into().ok().filter(|numbers: &[f64; N]| numbers.iter().all(|number| number.is_finite()))
    }

    pub(super) fn decimal(&self, tag: Tag) -> Option<f64> {
        self.texts(tag).first()?.parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// 16-bit unsigned numbers, a last odd byte left out; none if the element is absent.
    pub(super) fn shorts(&self, tag: Tag) -> Vec<u16> {
        let (pairs, _) = self.bytes(tag).unwrap_or_default().as_chunks();
        let number =
            |&bytes: &[u8; 2]| if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) };
        pairs.iter().map(number).collect()
    }

    /// A 16-bit unsigned number.
    pub(super) fn short(&self, tag: Tag) -> Option<u16> {
        let bytes = *self.bytes(tag)?.first_chunk()?;
        Some(if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    pub(super) fn items(&self, tag: Tag) -> &[DataSet] {
        match self.elements.get(&tag) {
            Some(Value::Items(items)) => items,
            _ => &[],
        }
    }

    pub(super) fn first_item(&self, tag: Tag) -> Option<&DataSet> {
        self.items(tag).first()
    }
}

/// Where the pixel data are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PixelLocation {
    /// Tag of the element: integers, floats or doubles.
    pub(super) tag: Tag,
    /// First byte of the value.
    pub(super) offset: u64,
    /// Bytes; `None` where they are encapsulated in fragments.
    pub(super) length: Option<u64>,
}

/// A file up to its pixel data.
pub(super) struct Parsed {
    pub(super) data: DataSet,
    pub(super) transfer_syntax: String,
    pub(super) big_endian: bool,
    pub(super) pixels: Option<PixelLocation>,
    /// Where [`PixelLocation`] counts: the file, or what a deflated data set unpacked to.
    pub(super) source: Arc<dyn ByteSource>,
    /// The data set ended inside an element; what came before is in `data`.
    pub(super) cut: Option<ElementError>,
}

/// Parses a file up to its pixel data.
///
/// A deflated data set is inflated anew whenever it is read, so that a drop of them takes up no memory.
#[expect(clippy::arc_with_non_send_sync, reason = "byte sources are `Arc` by contract; browser files cannot be sent")]
pub(super) fn parse(source: &Arc<dyn ByteSource>, open: &Open) -> Result<Parsed, ElementError> {
    let head = source.read_at(0, 132)?;
    let start = if head.get(128..) == Some(b"DICM") {
        132
    } else if head.starts_with(b"DICM") {
        4
    } else {
        0
    };
    let mut walk = Walk::new(source.as_ref(), start, EXPLICIT_LITTLE)?;
    let mut meta = DataSet::default();
    while walk.peek()?.is_some_and(|peeked| peeked.starts_with(&[0x02, 0x00])) {
        walk.element(&mut meta, 0)?;
    }
    let transfer_syntax = meta.text(tags::TRANSFER_SYNTAX_UID);
    let position = walk.position;
    if transfer_syntax.as_deref() == Some(uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN) {
        // Some writers put the header of RFC 1950 before the bytes, which PS3.5 annex A.5 does not have.
        let head = source.read_at(position, 2)?;
        let has_header = matches!(*head, [0x78, flags] if (0x7800 + u16::from(flags)) % 31 == 0);
        let position = position + if has_header { 2 } else { 0 };
        let packed = Range::new(source, position, source.len().saturating_sub(position));
        // What a cut stream gives is parsed as far as it goes.
        let limit = limits::unpacked_bytes(source.len());
        let inflated: Arc<dyn ByteSource> = Arc::new(Deflated::measured(packed, limit, open));
        return data_set(&inflated, 0, transfer_syntax);
    }
    data_set(source, position, transfer_syntax)
}

fn data_set(source: &Arc<dyn ByteSource>, start: u64, syntax: Option<String>) -> Result<Parsed, ElementError> {
    let first = source.read_at(start, 6)?;
    let encoding = encoding(syntax.as_deref(), &first);
    let mut walk = Walk::new(source.as_ref(), start, encoding)?;
    let mut data = DataSet { big_endian: encoding.big_endian, ..DataSet::default() };
    let mut pixels = None;
    let cut = loop {
        match walk.peek() {
            Ok(Some(_)) => {}
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
        match walk.element(&mut data, 0) {
            Ok(None) => {}
            Ok(Some(location)) => {
                pixels = Some(location);
                break None;
            }
            Err(error) => break Some(error),
        }
    };
    if data.elements.is_empty() {
        return Err(cut.unwrap_or(ElementError::Nothing));
    }
    let default = if encoding.explicit { uids::EXPLICIT_VR_LITTLE_ENDIAN } else { uids::IMPLICIT_VR_LITTLE_ENDIAN };
    Ok(Parsed {
        data,
        transfer_syntax: syntax.unwrap_or_else(|| default.to_owned()),
        big_endian: encoding.big_endian,
        pixels,
        source: Arc::clone(source),
        cut,
    })
}

/// The stated encoding, unless the first element contradicts it: some writers state one and write another.
fn encoding(syntax: Option<&str>, first: &[u8]) -> Encoding {
    let looks_explicit = first.get(4..6).is_some_and(|vr| vr.iter().all(u8::is_ascii_uppercase));
    let looks_big = matches!(first, [0, group, ..] if *group != 0);
    match syntax {
        Some(EXPLICIT_BIG_ENDIAN) => EXPLICIT_BIG,
        None if looks_big => EXPLICIT_BIG,
        _ if looks_explicit => EXPLICIT_LITTLE,
        _ => IMPLICIT_LITTLE,
    }
}

struct Walk<'a> {
    reader: SourceReader<'a>,
    position: u64,
    end: u64,
    encoding: Encoding,
    elements_left: usize,
}

impl<'a> Walk<'a> {
    fn new(source: &'a dyn ByteSource, start: u64, encoding: Encoding) -> Result<Self, ElementError> {
        let mut reader = SourceReader::new(source, WINDOW_BYTES);
        reader.seek(SeekFrom::Start(start))?;
        Ok(Self { reader, position: start, end: source.len(), encoding, elements_left: MOST_ELEMENTS })
    }

    fn take<const N: usize>(&mut self, tag: Tag) -> Result<[u8; N], ElementError> {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes).map_err(|error| inside(tag, error))?;
        self.position += N as u64;
        Ok(bytes)
    }

    fn seek(&mut self, position: u64) -> Result<(), ElementError> {
        self.position = self.reader.seek(SeekFrom::Start(position))?;
        Ok(())
    }

    /// The next bytes without taking them; `None` at the end or before trailing padding too short for an element.
    fn peek(&mut self) -> Result<Option<[u8; 4]>, ElementError> {
        if self.position.saturating_add(8) > self.end {
            return Ok(None);
        }
        let position = self.position;
        let bytes = self.take(ITEM)?;
        self.seek(position)?;
        Ok(Some(bytes))
    }

    fn tag(&mut self) -> Result<Tag, ElementError> {
        let bytes: [u8; 4] = self.take(ITEM)?;
        let [g0, g1, e0, e1] = bytes;
        Ok(if self.encoding.big_endian {
            Tag(u16::from_be_bytes([g0, g1]), u16::from_be_bytes([e0, e1]))
        } else {
            Tag(u16::from_le_bytes([g0, g1]), u16::from_le_bytes([e0, e1]))
        })
    }

    fn long(&mut self, tag: Tag) -> Result<u32, ElementError> {
        let bytes = self.take(tag)?;
        Ok(if self.encoding.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    /// The value representation (implicit: none) and the length of element `tag`.
    fn vr_and_length(&mut self, tag: Tag) -> Result<([u8; 2], u32), ElementError> {
        if !self.encoding.explicit {
            return Ok(([0; 2], self.long(tag)?));
        }
        let [v0, v1, l0, l1]: [u8; 4] = self.take(tag)?;
        let vr = [v0, v1];
        match &vr {
            b"OB" | b"OD" | b"OF" | b"OL" | b"OV" | b"OW" | b"SQ" | b"SV" | b"UC" | b"UN" | b"UR" | b"UT" | b"UV" => {
                Ok((vr, self.long(tag)?))
            }
            _ if v0.is_ascii_uppercase() && v1.is_ascii_uppercase() => {
                let length =
                    if self.encoding.big_endian { u16::from_be_bytes([l0, l1]) } else { u16::from_le_bytes([l0, l1]) };
                Ok((vr, u32::from(length)))
            }
            // Not a value representation: an element written as implicit VR amid explicit ones.
            _ => Ok(([0; 2], u32::from_le_bytes([v0, v1, l0, l1]))),
        }
    }

    /// Reads one element into `data`; at top level, stops at the pixel data and says where they are.
    fn element(&mut self, data: &mut DataSet, depth: usize) -> Result<Option<PixelLocation>, ElementError> {
        if depth > DEEPEST {
            return Err(ElementError::TooDeep);
        }
        self.count()?;
        data.big_endian = self.encoding.big_endian;
        let tag = self.tag()?;
        let (vr, length) = self.vr_and_length(tag)?;
        let is_pixels = matches!(tag, tags::PIXEL_DATA | tags::FLOAT_PIXEL_DATA | tags::DOUBLE_FLOAT_PIXEL_DATA);
        if is_pixels && depth == 0 {
            let length = (length != UNDEFINED).then_some(u64::from(length));
            return Ok(Some(PixelLocation { tag, offset: self.position, length }));
        }
        if is_pixels && length == UNDEFINED {
            self.skip_fragments(tag)?;
            return Ok(None);
        }
        if length == UNDEFINED || &vr == b"SQ" || SEQUENCES.contains(&tag) {
            let items = self.sequence(tag, vr, length, depth + 1)?;
            data.elements.insert(tag, Value::Items(items));
            return Ok(None);
        }
        let end = self.position.saturating_add(u64::from(length));
        if end > self.end {
            return Err(ElementError::EndsInside(tag));
        }
        if length > LONGEST_VALUE {
            self.seek(end)?;
            data.elements.insert(tag, Value::Long);
            return Ok(None);
        }
        let mut value = vec![0; length as usize];
        self.reader.read_exact(&mut value).map_err(|error| inside(tag, error))?;
        self.position = end;
        data.elements.insert(tag, Value::Bytes(value));
        Ok(None)
    }

    fn sequence(&mut self, tag: Tag, vr: [u8; 2], length: u32, depth: usize) -> Result<Vec<DataSet>, ElementError> {
        if depth > DEEPEST {
            return Err(ElementError::TooDeep);
        }
        let outer = self.encoding;
        // PS3.5 section 6.2.2: sequences of unknown VR and undefined length are written as implicit little endian.
        if &vr == b"UN" {
            self.encoding = IMPLICIT_LITTLE;
        }
        let end = if length == UNDEFINED { self.end } else { self.position.saturating_add(u64::from(length)) };
        if end > self.end {
            return Err(ElementError::EndsInside(tag));
        }
        let result = self.items(tag, end, length == UNDEFINED, depth);
        self.encoding = outer;
        match result {
            // A sequence of stated length that is no good is stepped over.
            Err(ElementError::NoItem(_) | ElementError::EndsInside(_)) if length != UNDEFINED => {
                self.seek(end)?;
                Ok(Vec::new())
            }
            result => result,
        }
    }

    fn items(&mut self, tag: Tag, end: u64, delimited: bool, depth: usize) -> Result<Vec<DataSet>, ElementError> {
        let mut items = Vec::new();
        while delimited || self.position < end {
            let item = self.tag()?;
            let length = self.long(tag)?;
            match item {
                ITEM => items.push(self.item(length, end, depth)?),
                SEQUENCE_END => break,
                _ => return Err(ElementError::NoItem(tag)),
            }
        }
        Ok(items)
    }

    fn item(&mut self, length: u32, sequence_end: u64, depth: usize) -> Result<DataSet, ElementError> {
        let end = if length == UNDEFINED {
            sequence_end
        } else {
            self.position.saturating_add(u64::from(length)).min(sequence_end)
        };
        self.count()?;
        let mut item = DataSet::default();
        while self.position < end {
            let Some(next) = self.peek()? else { break };
            if next == [0xfe, 0xff, 0x0d, 0xe0] || next == [0xff, 0xfe, 0xe0, 0x0d] {
                self.tag()?;
                self.long(ITEM_END)?;
                break;
            }
            self.element(&mut item, depth)?;
        }
        Ok(item)
    }

    fn count(&mut self) -> Result<(), ElementError> {
        self.elements_left = self.elements_left.checked_sub(1).ok_or(ElementError::TooMany)?;
        Ok(())
    }

    fn skip_fragments(&mut self, tag: Tag) -> Result<(), ElementError> {
        loop {
            let item = self.tag()?;
            let length = self.long(tag)?;
            match item {
                ITEM => self.seek(self.position.saturating_add(u64::from(length)).min(self.end))?,
                SEQUENCE_END => return Ok(()),
                _ => return Err(ElementError::NoItem(tag)),
            }
        }
    }
}

fn inside(tag: Tag, error: io::Error) -> ElementError {
    if error.kind() == io::ErrorKind::UnexpectedEof { ElementError::EndsInside(tag) } else { error.into() }
}
