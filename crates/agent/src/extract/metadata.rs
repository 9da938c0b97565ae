//! What pictures and music say about themselves.

use std::io::{BufReader, Read, Seek};

use lofty::config::ParseOptions;
use lofty::file::TaggedFileExt;
use lofty::probe::Probe;
use lofty::tag::{Accessor, ItemKey};

use super::guarded;

/// Bytes of a picture that are read for its EXIF; a camera's raw file has it at the start, and more is not needed.
const EXIF_BYTES: u64 = 1 << 20;

/// What to look for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Media {
    /// EXIF, in JPEG, TIFF and raw formats built on it, HEIF, PNG and WebP.
    Picture,
    /// ID3, Vorbis comments, MP4 and APE tags.
    Music,
}

/// What a file says about itself. Other people wrote it: fit it before using it as a name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Metadata {
    /// Year, month and day on which the picture was taken, in the camera's local time (EXIF `DateTimeOriginal`, else
    /// `DateTimeDigitized`).
    pub taken: Option<(u16, u8, u8)>,
    /// The album's artist, else the track's.
    pub artist: Option<String>,
    /// Album.
    pub album: Option<String>,
    /// Title.
    pub title: Option<String>,
}

/// Reads what a file says about itself. A file that says nothing, or that cannot be parsed, gives an empty answer: the
/// one who asks has other ways to go on.
pub fn metadata<R: Read + Seek>(reader: R, media: Media) -> Metadata {
    let read = || match media {
        Media::Picture => Metadata { taken: taken(reader), ..Metadata::default() },
        Media::Music => tags(reader).unwrap_or_default(),
    };
    guarded(read).unwrap_or_default()
}

fn taken<R: Read + Seek>(reader: R) -> Option<(u16, u8, u8)> {
    let mut reader = BufReader::with_capacity(4096, Capped { inner: reader, left: EXIF_BYTES });
    let exif = exif::Reader::new().continue_on_error(true).read_from_container(&mut reader);
    let exif = exif.or_else(|e| e.distill_partial_result(|_| ())).ok()?;
    [exif::Tag::DateTimeOriginal, exif::Tag::DateTimeDigitized].iter().find_map(|tag| {
        let exif::Value::Ascii(lines) = &exif.get_field(*tag, exif::In::PRIMARY)?.value else { return None };
        let when = exif::DateTime::from_ascii(lines.first()?).ok()?;
        // Cameras without a clock write zeroes.
        let real = (1826..=2200).contains(&when.year) && (1..=12).contains(&when.month) && (1..=31).contains(&when.day);
        real.then_some((when.year, when.month, when.day))
    })
}

fn tags<R: Read + Seek>(reader: R) -> Option<Metadata> {
    let options = ParseOptions::new().read_properties(false).read_cover_art(false);
    let file =
        Probe::new(BufReader::with_capacity(4096, reader)).guess_file_type().ok()?.options(options).read().ok()?;
    let tag = file.primary_tag().or_else(|| file.first_tag())?;
    let filled = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    Some(Metadata {
        taken: None,
        artist: tag
            .get_string(ItemKey::AlbumArtist)
            .and_then(filled)
            .or_else(|| tag.artist().as_deref().and_then(filled)),
        album: tag.album().as_deref().and_then(filled),
        title: tag.title().as_deref().and_then(filled),
    })
}

/// A reader that ends after so many bytes have been read.
struct Capped<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Capped<R> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let got = (&mut self.inner).take(self.left).read(buf)?;
        self.left -= got as u64;
        Ok(got)
    }
}

impl<R: Seek> Seek for Capped<R> {
    fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
        self.inner.seek(to)
    }
}
