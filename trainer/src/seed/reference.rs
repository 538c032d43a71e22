//! What independent implementations give for the steps of the published pipeline: `reference.json`, for the tests.
//!
//! Made once with Python 3.11, NumPy, SciPy, scikit-image, scikit-learn, TensorFlow 2.21 and Keras 3.15, in an environment that was
//! thrown away. Inputs are numbers of `SplitMix64` with the seed that stands in each test, drawn in the order of the array:
//!
//! - `noise`: [`noisy_picture`]; `ndimage.grey_dilation` 3 x 3, `>= 25`, `measure.label(connectivity=1)`, the largest, `binary_dilation` 5 x 5,
//!   `binary_fill_holes`, `binary_dilation` 3 x 3.
//! - `resize`: 7 x 7 x 5 (rows, columns, slices); `ndimage.rotate(90, reshape=False, order=1)`, then `ndimage.zoom(order=1)` to 4 x 9 x 8.
//! - `metrics`: `confusion_matrix`, `accuracy_score`, `precision_score`, `recall_score` at .5, `roc_auc_score`, `average_precision_score`.
//! - `transforms`: two slices of 7 x 9 as channels; `RandomRotation(.1)` black outside, `flip_up_down`, `RandomTranslation(.18, -.12)` and
//!   `RandomZoom(.15)`, `(-.15)` reflected, the matrix of `RandomShear` with .25 and .1 nearest, `RandomBrightness(.1)` and contrast 1.2 in 0..1.
//! - `training`: the published net with 3 and 4 filters in two blocks and 5 hidden units, no dropout, on two scans of 12 x 11 x 10; binary
//!   cross-entropy of five steps with learning rate .01 x .96 every two steps, then logits and running statistics of the last block. Gradients
//!   are those of TensorFlow; Adam is written out as in the paper (algorithm 1), with epsilon 1e-3, so that rounding does not decide
//!   where a gradient is next to nothing. `keras.optimizers.Adam` adds epsilon before it corrects the bias of the mean square, which is a larger
//!   one in the first steps: with 1e-7 the fourth loss is .3286 instead of .3310.

use ictus::network::SplitMix64;

/// The expected values of that name.
pub(crate) fn reference(name: &str) -> serde_json::Value {
    let all: serde_json::Value = serde_json::from_str(include_str!("reference.json")).unwrap();
    all[name].clone()
}

/// A head with a hole, a head rest, an annotation, and noise everywhere: 40 rows; grey values and number of columns.
pub(crate) fn noisy_picture() -> (Vec<u8>, usize) {
    let (rows, columns) = (40, 48);
    let mut random = SplitMix64::new(5);
    let mut picture = Vec::new();
    for y in 0..rows {
        for x in 0..columns {
            let noise = random.uniform(0.0, 20.0) as u8;
            let from_middle = ((x as f64 - 22.0) / 14.0).powi(2) + ((y as f64 - 17.0) / 12.0).powi(2);
            let mut grey = noise;
            if from_middle < 1.0 {
                grey = 90 + noise;
            }
            if from_middle < 0.16 {
                grey = 5 + noise / 4;
            }
            if (35..=36).contains(&y) && (7..40).contains(&x) {
                grey = 70 + noise;
            }
            if (2..=5).contains(&y) && (40..=46).contains(&x) && (x + y) % 3 == 0 {
                grey = 255;
            }
            if x == 23 && y < 5 {
                grey = 0;
            }
            picture.push(grey);
        }
    }
    (picture, columns)
}
