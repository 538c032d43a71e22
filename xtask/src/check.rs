//! `cargo xtask check`: everything that is held without running the code.

use crate::dist;
use crate::error::{Doing, Error, Result};
use crate::process::{self, cargo};
use crate::progress;
use crate::setup::wasm_target::{WasmTarget, cargo_home};
use crate::setup::{linters, node};
use crate::supply::Supply;
use crate::wasm::{self, Engine, megabytes};
use crate::workspace::Workspace;
use std::fs;
use std::process::Command;

/// The library, the trainer and their tests, as everything builds them, so that all share one build of the dependencies.
pub(crate) const PRODUCT: [&str; 5] = ["--workspace", "--exclude", "xtask", "--features", "ictus-trainer/wgpu"];
/// This program apart: cargo has built it alone to run it, and beside the others its dependencies would have more features and be built again.
pub(crate) const CHORES: [&str; 2] = ["--package", "xtask"];
/// Both, for what is asked of every crate.
pub(crate) const PARTS: [&[&str]; 2] = [&PRODUCT, &CHORES];

/// Most bytes that the HTML, CSS and JavaScript which every visitor gets may have after gzip; the WebGPU engine brings its own binding.
const PAGE_BUDGET: u64 = 150_000;

/// Runs every check, also after one has failed, and names those that failed.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    type Check = (&'static str, fn(&Workspace) -> Result<()>);
    let checks: [Check; 12] = [
        ("format", format),
        ("spelling", spelling),
        ("licences, sources and advisories of dependencies", dependencies),
        ("advisories of the tools' npm packages", npm_advisories),
        ("licence texts of what is shipped", shipped),
        ("lints", lints),
        ("lints of the wasm engines", wasm_lints),
        ("documentation", documentation),
        ("sizes of the engines and of the page", sizes),
        ("nothing of this machine in the engines", nameless),
        ("the same site from the same input", same_bytes),
        ("types of the page's scripts", types),
    ];
    let mut failed = Vec::new();
    for (name, run) in checks {
        if let Err(error) = progress::timed(name, || run(workspace)) {
            eprintln!("{error}");
            failed.push(name);
        }
    }
    println!("check: {} of {} passed", checks.len() - failed.len(), checks.len());
    if failed.is_empty() { Ok(()) } else { Err(Error::Failed { what: "check", which: failed.join("; ") }) }
}

fn format(workspace: &Workspace) -> Result<()> {
    process::run(cargo(&workspace.root).args(["fmt", "--all", "--check"]))
}

fn spelling(workspace: &Workspace) -> Result<()> {
    process::run(Command::new(linters::typos(workspace)?).current_dir(&workspace.root))
}

fn dependencies(workspace: &Workspace) -> Result<()> {
    let program = linters::deny(workspace)?;
    let deny = || {
        let mut command = Command::new(&program);
        // It calls cargo, which has to be the one in use.
        command.current_dir(&workspace.root).args(["--log-level", "error"]);
        command
    };
    process::run(deny().args(["check", "licenses", "bans", "sources"]))?;
    if let Err(error) = process::quiet(deny().arg("fetch").arg("db")) {
        let why = error.to_string();
        let why = why.lines().filter(|line| !line.trim().is_empty()).nth(1).unwrap_or("no answer").trim();
        println!("NOT CHECKED: advisories, because their database could not be fetched: {why}");
        return Ok(());
    }
    process::run(deny().args(["check", "--disable-fetch", "advisories"]))
}

/// None of them is shipped, but they run where the site is made.
fn npm_advisories(workspace: &Workspace) -> Result<()> {
    node::ready(workspace)?;
    let npm = process::find(&["npm"]).unwrap_or_else(|| "npm".into());
    let mut audit = Command::new(npm);
    audit.current_dir(&workspace.root).args(["audit", "--package-lock-only", "--json", "--cache"]);
    let printed = match process::capture(audit.arg(workspace.cache.join("npm"))) {
        Ok(_) => return Ok(()),
        Err(error) => error.to_string(),
    };
    // Both failures are JSON on standard output; only a verdict counts the vulnerabilities.
    if printed.contains("\"auditReportVersion\"") {
        return Err(Error::Failed { what: "npm audit", which: printed });
    }
    let why = printed.lines().find_map(|line| line.trim().strip_prefix("\"message\":")).unwrap_or("no answer");
    println!(
        "NOT CHECKED: advisories of npm packages, because the registry gave none: {}",
        why.trim_matches([' ', ',', '"'])
    );
    Ok(())
}

