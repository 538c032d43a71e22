//! What the page is made of: the crates that are compiled into its engines, as a `CycloneDX` list for machines (SBOM) and as
//! a page of licences for people.
//!
//! `cargo tree` says which crates are compiled in, with the features of the engine and without what only builds it; `cargo
//! metadata` says what they are; `Cargo.lock` has their hashes; the texts lie in the crates.

use crate::error::{Doing, Error, Result};
use crate::process::{self, cargo};
use crate::wasm::Engine;
use crate::workspace::Workspace;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// The list for machines: `CycloneDX` 1.6, <https://cyclonedx.org/docs/1.6/json/>.
pub(crate) const SBOM: &str = "sbom.cdx.json";
/// The page of licences.
pub(crate) const NOTICE: &str = "NOTICE.html";

/// Name and version of a crate.
type Id = (String, String);

/// The crates of an engine, each with the crates that it uses.
type Tree = BTreeMap<Id, BTreeSet<Id>>;

/// What cargo says of a crate.
struct Package {
    licence: Option<String>,
    authors: Vec<String>,
    repository: Option<String>,
    folder: PathBuf,
}

/// What is shipped beside the engines' own code.
pub(crate) struct Supply {
    trees: BTreeMap<&'static str, Tree>,
    packages: BTreeMap<Id, Package>,
    /// SHA-256 of each crate's archive, in hexadecimal.
    hashes: BTreeMap<Id, String>,
    /// Licence texts, each with the crates that it is for.
    texts: BTreeMap<String, BTreeSet<Id>>,
    /// Files beside the engines that were made elsewhere: the weights, by their path in the site.
    models: BTreeMap<String, Model>,
}

struct Model {
    sha256: String,
    licence: Option<String>,
}

impl Supply {
    /// Gathers what the page with these engines is made of.
    ///
    /// # Errors
    /// [`Error::Supply`] if the licence of a crate cannot be told or has no text.
    pub(crate) fn gather(workspace: &Workspace, engines: &[Engine]) -> Result<Self> {
        let packages = packages(workspace)?;
        let mut trees = BTreeMap::new();
        for &engine in engines {
            trees.insert(engine.name(), tree(workspace, engine)?);
        }
        let lock = workspace.root.join("Cargo.lock");
        let hashes = hashes(&fs::read_to_string(&lock).doing("read", &lock)?);
        let own = Own::read(workspace)?;
        let mut texts: BTreeMap<String, BTreeSet<Id>> = BTreeMap::new();
        for id in trees.values().flat_map(Tree::keys).collect::<BTreeSet<_>>() {
            let package = packages.get(id).ok_or_else(|| lacking(id, "cargo metadata does not know it"))?;
            for text in licence_texts(id, package, &own)? {
                texts.entry(text).or_default().insert(id.clone());
            }
        }
        Ok(Self { trees, packages, hashes, texts, models: models(workspace)? })
    }

    /// The list for machines. It names no time and no number of its own, so that equal sites have equal lists.
    pub(crate) fn sbom(&self, version: &str) -> Vec<u8> {
        let ids: BTreeSet<&Id> = self.trees.values().flat_map(Tree::keys).collect();
        let page = json!({ "type": "application", "bom-ref": "page", "name": "ictus page", "version": version });
        let crates = ids.iter().map(|id| self.component(id));
        let models = self.models.iter().map(|(path, model)| {
            json!({
                "type": "machine-learning-model", "bom-ref": path, "name": path,
                "hashes": [{ "alg": "SHA-256", "content": model.sha256 }],
                "licenses": [{ "license": { "name": model.licence.as_deref().unwrap_or("not stated") } }],
            })
        });
        let uses = ids.iter().map(|id| {
            let used: BTreeSet<&Id> = self.trees.values().filter_map(|tree| tree.get(*id)).flatten().collect();
            json!({ "ref": address(id), "dependsOn": used.into_iter().map(address).collect::<Vec<_>>() })
        });
        let sbom = json!({
            "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
            "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
            "metadata": { "component": page },
            "components": crates.chain(models).collect::<Vec<_>>(),
            "dependencies": uses.collect::<Vec<_>>(),
        });
        format!("{sbom:#}\n").into_bytes()
    }

