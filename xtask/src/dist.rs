//! `cargo xtask dist`: the folder to upload.
//!
//! ```text
//! index.html             the one file that says which version is current
//! sw.js                  keeps the site offline; its first line lists the files with their hashes
//! manifest.webmanifest, icon.svg
//! <version>/..           everything else: never changes under its name
//! ictus.html             the whole page in one file, for a USB stick
//! NOTICE.html            licences of what the page is made of
//! sbom.cdx.json          the same for machines
//! SHA256SUMS             for `sha256sum --check`
//! *.gz, *.br             the same files compressed, for servers that take them
//! ```

use crate::error::{Doing, Error, Result};
use crate::process;
use crate::progress;
use crate::setup::node;
use crate::setup::wasm_target::WasmTarget;
use crate::site::PKG;
use crate::supply::{NOTICE, SBOM, Supply};
use crate::wasm::{self, Engine, megabytes};
use crate::workspace::Workspace;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::Args;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Args)]
pub(crate) struct DistArguments {
    /// Folder to make; what it holds is replaced. Default: `site` in cargo's build folder.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Leave the WebGPU engine out: the page then answers with the CPU everywhere.
    #[arg(long)]
    cpu_only: bool,
}

/// Files that keep their place in every version. The page's is the empty path, as browsers ask for it.
const FIXED: [&str; 3] = [INDEX, "icon.svg", "manifest.webmanifest"];
const INDEX: &str = "index.html";
const SERVICE_WORKER: &str = "sw.js";
/// Endings of files that only who works on the page needs.
const FOR_AUTHORS: [&str; 2] = [".md", ".d.ts"];
/// The whole page in one file.
pub(crate) const SINGLE: &str = "ictus.html";

/// Files by their path in the site.
type Files = BTreeMap<String, Vec<u8>>;

pub(crate) fn dist(workspace: &Workspace, arguments: &DistArguments) -> Result<()> {
    let target = WasmTarget::ready(workspace)?;
    let engines = if arguments.cpu_only { &Engine::ALL[..1] } else { &Engine::ALL[..] };
    for &engine in engines {
        wasm::build(workspace, &target, engine)?;
    }
    let site = arguments.out.clone().unwrap_or_else(|| workspace.target.join("site"));
    let fresh = site.with_extension("new");
    assemble(workspace, engines, &fresh)?;
    progress::timed("compressing", || compress(workspace, &fresh))?;
    remove(&site)?;
    fs::rename(&fresh, &site).doing("move into place", &site)?;
    let single = site.join(SINGLE);
    let bytes = fs::metadata(&single).doing("look at", &single)?.len();
    progress::stage(format_args!("the site is in {}; upload the folder to any static host", site.display()));
    progress::stage(format_args!("the page in one file, {}, is {}", megabytes(bytes), single.display()));
    let mut files = Files::new();
    read(&site, "", &mut files)?;
    for (compression, ending) in [("brotli", ".br"), ("gzip", ".gz")] {
        let visit = visit(&files, ending);
        progress::stage(format_args!(
            "a first visit takes {} with {compression}, {} more where WebGPU is used; one that comes back asks for {} bytes at most",
            megabytes(visit.first),
            megabytes(visit.gpu),
            visit.again
        ));
    }
    Ok(())
}

/// Bytes of files that a visitor is sent, headers not counted.
#[derive(Debug, PartialEq, Eq)]
struct Visit {
    /// The page with the CPU engine, kept for later.
    first: u64,
    /// The WebGPU engine.
    gpu: u64,
    /// What a browser asks for to see whether there is a newer version.
    again: u64,
}

/// What visitors are sent by a host that has compressed files of this `ending`.
fn visit(site: &Files, ending: &str) -> Visit {
    let sent = |path: &str| -> u64 {
        let packed = site.get(&format!("{path}{ending}")).or_else(|| site.get(path));
        packed.map_or(0, |bytes| bytes.len() as u64)
    };
    let gpu = format!("/{PKG}/{}/", Engine::Gpu.name());
    let plain = |path: &&String| ![".gz", ".br"].iter().any(|ending| path.ends_with(ending));
    let of_page = |path: &&String| path.contains('/') || FIXED.contains(&path.as_str()) || *path == SERVICE_WORKER;
    let (of_gpu, always): (Vec<&String>, Vec<&String>) =
        site.keys().filter(plain).filter(of_page).partition(|path| path.contains(&gpu));
    let sum = |paths: &[&String]| paths.iter().map(|path| sent(path)).sum();
    Visit { first: sum(&always), gpu: sum(&of_gpu), again: sent(SERVICE_WORKER) }
}

/// Binds the engines and puts the site together once more, twice, from what is compiled, and says which files differ.
pub(crate) fn reproduce(workspace: &Workspace, engines: &[Engine]) -> Result<Vec<String>> {
    let mut made = Vec::new();
    for time in ["first", "second"] {
        let target = workspace.target.join("twice").join(time);
        remove(&target)?;
        let apart = Workspace { root: workspace.root.clone(), target, cache: workspace.cache.clone() };
        for &engine in engines {
            wasm::bind_compiled(workspace, engine, &engine.folder(&apart))?;
        }
        let site = apart.target.join("site");
        assemble(&apart, engines, &site)?;
        compress(&apart, &site)?;
        let mut files = Files::new();
        read(&site, "", &mut files)?;
        made.push(files);
    }
    remove(&workspace.target.join("twice"))?;
    Ok(made.first().zip(made.last()).map(|(first, second)| differing(first, second)).unwrap_or_default())
}

