//! Logits to an answer: calibration, operating points, slice scores, in-distribution checks, report.
