//! Stored values mapped through a table (PS3.3 section C.11.1, Modality LUT module).

use super::elements::DataSet;
use dicom_dictionary_std::tags;

/// A table from stored values to the scale that [`ModalityLut::kind`] names.
pub(super) struct ModalityLut {
    /// Stored value that the first entry is for; values below have it as well.
    first: f64,
    /// Values above the last have the last. Never empty.
    values: Vec<f32>,
    /// What the values are: `HU`, `US` for unspecified, or something else.
    pub(super) kind: Option<String>,
}

impl ModalityLut {
    /// Reads an item of the Modality LUT Sequence; `signed` is how the pixels are stored.
    pub(super) fn read(item: &DataSet, signed: bool) -> Result<Self, &'static str> {
        let [count, first, bits] = *item.shorts(tags::LUT_DESCRIPTOR) else {
            return Err("maps its values through a table (Modality LUT) that does not state its size");
        };
        // 65,536 does not fit into the field.
        let count = if count == 0 { 1 << 16 } else { usize::from(count) };
        let words = item.shorts(tags::LUT_DATA);
        // Tables of 8 bits are stored in a word or in a byte an entry.
        let entries: Vec<u16> = if bits <= 8 && words.len() < count {
            words.iter().flat_map(|&word| [word & 0xff, word >> 8]).collect()
        } else {
            words
        };
        let values: Vec<f32> = entries.iter().take(count).copied().map(f32::from).collect();
        if values.len() < count {
            return Err("maps its values through a table (Modality LUT) that is cut short");
        }
        let first = if signed { f64::from(first as i16) } else { f64::from(first) };
        Ok(Self { first, values, kind: item.text(tags::MODALITY_LUT_TYPE) })
    }

    /// The value that `stored` stands for.
    pub(super) fn value(&self, stored: f64) -> f32 {
        // The cast takes what lies below to 0.
        let place = ((stored - self.first) as usize).min(self.values.len().saturating_sub(1));
        self.values.get(place).copied().unwrap_or_default()
    }
}
