//! PDF to text: the pages are drawn on a device that keeps only letters and where they stand.

use std::io::{BufRead, BufReader, Read};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use flate2::read::ZlibDecoder;
use hayro_interpret::font::GlyphRun;
use hayro_interpret::hayro_cmap::BfString;
use hayro_interpret::hayro_syntax::{DecryptionError, LoadPdfError, Pdf};
use hayro_interpret::kurbo::{Affine, BezPath, Point, Rect};
use hayro_interpret::{
    BlendMode, ClipPath, Context, Device, DrawMode, DrawProps, Image, ImageDrawProps, InterpreterCache,
    InterpreterSettings, SoftMask, interpret_page,
};

use super::{ExtractError, ExtractLimits, Out};

/// What entering a form costs of the steps, beside what it draws: it is unpacked and read anew each time.
const FORM_STEPS: u64 = 50;

pub(super) fn read(bytes: &[u8], limits: &ExtractLimits, out: &mut Out) -> Result<(), ExtractError> {
    refuse_bombs(bytes, limits)?;
    let pdf = Pdf::new(bytes.to_vec()).map_err(|e| match e {
        LoadPdfError::Decryption(DecryptionError::PasswordProtected) => ExtractError::Locked,
        LoadPdfError::Decryption(_) => ExtractError::Malformed("its encryption is not known here".to_owned()),
        LoadPdfError::Invalid => ExtractError::Malformed("it is no PDF that can be read".to_owned()),
    })?;
    let cache = InterpreterCache::new();
    let mut letters = Letters { out, left: limits.steps, last: None, unknown: 0 };
    let mut broken = 0;
    for page in pdf.pages().iter() {
        if letters.out.is_full() {
            break;
        }
        letters.last = None;
        let area = Rect::new(0.0, 0.0, 1.0, 1.0);
        let settings = InterpreterSettings::default();
        let mut context = Context::new(Affine::IDENTITY, area, &cache, pdf.xref(), settings);
        // A page that cannot be drawn leaves the others readable.
        let drawn = catch_unwind(AssertUnwindSafe(|| interpret_page(page, &mut context, &mut letters)));
        match drawn {
            Err(why) if why.is::<Enough>() => break,
            Err(_) => broken += 1,
            Ok(()) => {}
        }
        letters.out.end_line();
    }
    let Letters { left, unknown, .. } = letters;
    if left == 0 {
        out.truncated = true;
        out.warnings.push("the document draws more than the limit; the rest was left out".to_owned());
    }
    if broken > 0 {
        out.warnings.push(format!("{broken} pages could not be read"));
    }
    if unknown > 0 {
        out.warnings.push(format!("{unknown} characters have no known letter and were left out"));
    }
    if out.text.trim().is_empty() && !pdf.pages().is_empty() {
        out.warnings.push("there is no text in it; the pages may be scanned pictures".to_owned());
    }
    Ok(())
}

/// Streams that unpack to more than the limit refuse the document, before the parser would unpack them whole. Looked
/// for by what a zlib stream begins with, and within it once more, as filters can be chained.
fn refuse_bombs(bytes: &[u8], limits: &ExtractLimits) -> Result<(), ExtractError> {
    let too_much =
        || ExtractError::TooMuch("it unpacks to far more than its size, as a decompression bomb does".to_owned());
    let mut left = limits.budget(bytes.len());
    // Streams lie side by side. Ones that overlap, so that the same bytes are unpacked again and again, are no accident.
    let mut read_left = (bytes.len() as u64).saturating_mul(4).saturating_add(1 << 20);
    let mut rest = bytes;
    while let Some(at) = rest.windows(6).position(|w| w == b"stream") {
        rest = rest.get(at + 6..).unwrap_or_default();
        let data = rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n")).unwrap_or(rest);
        if is_zlib(data) {
            let mut packed = ZlibDecoder::new(data);
            let mut once = BufReader::new(&mut packed);
            let twice = once.fill_buf().is_ok_and(is_zlib);
            let unpacked = if twice { count(ZlibDecoder::new(once), left) } else { count(once, left) };
            left = left.checked_sub(unpacked).ok_or_else(too_much)?;
            read_left = read_left.checked_sub(packed.total_in()).ok_or_else(too_much)?;
        }
    }
    Ok(())
}

