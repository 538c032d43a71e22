//! A Firefox, in which the page is tried as well where there can be one.

use super::apt;
use crate::error::{Error, Result};
use crate::process::find;
use std::env;
use std::path::{Path, PathBuf};

/// Names the Firefox to use, instead of one that is looked for.
pub(crate) const VARIABLE: &str = "ICTUS_FIREFOX";
const NAMES: [&str; 2] = ["firefox-esr", "firefox"];
const APPLICATIONS: [&str; 2] =
    ["/Applications/Firefox.app/Contents/MacOS/firefox", "C:\\Program Files\\Mozilla Firefox\\firefox.exe"];
/// A snap sees no other program's temporary files, so its Firefox cannot take the profile of a test.
const SNAP: &str = "/snap/bin/firefox";

pub(crate) fn ready() -> Result<PathBuf> {
    if let Some(named) = env::var_os(VARIABLE) {
        return Ok(named.into());
    }
    let names = if Path::new(SNAP).exists() { &NAMES[..1] } else { &NAMES[..] };
    let installed =
        || find(names).or_else(|| APPLICATIONS.iter().map(PathBuf::from).find(|path: &PathBuf| Path::exists(path)));
    if let Some(browser) = installed() {
        return Ok(browser);
    }
    apt::install("Firefox for the tests", &["firefox-esr"])?;
    installed().ok_or_else(|| Error::Missing {
        what: "Firefox",
        why: "the package brought no `firefox-esr`".into(),
        remedy: format!("install Firefox and set {VARIABLE} to its path"),
    })
}
