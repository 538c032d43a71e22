//! Errors as JavaScript catches them.

use crate::report::Refusal;
use wasm_bindgen::prelude::wasm_bindgen;

/// What a call throws: the same stable code and sentence as in a report.
#[wasm_bindgen(getter_with_clone)]
#[derive(Clone, Debug)]
pub struct Fault {
    /// Stable machine-readable code in `snake_case`.
    #[wasm_bindgen(readonly)]
    pub code: String,
    /// A sentence for a person.
    #[wasm_bindgen(readonly)]
    pub message: String,
}

impl Fault {
    #[expect(clippy::needless_pass_by_value, reason = "`map_err` hands its error over")]
    pub(super) fn new(code: &str, message: impl ToString) -> Self {
        Self { code: code.to_owned(), message: message.to_string() }
    }

    /// A number that the page gave and that no scan has (any more).
    #[cfg(not(feature = "wgpu"))]
    pub(super) fn unknown_scan(id: usize) -> Self {
        Self::new("unknown_scan", format!("Scan {id} is not open. Drop it again."))
    }

    #[cfg(not(feature = "wgpu"))]
    pub(super) fn cancelled() -> Self {
        Self::new("cancelled", "Cancelled.")
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self { code: refusal.code, message: refusal.message }
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self::new("not_serializable", format!("Writing the result as JSON: {error}"))
    }
}