/// Paths that only one has, or that have other bytes.
fn differing(first: &Files, second: &Files) -> Vec<String> {
    let paths: BTreeSet<&String> = first.keys().chain(second.keys()).collect();
    paths.into_iter().filter(|&path| first.get(path) != second.get(path)).cloned().collect()
}

fn compress(workspace: &Workspace, site: &Path) -> Result<()> {
    process::run(node(workspace)?.arg(workspace.root.join("xtask/js/compress.mjs")).arg(site))
}

/// Puts the site together in the folder `site`, which is replaced, from engines that are built.
pub(crate) fn assemble(workspace: &Workspace, engines: &[Engine], site: &Path) -> Result<()> {
    let mut sources = Files::new();
    read(&workspace.www(), "", &mut sources)?;
    for &engine in engines {
        read(&engine.folder(workspace), &format!("{PKG}/{}/", engine.name()), &mut sources)?;
    }
    sources.retain(|path, _| !FOR_AUTHORS.iter().any(|ending| path.ends_with(ending)));
    let (version, mut files) = versioned(sources)?;
    let supply = Supply::gather(workspace, engines)?;
    files.insert(NOTICE.to_owned(), supply.notice());
    files.insert(SBOM.to_owned(), supply.sbom(&version));

    remove(site)?;
    for (path, bytes) in &files {
        write(&site.join(path), bytes)?;
    }
    process::run(
        node(workspace)?
            .arg(workspace.root.join("xtask/js/single-file.mjs"))
            .arg(workspace.www().join(INDEX))
            .arg(site.join(&version))
            .arg(site.join(SINGLE)),
    )?;
    let mut single = fs::read(site.join(SINGLE)).doing("read", &site.join(SINGLE))?;
    single.extend(supply.comment().into_bytes());
    write(&site.join(SINGLE), &single)?;
    let all = files.iter().map(|(path, bytes)| (path.as_str(), bytes)).chain([(SINGLE, &single)]);
    let sums = all.fold(String::new(), |mut sums, (path, bytes)| {
        // Writing to a String cannot fail.
        let _ = writeln!(sums, "{}  {path}", hex(&Sha256::digest(bytes)));
        sums
    });
    write(&site.join("SHA256SUMS"), sums.as_bytes())
}

/// The site's files where they go, and the version, which is a hash of them all.
fn versioned(mut sources: Files) -> Result<(String, Files)> {
    let lacking = |what: &str| Error::Failed { what: "dist", which: format!("the page's sources have no {what}") };
    let mut hash = Sha256::new();
    for (path, bytes) in &sources {
        hash.update(path);
        hash.update(Sha256::digest(bytes));
    }
    let version = hex(&hash.finalize()[..8]);

    let worker = sources.remove(SERVICE_WORKER).ok_or_else(|| lacking(SERVICE_WORKER))?;
    let index = sources.remove(INDEX).and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(|| lacking(INDEX))?;
    let policy = policy(&index).ok_or_else(|| lacking("content security policy"))?;
    let mut files = Files::new();
    let mut page = index.replace("<meta name=\"offline\" content=\"no\">", "<meta name=\"offline\" content=\"yes\">");
    for (path, bytes) in sources {
        if FIXED.contains(&path.as_str()) {
            files.insert(path, bytes);
            continue;
        }
        for attribute in ["href", "src"] {
            page = page.replace(&format!("{attribute}=\"{path}\""), &format!("{attribute}=\"{version}/{path}\""));
        }
        files.insert(format!("{version}/{path}"), bytes);
    }
    if page == index {
        return Err(lacking("links from the page to its files"));
    }
    files.insert(INDEX.to_owned(), page.into_bytes());

    let gpu = format!("{version}/{PKG}/{}/", Engine::Gpu.name());
    let list = |of_gpu: bool| -> BTreeMap<&str, String> {
        let chosen = files.iter().filter(|(path, _)| path.starts_with(&gpu) == of_gpu);
        chosen.map(|(path, bytes)| (if path == INDEX { "" } else { path }, integrity(bytes))).collect()
    };
    let site = json!({ "version": version, "policy": policy, "always": list(false), "gpu": list(true) });
    let worker = [format!("self.SITE = {site};\n").as_bytes(), &worker].concat();
    files.insert(SERVICE_WORKER.to_owned(), worker);
    Ok((version, files))
}

/// The content security policy of the page's meta element, as a server would send it.
pub(crate) fn policy(index: &str) -> Option<String> {
    let (_, after) = index.split_once("http-equiv=\"Content-Security-Policy\" content=\"")?;
    // Only a header can forbid framing.
    after.split_once('"').map(|(policy, _)| format!("{policy}; frame-ancestors 'none'"))
}

