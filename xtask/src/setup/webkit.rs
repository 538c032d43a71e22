//! A `WebKit` that is driven over `WebDriver`, in which the page is tried as well where there can be one.

use super::browser::Known;
use crate::error::Result;
use std::path::PathBuf;

/// Each names the program to use, instead of one that is looked for.
const VARIABLES: [&str; 2] = ["ICTUS_WEBKIT", "ICTUS_XVFB"];

/// The driver of `WebKitGTK`, whose browser comes with it, and a display without a screen, both by the variable that tells the tests.
pub(crate) fn ready() -> Result<[(&'static str, PathBuf); 2]> {
    let [webkit, xvfb] = VARIABLES;
    let driver =
        Known { variable: webkit, names: &["WebKitWebDriver"], applications: &[], package: "webkit2gtk-driver" };
    let display = Known { variable: xvfb, names: &["Xvfb"], applications: &[], package: "xvfb" };
    Ok([(webkit, driver.ready("WebKit's WebDriver")?), (xvfb, display.ready("Xvfb")?)])
}
