//! The network in another worker, reached through a function of the page.

use crate::network::Logits;
use crate::preprocess::NetworkInput;
use js_sys::{Array, Float32Array, Function, Promise, Reflect, Uint8Array, Uint32Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// Runs the network in the GPU worker. `None` for whatever goes wrong there, an answer that does not fit the question
/// included: the page has been told why by then, and the caller has a CPU.
pub(super) async fn infer(remote: &Function, input: &NetworkInput) -> Option<Logits> {
    let mask: Vec<u8> = input.mask.iter().map(|&inside| u8::from(inside)).collect();
    let shape: Vec<u32> = input.shape.iter().map(|&axis| axis as u32).collect();
    let arguments = Array::of3(
        &Float32Array::from(input.hounsfield.as_slice()),
        &Uint8Array::from(mask.as_slice()),
        &Uint32Array::from(shape.as_slice()),
    );
    let promise = remote.apply(&JsValue::NULL, &arguments).ok()?.dyn_into::<Promise>().ok()?;
    let answer = JsFuture::from(promise).await.ok()?;
    let logits = logits_of(&answer)?;
    fits(&logits, input).then_some(logits)
}

fn logits_of(answer: &JsValue) -> Option<Logits> {
    let get = |name: &str| Reflect::get(answer, &JsValue::from_str(name)).ok();
    let floats = |name: &str| Some(get(name)?.dyn_into::<Float32Array>().ok()?.to_vec());
    let shape = get("shape")?.dyn_into::<Uint32Array>().ok()?.to_vec();
    let [slices, rows, columns] = shape.try_into().ok()?;
    Some(Logits {
        patient: get("patient")?.as_f64()? as f32,
        slices: floats("slices")?,
        evidence: floats("evidence")?,
        evidence_shape: [slices as usize, rows as usize, columns as usize],
    })
}

fn fits(logits: &Logits, input: &NetworkInput) -> bool {
    let finite = |values: &[f32]| values.iter().all(|value| value.is_finite());
    let [slices, rows, columns] = input.shape;
    let [map_slices, map_rows, map_columns] = logits.evidence_shape;
    logits.slices.len() == slices
        && map_slices == slices
        // A cell is as many pixels wide as it is high.
        && map_rows * columns == map_columns * rows
        && logits.evidence.len() == logits.evidence_shape.iter().product::<usize>()
        && logits.patient.is_finite()
        && finite(&logits.slices)
        && finite(&logits.evidence)
}