/// As the `integrity` of a fetch takes it.
fn integrity(bytes: &[u8]) -> String {
    format!("sha256-{}", BASE64_STANDARD.encode(Sha256::digest(bytes)))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn node(workspace: &Workspace) -> Result<Command> {
    let mut command = Command::new(node::ready(workspace)?);
    command.current_dir(&workspace.root);
    Ok(command)
}

fn read(folder: &Path, under: &str, files: &mut Files) -> Result<()> {
    for entry in fs::read_dir(folder).doing("list", folder)? {
        let path = entry.doing("list", folder)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if path.is_dir() {
            read(&path, &format!("{under}{name}/"), files)?;
        } else {
            files.insert(format!("{under}{name}"), fs::read(&path).doing("read", &path)?);
        }
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).doing("create", folder)?;
    }
    fs::write(path, bytes).doing("write", path)
}

fn remove(folder: &Path) -> Result<()> {
    if folder.exists() { fs::remove_dir_all(folder).doing("remove", folder) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources() -> Files {
        let index = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'self'\">\
                     <meta name=\"offline\" content=\"no\"><link href=\"icon.svg\"><script src=\"app.js\"></script>";
        [
            ("index.html", index),
            ("sw.js", "work();"),
            ("icon.svg", "<svg/>"),
            ("app.js", "run();"),
            ("pkg/gpu/x.wasm", "gpu"),
        ]
        .map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()))
        .into()
    }

    fn text<'a>(files: &'a Files, path: &str) -> &'a str {
        std::str::from_utf8(&files[path]).unwrap()
    }

    #[test]
    fn all_but_the_fixed_files_lie_under_the_version_and_the_page_leads_there() {
        let (version, files) = versioned(sources()).unwrap();
        let paths: Vec<&str> = files.keys().map(|path| path.strip_prefix(&version).unwrap_or(path)).collect();
        assert_eq!(paths.len(), 5);
        assert!(
            ["/app.js", "/pkg/gpu/x.wasm", "icon.svg", "index.html", "sw.js"].iter().all(|path| paths.contains(path))
        );
        let page = text(&files, "index.html");
        assert!(page.contains(&format!("src=\"{version}/app.js\"")) && page.contains("href=\"icon.svg\""), "{page}");
        assert!(page.contains("name=\"offline\" content=\"yes\""), "{page}");
    }

    #[test]
    fn the_service_worker_knows_the_hash_of_every_file_and_of_the_page_by_its_folder() {
        let (version, files) = versioned(sources()).unwrap();
        let worker = text(&files, "sw.js");
        let (site, rest) = worker.split_once(";\n").unwrap();
        assert_eq!(rest, "work();");
        let site: serde_json::Value = serde_json::from_str(site.strip_prefix("self.SITE = ").unwrap()).unwrap();
        assert_eq!(site["version"], version.as_str());
        assert_eq!(site["policy"], "default-src 'self'; frame-ancestors 'none'");
        assert_eq!(site["always"][""], integrity(&files["index.html"]));
        assert_eq!(site["always"].as_object().unwrap().len(), 3);
        // From `printf gpu | openssl dgst -sha256 -binary | base64`.
        let known = "sha256-48W6UduoWrDJkNteMJ9Ne9soJHD7Aq7nW5AiwTmekcg=";
        assert_eq!(site["gpu"][format!("{version}/pkg/gpu/x.wasm")], known);
    }

    #[test]
    fn a_visitor_is_sent_the_compressed_file_where_there_is_one_and_no_single_file() {
        let sizes = [
            ("index.html", 100),
            ("index.html.gz", 60),
            ("index.html.br", 50),
            ("sw.js", 30),
            ("icon.svg", 7),
            ("ictus.html", 10_000),
            ("NOTICE.html", 10_000),
            ("0123/app.js", 400),
            ("0123/app.js.br", 200),
            ("0123/pkg/gpu/x.wasm", 5000),
            ("0123/pkg/gpu/x.wasm.gz", 3000),
        ];
        let site: Files = sizes.map(|(path, size)| (path.to_owned(), vec![0; size])).into();
        assert_eq!(visit(&site, ".br"), Visit { first: 50 + 30 + 7 + 200, gpu: 5000, again: 30 });
        assert_eq!(visit(&site, ".gz"), Visit { first: 60 + 30 + 7 + 400, gpu: 3000, again: 30 });
    }

    #[test]
    fn files_that_differ_or_are_missing_are_named() {
        let mut changed = sources();
        changed.insert("app.js".to_owned(), b"walk();".to_vec());
        changed.remove("icon.svg");
        assert_eq!(differing(&sources(), &changed), ["app.js", "icon.svg"]);
        assert_eq!(differing(&changed, &sources()), ["app.js", "icon.svg"]);
        assert!(differing(&changed, &changed.clone()).is_empty());
    }

    #[test]
    fn any_changed_file_is_another_version() {
        let (version, _) = versioned(sources()).unwrap();
        for path in sources().into_keys() {
            let mut changed = sources();
            changed.get_mut(&path).unwrap().push(b' ');
            assert_ne!(versioned(changed).unwrap().0, version, "{path}");
        }
    }
}