fn is_zlib(data: &[u8]) -> bool {
    matches!(data, [a, b, ..] if a & 0x0f == 8 && (u16::from(*a) << 8 | u16::from(*b)).is_multiple_of(31))
}

/// Bytes that come out of a reader until it ends or fails, or one more than `most`.
fn count(mut reader: impl Read, most: u64) -> u64 {
    let mut buf = vec![0; 64 << 10];
    let mut all = 0;
    while let Ok(got @ 1..) = reader.read(&mut buf) {
        all += got as u64;
        if all > most {
            break;
        }
    }
    all
}

/// Thrown through the interpreter to leave it early; it has no other way out.
struct Enough;

/// The device. It keeps letters, in the order in which they are drawn, which is nearly always that of reading.
struct Letters<'o> {
    out: &'o mut Out,
    left: u64,
    last: Option<Last>,
    unknown: u64,
}

/// Where the last letter ended, and how large it was.
struct Last {
    end: Point,
    size: f64,
}

impl Letters<'_> {
    fn step(&mut self, cost: u64) {
        self.left = self.left.saturating_sub(cost);
        if self.left == 0 || self.out.is_full() {
            resume_unwind(Box::new(Enough));
        }
    }

    fn letter(&mut self, text: &str, from: Point, end: Point, size: f64) {
        if let Some(last) = &self.last {
            let size = last.size.max(size).max(0.01);
            let (dx, dy) = ((from.x - last.end.x) / size, (from.y - last.end.y) / size);
            if dy.abs() > 0.6 || dx < -2.0 {
                self.out.end_line();
            } else if dx > 0.15 && !self.out.text.ends_with([' ', '\n']) && !text.starts_with(' ') {
                self.out.push(" ");
            }
        }
        self.out.push(text);
        self.last = Some(Last { end, size });
    }
}

impl<'a> Device<'a> for Letters<'_> {
    fn draw_path(&mut self, _: &BezPath, _: DrawProps<'a>, _: &DrawMode) {
        self.step(1);
    }

    fn push_clip_path(&mut self, _: &ClipPath) {
        self.step(FORM_STEPS);
    }

    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'a>>, _: BlendMode) {
        self.step(FORM_STEPS);
    }

    fn draw_glyph_run(&mut self, run: &GlyphRun<'_, 'a>, props: DrawProps<'a>, _: &DrawMode) {
        for glyph in run.glyphs() {
            self.step(1);
            let text = match glyph.as_unicode() {
                Some(BfString::Char(c)) => c.to_string(),
                Some(BfString::String(text)) => text,
                None => {
                    self.unknown += 1;
                    continue;
                }
            };
            let advance = match &**glyph {
                hayro_interpret::font::Glyph::Outline(glyph) => glyph.advance_width(),
                hayro_interpret::font::Glyph::Type3(glyph) => glyph.advance_width(),
            };
            // Glyph space has a thousand units to the em (ISO 32000-1, 9.2.4).
            let place = props.transform * glyph.transform();
            let from = place * Point::ZERO;
            let end = place * Point::new(advance.map_or(500.0, f64::from), 0.0);
            let size = (place * Point::new(0.0, 1000.0) - from).hypot();
            let text: String = text.chars().filter(|c| !c.is_control()).collect();
            self.letter(&text, from, end, size);
        }
    }

    fn draw_image(&mut self, _: Image<'a, '_>, _: ImageDrawProps<'a>) {
        self.step(1);
    }

    fn pop_clip(&mut self) {}

    fn pop_transparency_group(&mut self) {}
}
