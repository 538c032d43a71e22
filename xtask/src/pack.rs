//! Makes an engine smaller to send without changing what it does.
//!
//! Generic code leaves thousands of functions that are equal, and more that are nearly so, far from each other in the file.
//! Equal ones become one (what linkers call identical code folding), and the rest is put in the order of their names, so that what
//! is alike lies within the 32 KB that gzip looks back.

use crate::error::{Doing, Error, Result};
use std::collections::HashMap;
use std::convert::Infallible;
use std::fs;
use std::hash::Hash;
use std::path::Path;
use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{CodeSection, FunctionSection, Module};
use wasmparser::{
    BinaryReaderError, CodeSectionReader, CustomSectionReader, FunctionBody, FunctionSectionReader, KnownCustom, Name,
    Operator, Parser, Payload, TypeRef,
};

/// Packs the file in place; its names, which only the order needs, go.
pub(crate) fn pack(path: &Path) -> Result<()> {
    let wasm = fs::read(path).doing("read", path)?;
    let packed = packed(&wasm).map_err(|why| Error::Pack { path: path.to_path_buf(), why: why.to_string() })?;
    fs::write(path, packed).doing("write", path)
}

fn packed(wasm: &[u8]) -> std::result::Result<Vec<u8>, reencode::Error> {
    let functions = Functions::read(wasm)?;
    let mut packer = Packer::new(&functions, &functions.classes()?);
    let mut module = Module::new();
    packer.parse_core_module(&mut module, Parser::new(0), wasm)?;
    Ok(module.finish())
}

/// The functions that a module defines. Everywhere in it they are numbered from the imported ones on.
#[derive(Default)]
struct Functions<'a> {
    imported: u32,
    types: Vec<u32>,
    bodies: Vec<FunctionBody<'a>>,
    names: Vec<&'a str>,
}

impl<'a> Functions<'a> {
    fn read(wasm: &'a [u8]) -> std::result::Result<Self, BinaryReaderError> {
        let mut functions = Self::default();
        let mut named = HashMap::new();
        for payload in Parser::new(0).parse_all(wasm) {
            match payload? {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        functions.imported += u32::from(matches!(import?.ty, TypeRef::Func(_)));
                    }
                }
                Payload::FunctionSection(section) => {
                    functions.types = section.into_iter().collect::<std::result::Result<_, _>>()?;
                }
                Payload::CodeSectionEntry(body) => functions.bodies.push(body),
                Payload::CustomSection(section) => {
                    let KnownCustom::Name(names) = section.as_known() else { continue };
                    for part in names {
                        let Name::Function(names) = part? else { continue };
                        for naming in names {
                            let naming = naming?;
                            named.insert(naming.index, naming.name);
                        }
                    }
                }
                _ => {}
            }
        }
        let indices = functions.imported..;
        functions.names =
            indices.zip(&functions.bodies).map(|(index, _)| named.get(&index).copied().unwrap_or_default()).collect();
        Ok(functions)
    }

    /// A number for each function, the same for those that cannot be told apart: equal instructions, and where they name
    /// functions, ones that cannot be told apart either.
    ///
    /// Classes start as functions equal but for the functions that they name, and are split until nothing splits any more.
    fn classes(&self) -> std::result::Result<Vec<u32>, BinaryReaderError> {
        let mut skeletons = Interner::default();
        let mut named = Vec::with_capacity(self.bodies.len());
        let mut classes = Vec::with_capacity(self.bodies.len());
        for (&kind, body) in self.types.iter().zip(&self.bodies) {
            let (skeleton, functions) = skeleton(body)?;
            classes.push(skeletons.number((kind, skeleton)));
            named.push(functions);
        }
        let mut count = skeletons.len();
        loop {
            let mut finer = Interner::default();
            // An imported function is like none other.
            let class = |function: &u32| match function.checked_sub(self.imported) {
                Some(defined) => (true, classes.get(defined as usize).copied().unwrap_or_default()),
                None => (false, *function),
            };
            classes = (classes.iter().zip(&named))
                .map(|(&own, named)| finer.number((own, named.iter().map(class).collect::<Vec<_>>())))
                .collect();
            if finer.len() == count {
                return Ok(classes);
            }
            count = finer.len();
        }
    }
}

