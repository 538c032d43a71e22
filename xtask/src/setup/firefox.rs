//! A Firefox, in which the page is tried as well where there can be one.

use super::browser::Known;
use crate::error::Result;
use std::path::{Path, PathBuf};

/// Names the Firefox to use, instead of one that is looked for.
pub(crate) const VARIABLE: &str = "ICTUS_FIREFOX";
const NAMES: [&str; 2] = ["firefox-esr", "firefox"];
const APPLICATIONS: [&str; 2] =
    ["/Applications/Firefox.app/Contents/MacOS/firefox", "C:\\Program Files\\Mozilla Firefox\\firefox.exe"];
/// A snap sees no other program's temporary files, so its Firefox cannot take the profile of a test.
const SNAP: &str = "/snap/bin/firefox";

pub(crate) fn ready() -> Result<PathBuf> {
    let names = if Path::new(SNAP).exists() { &NAMES[..1] } else { &NAMES[..] };
    Known { variable: VARIABLE, names, applications: &APPLICATIONS, package: "firefox-esr" }.ready("Firefox")
}