    fn component(&self, id: &Id) -> Value {
        let (name, version) = id;
        let engines: Vec<Value> = (self.trees.iter())
            .filter(|(_, tree)| tree.contains_key(id))
            .map(|(engine, _)| json!({ "name": "ictus:engine", "value": engine }))
            .collect();
        let mut component = json!({ "type": "library", "bom-ref": address(id), "name": name, "version": version, "purl": address(id), "properties": engines });
        let package = self.packages.get(id);
        if let Some(licence) = package.and_then(|package| package.licence.as_deref()) {
            component["licenses"] = json!([{ "expression": expression(licence) }]);
        }
        if let Some(hash) = self.hashes.get(id) {
            component["hashes"] = json!([{ "alg": "SHA-256", "content": hash }]);
        }
        if let Some(repository) = package.and_then(|package| package.repository.as_deref()) {
            component["externalReferences"] = json!([{ "type": "vcs", "url": repository }]);
        }
        component
    }

    /// The page of licences.
    pub(crate) fn notice(&self) -> Vec<u8> {
        let mut page = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
            <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'\">\n\
            <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>ictus: licences</title>\n\
            <h1>Licences of what this page is made of</h1>\n"
            .to_owned();
        for paragraph in self.preface() {
            // Writing to a String cannot fail.
            let _ = writeln!(page, "<p>{}</p>", escaped(&paragraph));
        }
        for (names, text) in self.by_crates(|_| true) {
            let _ = writeln!(page, "<h2>{}</h2>\n<pre>\n{}\n</pre>", escaped(&names), escaped(&text));
        }
        page.into_bytes()
    }

    /// The same as a comment, for the page in one file, which has nothing beside it and one engine inside.
    pub(crate) fn comment(&self) -> String {
        let inside = self.trees.get(Engine::Cpu.name());
        let mut text = self.preface().join("\n\n");
        for (names, licence) in self.by_crates(|id| inside.is_some_and(|tree| tree.contains_key(id))) {
            let _ = write!(text, "\n\n==== {names}\n\n{licence}");
        }
        // Either would end the comment.
        format!("<!--\nLicences of what this page is made of\n\n{}\n-->\n", text.replace("--", "- -"))
    }

    fn preface(&self) -> Vec<String> {
        let mut preface = vec![
            "ictus itself: MIT or Apache-2.0, at your choice. Its engines are compiled from the crates below, and from the Rust \
             standard library (MIT or Apache-2.0, https://www.rust-lang.org). Crates that may be used under more than one licence \
             are used under the one that stands here."
                .to_owned(),
        ];
        preface.extend(self.models.iter().map(|(path, model)| {
            format!("{path}, SHA-256 {}: {}", model.sha256, model.licence.as_deref().unwrap_or("licence not stated"))
        }));
        preface
    }

    /// Texts with the names of the crates that they are for, in the order of these.
    fn by_crates(&self, shown: impl Fn(&Id) -> bool) -> BTreeMap<String, String> {
        let mut sections: BTreeMap<String, String> = BTreeMap::new();
        for (text, ids) in &self.texts {
            let names: Vec<String> =
                ids.iter().filter(|id| shown(id)).map(|(name, version)| format!("{name} {version}")).collect();
            if names.is_empty() {
                continue;
            }
            let section = sections.entry(names.join(", ")).or_default();
            if !section.is_empty() {
                section.push_str("\n\n");
            }
            section.push_str(text);
        }
        sections
    }
}

/// The texts of our own licences, for crates that name these and bring none.
struct Own {
    apache: String,
    mit: String,
}

impl Own {
    fn read(workspace: &Workspace) -> Result<Self> {
        let text = |name: &str| {
            let path = workspace.root.join(name);
            fs::read_to_string(&path).doing("read", &path).map(|text| tidy(&text))
        };
        Ok(Self { apache: text("LICENSE-APACHE")?, mit: text("LICENSE-MIT")? })
    }
}

/// In every text of the MIT licence, and in no other.
const MIT: &str = "Permission is hereby granted, free of charge, to any";

