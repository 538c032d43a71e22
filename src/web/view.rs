//! What the viewer shows of a scan.

use super::shelf::Entry;
use crate::assess::{brightest, heat};
use crate::ingest::{OrderBasis, Scan};
use crate::network::LayerMaps;
use crate::volume::{Orientation, ValueScale, Volume};
use serde::Serialize;
use wasm_bindgen::prelude::wasm_bindgen;

/// Longest side of a thumbnail in pixels.
const THUMBNAIL: usize = 112;

/// What the viewer needs to know of a volume before it asks for slices.
#[derive(Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other, as the page wants them")]
pub(super) struct View {
    slices: usize,
    rows: usize,
    columns: usize,
    slice_mm: Option<f32>,
    row_mm: Option<f32>,
    column_mm: Option<f32>,
    window: Option<Window>,
    hounsfield: bool,
    quarter_turns: u8,
    orientation_stated: bool,
    order_basis: OrderBasis,
    as_named: Vec<usize>,
    can_change_order: bool,
    evidence: bool,
    peaks: Vec<Option<[f32; 2]>>,
}

#[derive(Serialize)]
struct Window {
    level: f32,
    width: f32,
}

impl View {
    pub(super) fn new(entry: &Entry, scan: &Scan) -> Self {
        let Volume { spacing, scale, orientation, .. } = &scan.volume;
        let [slices, rows, columns] = scan.volume.shape();
        let seen = entry.evidence.as_deref();
        let peaks = (0..slices).map(|z| seen.and_then(|seen| brightest(&seen.input, &seen.logits, z))).collect();
        Self {
            slices,
            rows,
            columns,
            slice_mm: spacing.slice_mm,
            row_mm: spacing.row_mm,
            column_mm: spacing.column_mm,
            window: match *scale {
                ValueScale::Windowed { level, width } => Some(Window { level, width }),
                _ => None,
            },
            hounsfield: *scale == ValueScale::Hounsfield,
            quarter_turns: seen.map_or(0, |seen| seen.input.alignment.quarter_turns()),
            orientation_stated: *orientation == Orientation::Stated,
            order_basis: scan.order.basis,
            as_named: scan.order.as_named.clone(),
            can_change_order: scan.order.unrepaired.is_some(),
            evidence: seen.is_some_and(|seen| !seen.logits.evidence.is_empty()),
            peaks,
        }
    }
}

/// Slice `z` in whole Hounsfield units.
pub(super) fn slice_hounsfield(volume: &Volume, z: usize) -> Option<Vec<i16>> {
    // A float that is too large or not a number is saturated by the cast.
    Some(volume.slice(z)?.iter().map(|value| value.round() as i16).collect())
}

/// The evidence map of slice `z` of an answered scan on its pixels.
pub(super) fn slice_heat(entry: &Entry, volume: &Volume, z: usize) -> Option<Vec<u8>> {
    let seen = entry.evidence.as_deref()?;
    let probability = entry.report.as_ref()?.slices.get(z)?.probability?;
    heat(&seen.input, &seen.logits, z, probability, [volume.rows(), volume.columns()])
}

/// A small grey picture of one slice.
#[wasm_bindgen(getter_with_clone)]
#[derive(Clone, Debug)]
pub struct Thumbnail {
    /// Columns.
    #[wasm_bindgen(readonly)]
    pub width: usize,
    /// Rows.
    #[wasm_bindgen(readonly)]
    pub height: usize,
    /// Row after row.
    #[wasm_bindgen(readonly)]
    pub grey: Vec<u8>,
}

/// The maps of one layer of the network on one slice, for a person to look at.
#[wasm_bindgen(getter_with_clone)]
#[derive(Clone, Debug)]
pub struct LayerPicture {
    /// Maps.
    #[wasm_bindgen(readonly)]
    pub channels: usize,
    /// Rows of a map.
    #[wasm_bindgen(readonly)]
    pub rows: usize,
    /// Columns of a map.
    #[wasm_bindgen(readonly)]
    pub columns: usize,
    /// `[map, y, x]`, 0 for the least and 255 for the largest value of the layer.
    #[wasm_bindgen(readonly)]
    pub values: Vec<u8>,
}

impl From<LayerMaps> for LayerPicture {
    fn from(LayerMaps { shape: [channels, rows, columns], values }: LayerMaps) -> Self {
        let (least, most) =
            values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &x| (low.min(x), high.max(x)));
        let scale = 255.0 / (most - least).max(f32::MIN_POSITIVE);
        let values = values.into_iter().map(|value| ((value - least) * scale).round() as u8).collect();
        Self { channels, rows, columns, values }
    }
}

impl Thumbnail {
    /// Slice `z` in the brain window (level 40, width 80 HU), averaged down.
    pub(super) fn of(volume: &Volume, z: usize) -> Option<Self> {
        let slice = volume.slice(z)?;
        let (rows, columns) = (volume.rows(), volume.columns());
        let longest = rows.max(columns);
        let side = |length: usize| (length * THUMBNAIL.min(longest) / longest).max(1);
        let (width, height) = (side(columns), side(rows));
        let mut grey = Vec::with_capacity(width * height);
        for row in 0..height {
            let lines = row * rows / height..((row + 1) * rows / height).max(row * rows / height + 1);
            for column in 0..width {
                let (from, to) =
                    (column * columns / width, ((column + 1) * columns / width).max(column * columns / width + 1));
                let (mut sum, mut count) = (0.0, 0.0);
                for line in lines.clone() {
                    let pixels = slice.get(line * columns + from..line * columns + to).unwrap_or_default();
                    sum += pixels.iter().map(|value| (value * (255.0 / 80.0)).clamp(0.0, 255.0)).sum::<f32>();
                    count += pixels.len() as f32;
                }
                grey.push((sum / f32::max(count, 1.0)).round() as u8);
            }
        }
        Some(Self { width, height, grey })
    }
}
