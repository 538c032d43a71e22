//! Reading through [`ByteSource`]: a seekable reader over it, and whole reads with a limit.

use super::{ByteSource, Fault, InputFile};
use std::io::{self, Read, Seek, SeekFrom};

/// [`Read`] and [`Seek`] over a [`ByteSource`], with a window so that small reads do not each reach the platform.
pub(super) struct SourceReader<'a> {
    source: &'a dyn ByteSource,
    position: u64,
    window: Vec<u8>,
    window_start: u64,
    window_bytes: usize,
}

impl<'a> SourceReader<'a> {
    /// A reader at the start of `source` that fetches `window_bytes` at a time.
    pub(super) fn new(source: &'a dyn ByteSource, window_bytes: usize) -> Self {
        Self { source, position: 0, window: Vec::new(), window_start: 0, window_bytes: window_bytes.max(1) }
    }

    /// The bytes from the position on that are in the window, fetching it anew where there are none.
    fn available(&mut self) -> io::Result<&[u8]> {
        let inside = |start: u64, position: u64, length: usize| {
            position.checked_sub(start).and_then(|at| usize::try_from(at).ok()).filter(|&at| at < length)
        };
        if inside(self.window_start, self.position, self.window.len()).is_none() {
            self.window = self.source.read_at(self.position, self.window_bytes)?;
            self.window_start = self.position;
        }
        let at = inside(self.window_start, self.position, self.window.len()).unwrap_or(self.window.len());
        Ok(self.window.get(at..).unwrap_or_default())
    }
}

impl Read for SourceReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.available()?;
        let count = available.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(available) {
            *to = *from;
        }
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for SourceReader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (base, offset) = match to {
            SeekFrom::Start(position) => (position, 0),
            SeekFrom::End(offset) => (self.source.len(), offset),
            SeekFrom::Current(offset) => (self.position, offset),
        };
        self.position = base.checked_add_signed(offset).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

/// Reads a file whole, after checking its length against `limit`.
pub(super) fn read_whole(file: &InputFile, limit: u64) -> Result<Vec<u8>, Fault> {
    let length = file.source.len();
    if length > limit {
        return Err(Fault::too_many_bytes(&file.path, length, limit));
    }
    let length = usize::try_from(length).map_err(|_| Fault::too_many_bytes(&file.path, length, limit))?;
    let bytes = file.source.read_at(0, length).map_err(|error| Fault::unreadable(&file.path, &error))?;
    if bytes.len() < length {
        let detail = format!("{} of {length} bytes came", bytes.len());
        return Err(Fault::Truncated { path: file.path.clone(), detail });
    }
    Ok(bytes)
}

/// The last component of a `/`-separated path.
pub(super) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The path without its last component; empty at the root of the drop.
pub(super) fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reader_gives_the_bytes_whatever_the_window() {
        let bytes: Vec<u8> = (0..=255).collect();
        for window in [1, 7, 256, 1000] {
            let mut reader = SourceReader::new(&bytes, window);
            let mut all = Vec::new();
            reader.read_to_end(&mut all).unwrap();
            assert_eq!(all, bytes);
            reader.seek(SeekFrom::End(-2)).unwrap();
            let mut tail = [0; 2];
            reader.read_exact(&mut tail).unwrap();
            assert_eq!(tail, [254, 255]);
        }
    }

    #[test]
    fn seeking_before_the_start_is_an_error() {
        let bytes = vec![0_u8; 4];
        assert!(SourceReader::new(&bytes, 4).seek(SeekFrom::Current(-1)).is_err());
    }
}