/// The texts that have to go with a crate: of several licences to choose from the shortest, which is MIT's.
fn licence_texts(id: &Id, package: &Package, own: &Own) -> Result<Vec<String>> {
    let licence = package.licence.as_deref().map(expression).unwrap_or_default();
    let words: Vec<&str> = licence.split([' ', '(', ')']).filter(|word| !word.is_empty()).collect();
    let offers = |name: &str| words.contains(&name);
    let all_needed = words.contains(&"AND");
    let texts = texts_in(&package.folder)?;
    if offers("MIT") && !all_needed {
        let mit: Vec<String> = texts.iter().filter(|text| text.contains(MIT)).cloned().collect();
        if !mit.is_empty() {
            return Ok(mit);
        }
    }
    if !texts.is_empty() {
        return Ok(texts);
    }
    if all_needed {
        return Err(lacking(id, "it has no licence text, and needs more than one"));
    }
    if offers("Apache-2.0") {
        return Ok(vec![own.apache.clone()]);
    }
    if offers("MIT") {
        let holder = if package.authors.is_empty() { "its authors".to_owned() } else { package.authors.join(", ") };
        let body = own.mit.find(MIT).map_or("", |start| &own.mit[start..]);
        return Ok(vec![format!("MIT License\n\nCopyright (c) {holder}\n\n{body}")]);
    }
    if offers("CC0-1.0") {
        let waived =
            "CC0 1.0: its authors have waived their rights, https://creativecommons.org/publicdomain/zero/1.0/";
        return Ok(vec![waived.to_owned()]);
    }
    if offers("MPL-2.0") {
        // It asks for its address, and for that of the source.
        let (name, version) = id;
        let source = format!("https://crates.io/crates/{name}/{version}");
        return Ok(vec![format!(
            "Mozilla Public License 2.0, https://mozilla.org/MPL/2.0/. The source, unchanged: {source}"
        )]);
    }
    Err(lacking(id, &format!("it has no licence text, and its licence is `{licence}`")))
}

/// Licence files of a crate, in the order of their names.
fn texts_in(folder: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).doing("list", folder)? {
        let path = entry.doing("list", folder)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let is_licence = ["license", "licence", "copying", "notice", "unlicense", "copyright"]
            .iter()
            .any(|start| name.starts_with(start));
        if is_licence && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    files
        .iter()
        .map(|path| fs::read(path).doing("read", path).map(|text| tidy(&String::from_utf8_lossy(&text))))
        .collect()
}

/// The same text from two crates, without what only editors see.
fn tidy(text: &str) -> String {
    text.trim_start_matches('\u{feff}')
        .lines()
        .map(str::trim_end)
        .collect::<Vec<_>>()
        .join("\n")
        .trim_matches('\n')
        .to_owned()
}

/// Crates of the time before SPDX expressions separate choices by a slash.
fn expression(licence: &str) -> String {
    licence.split('/').map(str::trim).collect::<Vec<_>>().join(" OR ")
}

/// The package URL of a crate.
fn address((name, version): &Id) -> String {
    format!("pkg:cargo/{name}@{version}")
}

fn lacking((name, version): &Id, why: &str) -> Error {
    Error::Supply { name: format!("{name} {version}"), why: why.to_owned() }
}

fn tree(workspace: &Workspace, engine: Engine) -> Result<Tree> {
    let mut command = cargo(&workspace.root);
    command.args(["tree", "--locked", "--package", "ictus", "--target", "wasm32-unknown-unknown"]);
    command.args(["--edges", "normal,no-proc-macro", "--features", engine.features(), "--prefix", "depth"]);
    Ok(tree_of(&process::capture(command.args(["--format", " {p}"]))?))
}

/// Reads lines of a depth, a name, a version with a `v`, and whatever else.
fn tree_of(printed: &str) -> Tree {
    let mut tree = Tree::new();
    let mut above: Vec<Id> = Vec::new();
    for line in printed.lines() {
        let mut words = line.split_whitespace();
        let depth = words.next().and_then(|depth| depth.parse::<usize>().ok());
        let (Some(depth), Some(name), Some(version)) = (depth, words.next(), words.next()) else { continue };
        let id = (name.to_owned(), version.trim_start_matches('v').to_owned());
        above.truncate(depth);
        if let Some(user) = above.last() {
            tree.entry(user.clone()).or_default().insert(id.clone());
        }
        tree.entry(id.clone()).or_default();
        above.push(id);
    }
    tree
}

