//! Progress bars.

use indicatif::ProgressStyle;

/// A bar with a name, a count, the time left and a message.
pub(crate) fn style(name: &str) -> ProgressStyle {
    let template = format!("{name:<24} {{wide_bar}} {{pos}}/{{len}} {{eta}} left {{msg}}");
    ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
