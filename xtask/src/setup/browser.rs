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
    let known = Known { variable: VARIABLE, names: &NAMES, applications: &APPLICATIONS, package: "chromium" };
    known.ready("Chrome or Chromium")
}

/// Where a browser may be, and the package that brings it.
pub(super) struct Known {
    /// Environment variable that names the one to use.
    pub(super) variable: &'static str,
    pub(super) names: &'static [&'static str],
    pub(super) applications: &'static [&'static str],
    pub(super) package: &'static str,
}

impl Known {
    /// The browser, installed where it is missing.
    pub(super) fn ready(&self, what: &'static str) -> Result<PathBuf> {
        let Self { variable, names, applications, package } = *self;
        if let Some(named) = env::var_os(variable) {
            return Ok(named.into());
        }
        let application = || applications.iter().map(PathBuf::from).find(|path: &PathBuf| Path::exists(path));
        let installed = || find(names).or_else(application);
        if let Some(browser) = installed() {
            return Ok(browser);
        }
        apt::install(what, &[package])?;
        installed().ok_or_else(|| Error::Missing {
            what,
            why: format!("the package brought no `{package}`"),
            remedy: format!("install {what} and set {variable} to its path"),
        })
    }
}
