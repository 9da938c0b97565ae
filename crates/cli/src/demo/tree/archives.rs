//! Archives: zip and tar.gz.

use std::io::{self, Cursor, Write};

use flate2::{Compression, GzBuilder};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::chance::Moment;

/// A file in an archive.
pub(super) struct Member {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    /// Without compression (zip only).
    pub(super) stored: bool,
}

impl Member {
    pub(super) fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Member {
        Member { name: name.into(), bytes: bytes.into(), stored: false }
    }
}

/// A zip archive, every member of this date.
pub(super) fn zip(made: Moment, members: &[Member]) -> io::Result<Vec<u8>> {
    let at = made.civil();
    let date = DateTime::from_date_and_time(at.year, at.month, at.day, at.hour, at.minute, at.second);
    let options = SimpleFileOptions::default().last_modified_time(date.unwrap_or_default()).unix_permissions(0o644);
    let mut out = ZipWriter::new(Cursor::new(Vec::new()));
    for member in members {
        let method = if member.stored { CompressionMethod::Stored } else { CompressionMethod::Deflated };
        out.start_file(member.name.as_str(), options.compression_method(method))?;
        out.write_all(&member.bytes)?;
    }
    Ok(out.finish()?.into_inner())
}

/// A gzipped tar archive, every member of this date.
pub(super) fn tar_gz(made: Moment, members: &[Member]) -> io::Result<Vec<u8>> {
    let gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::default());
    let mut out = tar::Builder::new(gzip);
    for member in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(member.bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(made.0);
        out.append_data(&mut header, &member.name, member.bytes.as_slice())?;
    }
    out.into_inner()?.finish()
}