fn packages(workspace: &Workspace) -> Result<BTreeMap<Id, Package>> {
    let mut command = cargo(&workspace.root);
    command.args(["metadata", "--locked", "--format-version", "1", "--filter-platform", "wasm32-unknown-unknown"]);
    command.args(["--features", Engine::Gpu.features()]);
    let printed: Value = serde_json::from_str(&process::capture(&mut command)?)
        .map_err(|error| Error::Failed { what: "cargo metadata", which: error.to_string() })?;
    let text = |package: &Value, key: &str| package[key].as_str().map(str::to_owned);
    let described = printed["packages"].as_array().into_iter().flatten().filter_map(|package| {
        let id = (text(package, "name")?, text(package, "version")?);
        let authors = package["authors"].as_array().into_iter().flatten();
        let described = Package {
            licence: text(package, "license"),
            authors: authors.filter_map(Value::as_str).map(str::to_owned).collect(),
            repository: text(package, "repository"),
            folder: Path::new(package["manifest_path"].as_str()?).parent()?.to_path_buf(),
        };
        Some((id, described))
    });
    Ok(described.collect())
}

/// Hashes of `Cargo.lock`, which cargo writes a field a line.
fn hashes(lock: &str) -> BTreeMap<Id, String> {
    let mut hashes = BTreeMap::new();
    for entry in lock.split("[[package]]") {
        let field = |name: &str| {
            entry.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = \"")?.strip_suffix('"'))
        };
        if let (Some(name), Some(version), Some(hash)) = (field("name"), field("version"), field("checksum")) {
            hashes.insert((name.to_owned(), version.to_owned()), hash.to_owned());
        }
    }
    hashes
}

/// The weights files of the page.
fn models(workspace: &Workspace) -> Result<BTreeMap<String, Model>> {
    let folder = workspace.www().join("models");
    let mut models = BTreeMap::new();
    for entry in fs::read_dir(&folder).doing("list", &folder)? {
        let path = entry.doing("list", &folder)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if name.ends_with(".safetensors") {
            let bytes = fs::read(&path).doing("read", &path)?;
            let sha256 = crate::dist::hex(&Sha256::digest(&bytes));
            models.insert(format!("models/{name}"), Model { sha256, licence: weights_licence(&bytes) });
        }
    }
    Ok(models)
}

