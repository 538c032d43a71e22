//! Logits to an answer: calibration, operating points, slice scores, in-distribution checks, report.

mod answer;
mod calibration;
pub mod gate;
mod heat;

pub use answer::{Answer, answer, peak, shown_on};
pub use calibration::{Bounds, Calibration, CalibrationError, OperatingPoint, PatientScore, Platt};
pub use heat::{brightest, heat};