fn shipped(workspace: &Workspace) -> Result<()> {
    Supply::gather(workspace, &Engine::ALL).map(drop)
}

fn lints(workspace: &Workspace) -> Result<()> {
    PARTS.iter().try_for_each(|part| {
        process::run(cargo(&workspace.root).arg("clippy").args(*part).args(["--all-targets", "--", "-Dwarnings"]))
    })
}

/// Each engine compiles files that the other leaves out.
fn wasm_lints(workspace: &Workspace) -> Result<()> {
    let target = WasmTarget::ready(workspace)?;
    Engine::ALL.into_iter().try_for_each(|engine| {
        let selection = ["--package", "ictus", "--lib", "--features", engine.features()];
        process::run(&mut target.clippy(&workspace.root, &selection))
    })
}

fn documentation(workspace: &Workspace) -> Result<()> {
    PARTS.iter().try_for_each(|part| {
        process::run(cargo(&workspace.root).arg("doc").args(*part).arg("--no-deps").env("RUSTDOCFLAGS", "-Dwarnings"))
    })
}

fn sizes(workspace: &Workspace) -> Result<()> {
    let target = WasmTarget::ready(workspace)?;
    let mut over = Vec::new();
    for engine in Engine::ALL {
        wasm::build(workspace, &target, engine)?;
        let (_, zipped) = wasm::sizes(&engine.wasm(workspace))?;
        if zipped > engine.budget() {
            over.push(format!(
                "{}: {} with gzip, the budget is {}",
                engine.name(),
                megabytes(zipped),
                megabytes(engine.budget())
            ));
        }
    }
    let zipped = page_size(workspace)?;
    progress::stage(format_args!("the page's HTML, CSS and JavaScript: {} with gzip", megabytes(zipped)));
    if zipped > PAGE_BUDGET {
        over.push(format!("page: {} with gzip, the budget is {}", megabytes(zipped), megabytes(PAGE_BUDGET)));
    }
    if over.is_empty() { Ok(()) } else { Err(Error::Failed { what: "size", which: over.join("; ") }) }
}

/// Bytes of the HTML, CSS and JavaScript of the page and of the CPU engine's binding after gzip, file by file as they are sent.
fn page_size(workspace: &Workspace) -> Result<u64> {
    let mut folders = vec![workspace.www(), Engine::Cpu.folder(workspace)];
    let mut sum = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).doing("list", &folder)? {
            let path = entry.doing("list", &folder)?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ["html", "css", "js"].iter().any(|known| ending == *known))
            {
                sum += wasm::sizes(&path)?.1;
            }
        }
    }
    Ok(sum)
}

/// What is sent to every visitor names no folder of whoever built it.
fn nameless(workspace: &Workspace) -> Result<()> {
    let folders = [Some(workspace.root.clone()), Some(workspace.target.clone()), std::env::home_dir(), cargo_home()];
    let named: Vec<String> =
        folders.into_iter().flatten().filter_map(|folder| Some(format!("{}/", folder.to_str()?))).collect();
    let mut found = Vec::new();
    for engine in Engine::ALL {
        let path = engine.wasm(workspace);
        let bytes = fs::read(&path).doing("read", &path)?;
        // A home of one letter would be found in any file.
        let held =
            named.iter().filter(|name| name.len() > 4 && bytes.windows(name.len()).any(|part| part == name.as_bytes()));
        found.extend(held.map(|name| format!("{} holds {name}", path.display())));
    }
    if found.is_empty() { Ok(()) } else { Err(Error::Failed { what: "the engines' paths", which: found.join("; ") }) }
}

/// Binding, packing and putting together, without compiling again.
fn same_bytes(workspace: &Workspace) -> Result<()> {
    let target = WasmTarget::ready(workspace)?;
    Engine::ALL.into_iter().try_for_each(|engine| wasm::build(workspace, &target, engine))?;
    let differing = dist::reproduce(workspace, &Engine::ALL)?;
    if differing.is_empty() {
        return Ok(());
    }
    Err(Error::Failed { what: "making the site twice", which: format!("these files differ: {}", differing.join(", ")) })
}

fn types(workspace: &Workspace) -> Result<()> {
    let node = node::ready(workspace)?;
    process::run(Command::new(node).current_dir(&workspace.root).args([
        "node_modules/typescript/bin/tsc",
        "--project",
        ".",
    ]))
}