/// The bytes of a function without the numbers of the functions that it names, and these numbers.
fn skeleton(body: &FunctionBody) -> std::result::Result<(Vec<u8>, Vec<u32>), BinaryReaderError> {
    let start = body.range().start;
    let bytes = body.as_bytes();
    let mut skeleton = Vec::with_capacity(bytes.len());
    let mut named = Vec::new();
    let mut copied = 0;
    let mut reader = body.get_operators_reader()?;
    while !reader.eof() {
        let operator = reader.original_position() - start;
        let (Operator::Call { function_index: function }
        | Operator::ReturnCall { function_index: function }
        | Operator::RefFunc { function_index: function }) = reader.read()?
        else {
            continue;
        };
        named.push(function);
        // All three are one byte before the number.
        skeleton.extend_from_slice(&bytes[copied..=operator]);
        copied = reader.original_position() - start;
    }
    skeleton.extend_from_slice(&bytes[copied..]);
    Ok((skeleton, named))
}

/// Numbers different things from 0 on.
struct Interner<T>(HashMap<T, u32>);

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Hash + Eq> Interner<T> {
    fn number(&mut self, thing: T) -> u32 {
        let next = self.len();
        *self.0.entry(thing).or_insert(next)
    }

    fn len(&self) -> u32 {
        self.0.len() as u32
    }
}

/// Writes the module again with the functions that are left, in their new order.
struct Packer<'a> {
    functions: &'a Functions<'a>,
    /// The functions that are left, as they were numbered among the defined ones.
    order: Vec<usize>,
    /// New number of each function, the imported ones included.
    renumbered: Vec<u32>,
}

impl<'a> Packer<'a> {
    fn new(functions: &'a Functions<'a>, classes: &[u32]) -> Self {
        let mut first = HashMap::new();
        for (function, &class) in classes.iter().enumerate() {
            first.entry(class).or_insert(function);
        }
        let mut order: Vec<usize> = first.values().copied().collect();
        order.sort_by_key(|&function| {
            let name = functions.names.get(function).copied().unwrap_or_default();
            let body = functions.bodies.get(function).map(FunctionBody::as_bytes).unwrap_or_default();
            (without_hash(name), body, function)
        });
        let mut place = HashMap::new();
        for (new, &function) in order.iter().enumerate() {
            place.insert(classes[function], functions.imported + new as u32);
        }
        let renumbered = (0..functions.imported).chain(classes.iter().map(|class| place[class])).collect();
        Self { functions, order, renumbered }
    }
}

/// What the function was written as: names end in `::h` and a hash of their own.
fn without_hash(name: &str) -> &str {
    match name.rsplit_once("::h") {
        Some((name, hash)) if hash.len() == 16 && hash.bytes().all(|digit| digit.is_ascii_hexdigit()) => name,
        _ => name,
    }
}

