//! Archives that no honest program makes.

use std::fs;
use std::io::Write;
use std::path::Path;

use tar::{EntryType, Header};

/// An entry: kind, name, link target, content.
pub type Entry<'a> = (EntryType, &'a [u8], &'a [u8], &'a [u8]);

/// A regular file.
pub fn file<'a>(name: &'a str, content: &'a str) -> Entry<'a> {
    (EntryType::Regular, name.as_bytes(), b"", content.as_bytes())
}

/// A link of a kind.
pub fn link<'a>(kind: EntryType, name: &'a str, target: &'a str) -> Entry<'a> {
    (kind, name.as_bytes(), target.as_bytes(), b"")
}

/// A tar with names exactly as they are given, which the crate's own builder would refuse.
pub fn tar_of(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (kind, name, target, content) in entries {
        let mut header = Header::new_ustar();
        let fields = header.as_old_mut();
        fields.name[..name.len()].copy_from_slice(name);
        fields.linkname[..target.len()].copy_from_slice(target);
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

pub fn tar(at: &Path, entries: &[Entry<'_>]) {
    fs::write(at, tar_of(entries)).unwrap();
}

pub fn tar_gz(at: &Path, entries: &[Entry<'_>]) {
    let mut gz = flate2::write::GzEncoder::new(fs::File::create(at).unwrap(), flate2::Compression::best());
    gz.write_all(&tar_of(entries)).unwrap();
    gz.finish().unwrap();
}

/// A zip: names with content, and names of symlinks with targets.
pub fn zip(at: &Path, files: &[(&str, &[u8])], links: &[(&str, &str)]) {
    let mut zip = zip::ZipWriter::new(fs::File::create(at).unwrap());
    let options = zip::write::SimpleFileOptions::default();
    for (name, target) in links {
        zip.add_symlink(*name, *target, options).unwrap();
    }
    for (name, content) in files {
        zip.start_file(*name, options).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap();
}

/// A zip of a few kilobytes that grows to this many bytes.
pub fn bomb(at: &Path, bytes: usize) {
    zip(at, &[("zeros", &vec![0; bytes])], &[]);
}
