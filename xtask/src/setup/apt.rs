//! Packages of Debian and Ubuntu.

use crate::error::{Error, Result};
use crate::process;
use crate::progress;
use crate::workspace::unattended;
use std::process::Command;

/// Installs `packages`, as root or through `sudo`. `what` names for a reader what they bring.
pub(crate) fn install(what: &'static str, packages: &[&str]) -> Result<()> {
    let remedy =
        format!("sudo apt-get update && sudo apt-get install --no-install-recommends -y {}", packages.join(" "));
    let missing = |why: String| Error::Missing { what, why, remedy: remedy.clone() };
    if process::find(&["apt-get"]).is_none() {
        let why = "this system has no apt-get".to_owned();
        return Err(Error::Missing {
            what,
            why,
            remedy: format!("install what your system calls {}", packages.join(", ")),
        });
    }
    let prefix = prefix().ok_or_else(|| missing("that takes root, and sudo would ask for a password".into()))?;
    progress::timed(format!("installing {what} ({})", packages.join(" ")), || {
        // An outdated or unreachable list is no reason to stop: the packages may be known already.
        let _ = process::quiet(apt(prefix).arg("update"));
        process::quiet(apt(prefix).args(["install", "--no-install-recommends", "-y"]).args(packages))
            .map_err(|error| missing(error.to_string()))
    })
}

fn apt(prefix: &[&str]) -> Command {
    let mut words = prefix.iter().chain(&["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]);
    let mut command = Command::new(words.next().unwrap_or(&"env"));
    command.args(words);
    command
}

/// What goes before a command that needs root, `None` where root is out of reach.
fn prefix() -> Option<&'static [&'static str]> {
    if process::capture(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0") {
        return Some(&[]);
    }
    process::find(&["sudo"])?;
    if process::quiet(Command::new("sudo").args(["-n", "true"])).is_ok() {
        return Some(&["sudo", "-n"]);
    }
    (!unattended()).then_some(&["sudo"])
}
