//! Documents that are zip archives: which they are, and their parts under a limit.

use std::io::{Cursor, Read};

use zip::ZipArchive;
use zip::result::ZipError;

use super::{ExtractError, ExtractLimits, Kind, Out, html, office, sheet};

pub(super) fn read(bytes: &[u8], limits: &ExtractLimits, out: &mut Out) -> Result<Kind, ExtractError> {
    let mut parts = Parts::open(bytes, limits)?;
    if parts.has("word/document.xml") {
        return office::docx(&mut parts, limits, out).map(|()| Kind::Docx);
    }
    if parts.has("xl/workbook.xml") {
        // The spreadsheet's parser unpacks by itself, and a document names its parts as it likes: all are measured.
        parts.measure()?;
        return sheet::xlsx(bytes, out).map(|()| Kind::Xlsx);
    }
    if parts.has("ppt/presentation.xml") {
        return office::pptx(&mut parts, limits, out).map(|()| Kind::Pptx);
    }
    if parts.has("mimetype") && parts.has("content.xml") {
        if parts.has("META-INF/manifest.xml") && parts.text("META-INF/manifest.xml")?.contains("encryption-data") {
            return Err(ExtractError::Locked);
        }
        let content = parts.text("content.xml")?;
        return office::open_document(&content, limits, out).map(|()| Kind::OpenDocument);
    }
    if parts.has("META-INF/container.xml") {
        let mut pages: Vec<String> = parts.names().filter(|name| html::is_html(name.as_bytes(), b"")).collect();
        pages.sort_by_key(|name| natural(name));
        for page in pages {
            html::read(&parts.text(&page)?, out)?;
        }
        return Ok(Kind::Epub);
    }
    Err(ExtractError::Unsupported)
}

/// A key by which `slide10` comes after `slide9`.
pub(super) fn natural(name: &str) -> Vec<(String, u64)> {
    let mut key = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let text = rest.bytes().take_while(|b| !b.is_ascii_digit()).count();
        let (word, after) = rest.split_at_checked(text).unwrap_or((rest, ""));
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = after.split_at_checked(digits).unwrap_or((after, ""));
        key.push((word.to_owned(), number.parse().unwrap_or(0)));
        rest = after;
    }
    key
}

/// The parts of a package, unpacked under one budget.
pub(super) struct Parts<'b> {
    zip: ZipArchive<Cursor<&'b [u8]>>,
    left: u64,
}

impl<'b> Parts<'b> {
    fn open(bytes: &'b [u8], limits: &ExtractLimits) -> Result<Parts<'b>, ExtractError> {
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
        if zip.len() > limits.entries {
            return Err(ExtractError::TooMuch(format!("it has {} parts, the limit is {}", zip.len(), limits.entries)));
        }
        Ok(Parts { zip, left: limits.budget(bytes.len()) })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.zip.index_for_name(name).is_some()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        self.zip.file_names().flatten().map(|name| name.into_owned())
    }

    /// One part, as text.
    pub(super) fn text(&mut self, name: &str) -> Result<String, ExtractError> {
        let mut bytes = Vec::new();
        self.unpack(name, |chunk| bytes.extend_from_slice(chunk))?;
        Ok(match encoding_rs::Encoding::for_bom(&bytes) {
            Some((encoding, _)) => encoding.decode(&bytes).0.into_owned(),
            None => String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()),
        })
    }

    /// Unpacks parts only to see that they stay within the budget.
    fn measure(&mut self) -> Result<(), ExtractError> {
        let names: Vec<String> = self.names().collect();
        names.iter().try_for_each(|name| self.unpack(name, |_| {}))
    }

    fn unpack(&mut self, name: &str, mut each: impl FnMut(&[u8])) -> Result<(), ExtractError> {
        let mut part = self.zip.by_name(name).map_err(broken)?;
        let mut buf = vec![0; 64 << 10];
        loop {
            let got = part.read(&mut buf).map_err(|e| ExtractError::Malformed(e.to_string()))?;
            if got == 0 {
                return Ok(());
            }
            self.left = self.left.checked_sub(got as u64).ok_or_else(|| {
                ExtractError::TooMuch("it unpacks to far more than its size, as a decompression bomb does".to_owned())
            })?;
            each(buf.get(..got).unwrap_or_default());
        }
    }
}

fn broken(error: ZipError) -> ExtractError {
    match error {
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => ExtractError::Locked,
        other => ExtractError::Malformed(other.to_string()),
    }
}
