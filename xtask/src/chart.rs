//! What a bench measured, as a picture: how many times as fast as others, with quartiles where there are any.

use serde_json::Value;
use std::fmt::Write;

const WIDTH: f64 = 720.0;
const LINE: f64 = 26.0;
/// Where bars begin: the words stand left of it.
const LEFT: f64 = 330.0;
/// Room for the number behind the longest bar.
const RIGHT: f64 = 120.0;

/// One bar.
struct Bar {
    what: String,
    times: f64,
    /// Lower and upper quartile.
    spread: Option<[f64; 2]>,
}

/// An SVG of the ratios of `bench.json`, in the colours of the reader's light or dark page.
pub(crate) fn svg(bench: &Value) -> String {
    let groups = groups(bench);
    let longest = groups
        .iter()
        .flat_map(|(_, bars)| bars)
        .map(|bar| bar.spread.map_or(bar.times, |[_, upper]| upper))
        .fold(1.0, f64::max);
    let x = |times: f64| LEFT + times / longest * (WIDTH - LEFT - RIGHT);
    let mut body = String::new();
    let one = x(1.0);
    let mut y = 8.0;
    for (title, bars) in groups.iter().filter(|(_, bars)| !bars.is_empty()) {
        y += LINE;
        text(&mut body, "title", 0.0, y, title);
        y += 8.0;
        let top = y;
        for bar in bars {
            y += LINE;
            let end = x(bar.times);
            text(&mut body, "what", LEFT - 12.0, y, &bar.what);
            line(
                &mut body,
                format_args!(r#"<rect x="{LEFT}" y="{:.1}" width="{:.1}" height="14" rx="2"/>"#, y - 12.0, end - LEFT),
            );
            let mut after = end;
            if let Some([lower, upper]) = bar.spread {
                after = x(upper);
                line(
                    &mut body,
                    format_args!(
                        r#"<path d="M{:.1} {:.1}H{after:.1}m0 -4v8M{:.1} {:.1}v8"/>"#,
                        x(lower),
                        y - 5.0,
                        x(lower),
                        y - 9.0
                    ),
                );
            }
            text(&mut body, "times", after + 8.0, y, &format!("{:.1} times", bar.times));
        }
        line(&mut body, format_args!(r#"<path class="one" d="M{one:.1} {:.1}V{:.1}"/>"#, top + 6.0, y + 8.0));
        y += 10.0;
    }
    let height = y + 30.0;
    text(&mut body, "note", one, y + 20.0, "as fast");
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0}" role="img" aria-label="How many times as fast ictus is">
<style>
text{{font:14px system-ui,sans-serif;fill:#24292f}} .title{{font-weight:600}} .what{{text-anchor:end}} .note{{text-anchor:middle;font-size:12px}}
rect{{fill:#2f7f86}} path{{stroke:#24292f;stroke-width:1.5;fill:none}} .one{{stroke-dasharray:3 3;stroke-width:1}}
@media (prefers-color-scheme:dark){{text{{fill:#e6edf3}} rect{{fill:#4aa6ad}} path{{stroke:#e6edf3}}}}
</style>
{body}</svg>
"#
    )
}

fn groups(bench: &Value) -> Vec<(String, Vec<Bar>)> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let name = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    let measured = |what: String, ratio: &Value| Bar {
        what,
        times: number(&ratio["median"]),
        spread: Some([number(&ratio["lower"]), number(&ratio["upper"])]),
    };
    let browser = &bench["browser"];
    let networks = list(&browser["networks"])
        .iter()
        .map(|network| measured(format!("{} network", name(&network["name"])), &network["ratio"]))
        .collect();
    let layers = list(&bench["kernels"]["layers"]);
    let layers = layers.iter().map(|layer| Bar {
        what: name(&layer["layer"]).split_whitespace().collect::<Vec<_>>().join(" "),
        times: number(&layer["times_faster_than_burn"]["block"]),
        spread: None,
    });
    let batches = list(&browser["batches"]);
    let batches = batches
        .iter()
        .map(|batch| measured(format!("{} scans, {}", batch["scans"], name(&batch["what"])), &batch["ratio"]));
    vec![
        ("In a tab, one thread, against ONNX Runtime Web".to_owned(), networks),
        (
            format!("Blocks natively, {} threads, against burn's operations", bench["kernels"]["threads"]),
            layers.collect(),
        ),
        ("A batch with two engines against one, no special headers".to_owned(), batches.collect()),
    ]
}

fn line(body: &mut String, element: std::fmt::Arguments) {
    // Writing to a string cannot fail.
    let _ = writeln!(body, "{element}");
}

fn text(body: &mut String, class: &str, x: f64, y: f64, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    line(body, format_args!(r#"<text class="{class}" x="{x:.1}" y="{y:.1}">{words}</text>"#));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_bar_is_as_long_as_its_ratio_and_names_what_it_is_of() {
        let ratio = |median: f64| json!({ "median": median, "lower": median - 0.5, "upper": median + 0.5 });
        let drawn = svg(&json!({
            "browser": { "networks": [{ "name": "a<b", "ratio": ratio(2.0) }], "batches": [{ "what": "JPG", "scans": 12, "ratio": ratio(1.0) }] },
            "kernels": { "threads": 2, "layers": [] },
        }));
        let widths: Vec<f64> =
            drawn.split("width=\"").skip(1).map(|rest| rest.split('"').next().unwrap().parse().unwrap()).collect();
        assert_eq!(widths.len(), 2);
        assert!((widths[0] - 2.0 * widths[1]).abs() < 0.2, "{widths:?}");
        for part in ["a&lt;b network", "2.0 times", "12 scans, JPG", "ONNX Runtime Web"] {
            assert!(drawn.contains(part), "{part} is not in {drawn}");
        }
        assert!(!drawn.contains("burn"), "a group without a bar has no title");
    }
}
