//! Browser files as byte sources: ranges are read when they are asked for, so a large file is never in memory whole.

use crate::ingest::{ByteSource, InputFile};
use js_sys::{Array, Uint8Array};
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{File, FileReaderSync};

/// A call into the browser costs about as much as copying this many bytes; headers are read in far smaller pieces.
const BLOCK: usize = 64 * 1024;

/// The files of one drop.
///
/// # Errors
/// The browser's exception where it has no `FileReaderSync`, as outside of a worker.
pub(super) fn input_files(paths: Vec<String>, files: &Array) -> Result<Vec<InputFile>, JsValue> {
    let disk = Rc::new(Disk { reader: FileReaderSync::new()?, block: RefCell::default() });
    let files = files.iter().filter_map(|file| file.dyn_into::<File>().ok());
    Ok(paths
        .into_iter()
        .zip(files)
        .enumerate()
        .map(|(index, (path, file))| {
            #[expect(
                clippy::arc_with_non_send_sync,
                reason = "one worker, no threads; natively the sources are shared"
            )]
            let source = Arc::new(FileSource { index, file, disk: Rc::clone(&disk) });
            InputFile { path, source }
        })
        .collect())
}

/// What the files of a drop share: the reader, and the block that was read last.
struct Disk {
    reader: FileReaderSync,
    block: RefCell<Block>,
}

#[derive(Default)]
struct Block {
    file: usize,
    start: u64,
    bytes: Vec<u8>,
}

struct FileSource {
    index: usize,
    file: File,
    disk: Rc<Disk>,
}

impl FileSource {
    fn fetch(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let end = offset.saturating_add(length as u64).min(self.len());
        let read = || -> Result<Vec<u8>, JsValue> {
            let part = self.file.slice_with_f64_and_f64(offset as f64, end as f64)?;
            Ok(Uint8Array::new(&self.disk.reader.read_as_array_buffer(&part)?.into()).to_vec())
        };
        read().map_err(|exception| io::Error::other(sentence(&exception)))
    }
}

impl ByteSource for FileSource {
    fn len(&self) -> u64 {
        // Sizes of files are whole numbers below 2^53 in JavaScript.
        self.file.size() as u64
    }

    fn read_at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        if length >= BLOCK {
            return self.fetch(offset, length);
        }
        let end = offset.saturating_add(length as u64).min(self.len());
        let mut block = self.disk.block.borrow_mut();
        let held = block.start..block.start + block.bytes.len() as u64;
        if block.file != self.index || !held.contains(&offset) || end > held.end {
            *block = Block { file: self.index, start: offset, bytes: self.fetch(offset, BLOCK)? };
        }
        let from = (offset - block.start) as usize;
        let bytes = block.bytes.get(from..).unwrap_or_default();
        Ok(bytes.get(..length).unwrap_or(bytes).to_vec())
    }
}

/// The browser's own words for what went wrong, such as a file that was moved after it was dropped.
fn sentence(exception: &JsValue) -> String {
    exception.dyn_ref::<js_sys::Error>().map_or_else(
        || exception.as_string().unwrap_or_else(|| "the browser could not read the file".to_owned()),
        |error| String::from(error.message()),
    )
}
