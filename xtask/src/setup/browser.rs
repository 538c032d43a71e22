//! A Chromium for the browser tests.

use super::apt;
use crate::error::{Error, Result};
use crate::process::find;
use std::env;
use std::path::{Path, PathBuf};

/// Names the browser to use, instead of one that is looked for.
pub(crate) const VARIABLE: &str = "ICTUS_CHROMIUM";
const NAMES: [&str; 5] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];
const APPLICATIONS: [&str; 3] = [
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
];

pub(crate) fn ready() -> Result<PathBuf> {
    if let Some(named) = env::var_os(VARIABLE) {
        return Ok(named.into());
    }
    let installed =
        || find(&NAMES).or_else(|| APPLICATIONS.iter().map(PathBuf::from).find(|path: &PathBuf| Path::exists(path)));
    if let Some(browser) = installed() {
        return Ok(browser);
    }
    apt::install("a browser for the tests", &["chromium"])?;
    installed().ok_or_else(|| Error::Missing {
        what: "a Chromium browser",
        why: "the package brought no `chromium`".into(),
        remedy: format!("install Chrome or Chromium and set {VARIABLE} to its path"),
    })
}
