//! Text out of documents, in the worker, from bytes in memory: nothing here opens a file or a socket.
//!
//! Documents come from strangers. Everything has a limit ([`ExtractLimits`]), nothing recurses by a document's will,
//! and entities are never expanded.

mod html;
mod metadata;
mod office;
mod package;
mod pdf;
mod plain;
mod rtf;
mod sheet;
#[cfg(test)]
mod tests;

pub use metadata::{Media, Metadata, metadata};

/// Upper bounds for one document.
#[derive(Clone, Debug)]
pub struct ExtractLimits {
    /// Bytes of text that come out; more is cut off and said.
    pub text_bytes: usize,
    /// Entries in a zipped document.
    pub entries: usize,
    /// Bytes that a document may unpack to, all parts together.
    pub unpacked_bytes: u64,
    /// How many times its own size a document may unpack to, beyond 16 MiB.
    pub ratio: u64,
    /// How deep elements or groups may nest.
    pub depth: usize,
    /// Drawing operations of a PDF.
    pub steps: u64,
}

impl Default for ExtractLimits {
    fn default() -> Self {
        ExtractLimits {
            text_bytes: 4 << 20,
            entries: 20_000,
            unpacked_bytes: 256 << 20,
            ratio: 200,
            depth: 256,
            steps: 5_000_000,
        }
    }
}

impl ExtractLimits {
    /// Bytes that a document of this size may unpack to.
    fn budget(&self, size: usize) -> u64 {
        self.unpacked_bytes.min((size as u64).saturating_mul(self.ratio).max(16 << 20))
    }
}

/// What sort of document it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// PDF (ISO 32000).
    Pdf,
    /// A word processor's file of Office Open XML (ECMA-376).
    Docx,
    /// A spreadsheet of Office Open XML.
    Xlsx,
    /// A presentation of Office Open XML.
    Pptx,
    /// An OpenDocument file (OASIS ODF 1.3): text, spreadsheet or presentation.
    OpenDocument,
    /// An electronic book (EPUB).
    Epub,
    /// HTML.
    Html,
    /// Rich Text Format 1.9.
    Rtf,
    /// Plain text.
    Text,
}

/// The text of a document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Extracted {
    /// What it was.
    pub kind: Kind,
    /// Its text: paragraphs and rows end in a newline, cells are divided by tabs.
    pub text: String,
    /// There was more text than the limit allows.
    pub truncated: bool,
    /// What the reader should know, in words, such as pages that could not be read.
    pub warnings: Vec<String>,
}

/// Why there is no text.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ExtractError {
    /// No format that is known here, or no text at all.
    #[error("no text can be taken out of this sort of file; open it with its own program")]
    Unsupported,
    /// An old Office format, or a newer one behind a password: both look alike from outside.
    #[error("this is an old Office file or one with a password; save it as .docx, .xlsx or PDF without a password")]
    OldOrLocked,
    /// It needs a password.
    #[error("the document is locked with a password; save it without one")]
    Locked,
    /// It is broken.
    #[error("the document cannot be read ({0}); it may be damaged: open it with its own program")]
    Malformed(String),
    /// It goes over a limit.
    #[error("the document is refused: {0}")]
    TooMuch(String),
}

/// Takes the text out of a document. The format is told by content; the name helps only between HTML and plain text.
///
/// # Errors
/// [`ExtractError`] says why there is none.
pub fn text(name: &[u8], bytes: &[u8], limits: &ExtractLimits) -> Result<Extracted, ExtractError> {
    let mut out = Out { text: String::new(), limit: limits.text_bytes, truncated: false, warnings: Vec::new() };
    let kind = guarded(|| read(name, bytes, limits, &mut out))
        .unwrap_or_else(|| Err(ExtractError::Malformed("its parser gave up".to_owned())))?;
    Ok(Extracted { kind, text: out.text, truncated: out.truncated, warnings: out.warnings })
}

fn read(name: &[u8], bytes: &[u8], limits: &ExtractLimits, out: &mut Out) -> Result<Kind, ExtractError> {
    let start = bytes.get(..bytes.len().min(1024)).unwrap_or_default();
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        return package::read(bytes, limits, out);
    }
    if start.windows(5).any(|w| w == b"%PDF-") {
        return pdf::read(bytes, limits, out).map(|()| Kind::Pdf);
    }
    if bytes.starts_with(b"{\\rtf") {
        return rtf::read(bytes, limits, out).map(|()| Kind::Rtf);
    }
    if bytes.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
        return Err(ExtractError::OldOrLocked);
    }
    if html::is_html(name, start) {
        return html::read(&html::decode(bytes), out).map(|()| Kind::Html);
    }
    plain::read(bytes, out).map(|()| Kind::Text)
}

/// Runs a parser of somebody else's format and turns a panic within it into `None`. Parsers of such formats are large
/// and their inputs hostile; this is the one edge where a panic is caught, so that one bad file ends in an error and
/// not the run. (The worker's own limits on memory and time stand beside it.)
fn guarded<T>(parse: impl FnOnce() -> T) -> Option<T> {
    // What the parser was at when it fell is dropped or, in the case of text, thrown away by the caller.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(parse)).ok()
}

/// Text on its way out, with its limit.
struct Out {
    text: String,
    limit: usize,
    truncated: bool,
    warnings: Vec<String>,
}

impl Out {
    /// Adds text; what is over the limit is cut off.
    fn push(&mut self, text: &str) {
        let room = self.limit.saturating_sub(self.text.len());
        if text.len() <= room {
            self.text.push_str(text);
            return;
        }
        self.truncated = true;
        let end = (0..=room).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
        self.text.push_str(text.get(..end).unwrap_or_default());
        self.limit = self.text.len();
    }

    /// Ends the line, if there is something on it.
    fn end_line(&mut self) {
        while self.text.ends_with([' ', '\t']) {
            self.text.pop();
        }
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.push("\n");
        }
    }

    /// Nothing more fits.
    fn is_full(&self) -> bool {
        self.truncated
    }
}