/// What the header of a weights file says of its licence. Safetensors begin with the length of a JSON object.
fn weights_licence(bytes: &[u8]) -> Option<String> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let header: Value = serde_json::from_slice(rest.get(..usize::try_from(u64::from_le_bytes(*length)).ok()?)?).ok()?;
    let ours: Value = serde_json::from_str(header["__metadata__"]["ictus"].as_str()?).ok()?;
    ours["licence"].as_str().filter(|licence| !licence.is_empty()).map(str::to_owned)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> Id {
        (name.to_owned(), "1.0.0".to_owned())
    }

    fn package(folder: &Path, licence: &str) -> Package {
        Package {
            licence: Some(licence.to_owned()),
            authors: vec!["A".into(), "B".into()],
            repository: None,
            folder: folder.to_path_buf(),
        }
    }

    fn own() -> Own {
        Own { apache: "Apache License".into(), mit: format!("Copyright (c) us\n\n{MIT} person") }
    }

    #[test]
    fn who_uses_whom_is_read_from_the_depths() {
        let printed = "0 ictus v1.0.0 (/here)\n1 a v1.0.0\n2 b v1.0.0\n2 c v1.0.0\n1 b v1.0.0\n1 a v1.0.0 (*)\n";
        let tree = tree_of(printed);
        assert_eq!(tree[&id("ictus")], [id("a"), id("b")].into());
        assert_eq!(tree[&id("a")], [id("b"), id("c")].into());
        assert_eq!(tree[&id("b")], [].into());
        assert_eq!(tree.len(), 4);
    }

    #[test]
    fn of_licences_to_choose_from_the_text_of_mit_goes_with_the_crate_and_of_needed_ones_all() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("LICENSE-MIT", MIT), ("LICENSE-APACHE", "apache"), ("readme", "no"), ("UNICODE", "no")] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let texts = |licence| licence_texts(&id("a"), &package(folder.path(), licence), &own()).unwrap();
        assert_eq!(texts("MIT/Apache-2.0"), [MIT]);
        assert_eq!(texts("Apache-2.0 OR MIT"), [MIT]);
        assert_eq!(texts("(MIT OR Apache-2.0) AND Unicode-3.0"), ["apache", MIT]);
    }

    #[test]
    fn a_crate_without_a_text_gets_that_of_its_licence_or_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let texts = |licence| licence_texts(&id("a"), &package(folder.path(), licence), &own());
        assert_eq!(texts("MIT OR Apache-2.0").unwrap(), ["Apache License"]);
        assert_eq!(texts("MIT").unwrap(), [format!("MIT License\n\nCopyright (c) A, B\n\n{MIT} person")]);
        for licence in ["Zlib", "MIT AND Zlib", ""] {
            assert!(texts(licence).unwrap_err().to_string().contains("a 1.0.0"), "{licence}");
        }
    }

    #[test]
    fn every_crate_of_both_engines_has_a_licence_text() {
        let workspace = Workspace::find().unwrap();
        let supply = Supply::gather(&workspace, &Engine::ALL).unwrap();
        let has = |engine: &str, name: &str| supply.trees[engine].keys().any(|(crate_name, _)| crate_name == name);
        assert!(has("cpu", "burn") && has("gpu", "burn") && has("gpu", "wgpu") && !has("cpu", "wgpu"));
        let named: BTreeSet<&Id> = supply.texts.values().flatten().collect();
        assert_eq!(named, supply.trees.values().flat_map(Tree::keys).collect());
        // Its own crate comes from no registry.
        assert_eq!(
            named.iter().filter(|id| !supply.hashes.contains_key(**id)).map(|id| id.0.as_str()).collect::<Vec<_>>(),
            ["ictus"]
        );
    }

    #[test]
    fn hashes_are_those_of_the_lock_file() {
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"x\"\nchecksum = \"ab\"\n\n\
                    [[package]]\nname = \"ictus\"\nversion = \"1.0.0\"\n";
        assert_eq!(hashes(lock), [(id("a"), "ab".to_owned())].into());
    }

    /// Two crates, one of them in both engines.
    fn supply() -> Supply {
        Supply {
            trees: [
                ("cpu", [(id("a"), [].into())].into()),
                ("gpu", [(id("a"), [].into()), (id("b"), [id("a")].into())].into()),
            ]
            .into(),
            packages: [(id("a"), package(Path::new(""), "MIT/Zlib"))].into(),
            hashes: [(id("a"), "ab".to_owned())].into(),
            texts: [("<text> --> of a".to_owned(), [id("a")].into()), ("text of b".to_owned(), [id("b")].into())]
                .into(),
            models: [("models/x".to_owned(), Model { sha256: "cd".into(), licence: None })].into(),
        }
    }

    #[test]
    fn the_list_for_machines_names_every_crate_with_licence_hash_and_engines() {
        let sbom: Value = serde_json::from_slice(&supply().sbom("7")).unwrap();
        assert_eq!([&sbom["bomFormat"], &sbom["specVersion"]], ["CycloneDX", "1.6"]);
        let [a, b, model] = sbom["components"].as_array().unwrap().as_slice() else { panic!("{sbom}") };
        assert_eq!(a["licenses"][0]["expression"], "MIT OR Zlib");
        assert_eq!(a["hashes"][0]["content"], "ab");
        assert_eq!([a, b].map(|it| it["properties"].as_array().unwrap().len()), [2, 1]);
        assert_eq!(model["hashes"][0]["content"], "cd");
        assert_eq!(sbom["dependencies"][1], json!({ "ref": "pkg:cargo/b@1.0.0", "dependsOn": ["pkg:cargo/a@1.0.0"] }));
    }

    #[test]
    fn the_page_of_licences_shows_texts_as_text_and_the_single_file_has_those_of_its_engine() {
        let page = String::from_utf8(supply().notice()).unwrap();
        assert!(page.contains("<h2>a 1.0.0</h2>\n<pre>\n&lt;text&gt; --&gt; of a"), "{page}");
        assert!(page.contains("<h2>b 1.0.0</h2>"), "{page}");
        let comment = supply().comment();
        assert!(comment.contains("==== a 1.0.0") && !comment.contains("b 1.0.0"), "{comment}");
        assert_eq!(comment.find("-->"), Some(comment.len() - 4), "{comment}");
    }
}