impl Reencode for Packer<'_> {
    type Error = Infallible;

    fn function_index(&mut self, function: u32) -> std::result::Result<u32, reencode::Error> {
        Ok(self.renumbered[function as usize])
    }

    fn parse_function_section(
        &mut self,
        section: &mut FunctionSection,
        _: FunctionSectionReader<'_>,
    ) -> std::result::Result<(), reencode::Error> {
        for &function in &self.order {
            section.function(self.functions.types[function]);
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        section: &mut CodeSection,
        _: CodeSectionReader<'_>,
    ) -> std::result::Result<(), reencode::Error> {
        for index in 0..self.order.len() {
            let body = self.functions.bodies[self.order[index]].clone();
            self.parse_function_body(section, body)?;
        }
        Ok(())
    }

    fn parse_custom_section(
        &mut self,
        module: &mut Module,
        section: CustomSectionReader<'_>,
    ) -> std::result::Result<(), reencode::Error> {
        if matches!(section.as_known(), KnownCustom::Name(_)) {
            return Ok(());
        }
        reencode::utils::parse_custom_section(self, module, section)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_encoder::{
        ConstExpr, ElementSection, Elements, ExportKind, ExportSection, Function, ImportSection, NameMap, NameSection,
        RefType, TableSection, TableType, TypeSection,
    };

    /// A module of functions without arguments and results, named and exported, with all of them in a table as well. Two
    /// functions are imported: 0 and 1.
    fn module(functions: &[(&str, Function)]) -> Vec<u8> {
        let (mut types, mut imports, mut defined) = (TypeSection::new(), ImportSection::new(), FunctionSection::new());
        let (mut tables, mut exports, mut elements) =
            (TableSection::new(), ExportSection::new(), ElementSection::new());
        let (mut code, mut names) = (CodeSection::new(), NameMap::new());
        types.ty().function([], []);
        for name in ["first", "second"] {
            imports.import("host", name, wasm_encoder::EntityType::Function(0));
        }
        for (index, (name, body)) in (2..).zip(functions) {
            defined.function(0);
            exports.export(name, ExportKind::Func, index);
            names.append(index, name);
            code.function(body);
        }
        let count = functions.len() as u64;
        tables.table(TableType {
            element_type: RefType::FUNCREF,
            table64: false,
            minimum: count,
            maximum: None,
            shared: false,
        });
        let indices: Vec<u32> = (2..).take(functions.len()).collect();
        elements.active(None, &ConstExpr::i32_const(0), Elements::Functions(indices.into()));
        let mut section = NameSection::new();
        section.functions(&names);
        let mut module = Module::new();
        module.section(&types).section(&imports).section(&defined).section(&tables).section(&exports);
        module.section(&elements).section(&code).section(&section);
        module.finish()
    }

    fn calls(functions: &[u32]) -> Function {
        let mut body = Function::new([]);
        for &function in functions {
            body.instructions().call(function);
        }
        body.instructions().end();
        body
    }

    type Read = (HashMap<String, u32>, Vec<u32>, HashMap<u32, Vec<u32>>);

    /// What each export names, what the table holds, and what each function that is left calls.
    fn read(wasm: &[u8]) -> Read {
        let (mut exports, mut table) = (HashMap::new(), Vec::new());
        for payload in Parser::new(0).parse_all(wasm) {
            match payload.unwrap() {
                Payload::ExportSection(section) => {
                    exports.extend(
                        section.into_iter().map(|export| export.unwrap()).map(|e| (e.name.to_owned(), e.index)),
                    );
                }
                Payload::ElementSection(section) => {
                    for element in section {
                        let wasmparser::ElementItems::Functions(functions) = element.unwrap().items else { continue };
                        table.extend(functions.into_iter().map(|function| function.unwrap()));
                    }
                }
                _ => {}
            }
        }
        let functions = Functions::read(wasm).unwrap();
        let calls = functions.bodies.iter().map(|body| skeleton(body).unwrap().1);
        (exports, table, (functions.imported..).zip(calls).collect())
    }

    #[test]
    fn equal_functions_become_one_and_every_way_to_them_leads_to_it() {
        let wasm = module(&[("b", calls(&[0])), ("a", calls(&[0])), ("c", calls(&[1])), ("d", calls(&[2, 3, 4]))]);
        let (exports, table, calls) = read(&packed(&wasm).unwrap());
        assert_eq!(calls.len(), 3);
        assert_eq!(exports["a"], exports["b"]);
        assert_eq!(calls[&exports["a"]], [0]);
        assert_eq!(calls[&exports["c"]], [1]);
        assert_eq!(calls[&exports["d"]], [exports["a"], exports["a"], exports["c"]]);
        assert_eq!(table, ["b", "a", "c", "d"].map(|name| exports[name]));
    }

    #[test]
    fn functions_that_call_equal_ones_are_equal_even_in_a_circle() {
        // 2 and 3 call each other, so do 4 and 5; 6 calls itself and the import.
        let wasm = module(&[
            ("a", calls(&[3])),
            ("b", calls(&[2, 0])),
            ("c", calls(&[5])),
            ("d", calls(&[4, 0])),
            ("e", calls(&[6, 0])),
        ]);
        let (exports, _, calls) = read(&packed(&wasm).unwrap());
        assert_eq!(exports["a"], exports["c"]);
        assert_eq!(exports["b"], exports["d"]);
        assert_ne!(exports["e"], exports["b"]);
        assert_eq!(calls[&exports["e"]], [exports["e"], 0]);
        assert_eq!(calls.len(), 3);
    }

    #[test]
    fn functions_are_put_in_the_order_of_their_names() {
        let hash = "::h0123456789abcdef";
        let wasm = module(&[
            (&format!("z{hash}"), calls(&[0])),
            (&format!("y{hash}"), calls(&[0, 0])),
            ("yy", calls(&[0, 0, 0])),
        ]);
        let (exports, ..) = read(&packed(&wasm).unwrap());
        assert_eq!([&format!("y{hash}"), "yy", &format!("z{hash}")].map(|name| exports[name]), [2, 3, 4]);
    }
}
