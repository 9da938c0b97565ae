//! Pictures and music, small but whole: what these write, any viewer shows and any player plays.

use std::io::{self, Write};

use flate2::{Compression, Crc, write::ZlibEncoder};

use super::chance::{Chance, Civil};

/// A photo: a mosaic of 8 by 8 squares, as a baseline JPEG (ITU-T T.81) with EXIF 2.3 that says when and with what it was
/// taken.
pub(super) fn jpeg(chance: &mut Chance, columns: u16, rows: u16, taken: Civil, model: &str) -> Vec<u8> {
    let mut out = vec![0xff, 0xd8];
    segment(&mut out, 0xe1, &exif(taken, model));
    // One quantisation table: 8 for the only coefficient that is ever used, the mean of a square.
    segment(&mut out, 0xdb, &[&[0_u8][..], &[8; 64]].concat());
    let (width, height) = ((columns * 8).to_be_bytes(), (rows * 8).to_be_bytes());
    let mut frame = vec![8];
    frame.extend_from_slice(&height);
    frame.extend_from_slice(&width);
    frame.extend_from_slice(&[3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0]);
    segment(&mut out, 0xc0, &frame);
    // The standard's table K.3 for means, and a table that knows nothing but "end of block" for the rest.
    segment(&mut out, 0xc4, &[&[0x00][..], &DC_LENGTHS, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]].concat());
    segment(&mut out, 0xc4, &[&[0x10][..], &AC_LENGTHS, &[0]].concat());
    segment(&mut out, 0xda, &[3, 1, 0, 2, 0, 3, 0, 0, 63, 0]);

    let mut bits = Bits { out, pending: 0, count: 0 };
    let (tint_blue, tint_red) = (i32::from(chance.byte()) / 4 - 32, i32::from(chance.byte()) / 4 - 32);
    let mut last = [0; 3];
    for row in 0..i32::from(rows) {
        for _ in 0..columns {
            let light = 90 - row * 180 / i32::from(rows) + i32::from(chance.byte() % 24);
            let square = [light.clamp(-128, 127), tint_blue + row / 2, tint_red - row / 2];
            for (mean, last) in square.into_iter().zip(&mut last) {
                bits.mean(mean - *last);
                *last = mean;
            }
        }
    }
    let mut out = bits.finish();
    out.extend_from_slice(&[0xff, 0xd9]);
    out
}

/// How many codes there are of each length, 1 to 16.
const DC_LENGTHS: [u8; 16] = [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0];
const AC_LENGTHS: [u8; 16] = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

fn segment(out: &mut Vec<u8>, marker: u8, body: &[u8]) {
    out.extend_from_slice(&[0xff, marker]);
    out.extend_from_slice(&(u16::try_from(body.len()).unwrap_or(0) + 2).to_be_bytes());
    out.extend_from_slice(body);
}

struct Bits {
    out: Vec<u8>,
    pending: u32,
    count: u32,
}

impl Bits {
    /// The difference of a square's mean from the one before, and the end of its block.
    fn mean(&mut self, difference: i32) {
        let size = 32 - difference.unsigned_abs().leading_zeros();
        let (code, length) = match size {
            0 => (0b00, 2),
            1..=5 => (0b010 + size - 1, 3),
            longer => ((1 << (longer - 2)) - 2, longer - 2),
        };
        self.put(code, length);
        let value = if difference < 0 { difference - 1 } else { difference };
        self.put(value.cast_unsigned() & ((1 << size) - 1), size);
        self.put(0, 1);
    }

    fn put(&mut self, code: u32, length: u32) {
        self.pending = (self.pending << length) | code;
        self.count += length;
        while self.count >= 8 {
            self.count -= 8;
            let byte = (self.pending >> self.count).to_le_bytes()[0];
            self.out.push(byte);
            // A byte of ones is followed by zeroes, so that no data looks like a marker.
            if byte == 0xff {
                self.out.push(0);
            }
        }
    }

    fn finish(mut self) -> Vec<u8> {
        if self.count > 0 {
            let fill = 8 - self.count;
            self.put((1 << fill) - 1, fill);
        }
        self.out
    }
}

/// EXIF in a little-endian TIFF: maker, model, date; in the sub-directory version and date of the shot.
fn exif(taken: Civil, model: &str) -> Vec<u8> {
    let Civil { year, month, day, hour, minute, second } = taken;
    let date = format!("{year:04}:{month:02}:{day:02} {hour:02}:{minute:02}:{second:02}\0");
    let (maker, model) = ("Raincoat Optical\0", format!("{model}\0"));
    // Header 8, four entries of 12 with count and link, two entries likewise; then the texts.
    let (second_dir, texts) = (8 + 2 + 4 * 12 + 4, 8 + 2 + 4 * 12 + 4 + 2 + 2 * 12 + 4);
    let length = |text: &str| u32::try_from(text.len()).unwrap_or(0);
    let (at_model, at_date) = (texts + length(maker), texts + length(maker) + length(&model));
    let mut out = b"Exif\0\0II*\0\x08\0\0\0".to_vec();
    let entry = |out: &mut Vec<u8>, tag: u16, kind: u16, count: u32, value: u32| {
        out.extend_from_slice(&tag.to_le_bytes());
        out.extend_from_slice(&kind.to_le_bytes());
        out.extend_from_slice(&count.to_le_bytes());
        out.extend_from_slice(&value.to_le_bytes());
    };
    out.extend_from_slice(&4_u16.to_le_bytes());
    entry(&mut out, 0x010f, 2, length(maker), texts);
    entry(&mut out, 0x0110, 2, length(&model), at_model);
    entry(&mut out, 0x0132, 2, length(&date), at_date);
    entry(&mut out, 0x8769, 4, 1, second_dir);
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&2_u16.to_le_bytes());
    entry(&mut out, 0x9000, 7, 4, u32::from_le_bytes(*b"0230"));
    entry(&mut out, 0x9003, 2, length(&date), at_date);
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(maker.as_bytes());
    out.extend_from_slice(model.as_bytes());
    out.extend_from_slice(date.as_bytes());
    out
}

/// A screenshot: coloured bars, as a PNG (RFC 2083).
pub(super) fn png(chance: &mut Chance, width: u32, height: u32) -> io::Result<Vec<u8>> {
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    // 8 bits a channel, red-green-blue, the only compression and filter there are, not interlaced.
    header.extend_from_slice(&[8, 2, 0, 0, 0]);
    chunk(&mut out, *b"IHDR", &header);
    chunk(&mut out, *b"tEXt", b"Software\0Raincoat demo");
    let mut pixels = ZlibEncoder::new(Vec::new(), Compression::fast());
    let mut colour = [0; 3];
    for row in 0..height {
        if row % 20 == 0 {
            colour = [chance.byte(), chance.byte(), chance.byte()];
        }
        pixels.write_all(&[0])?;
        pixels.write_all(&colour.repeat(width as usize))?;
    }
    chunk(&mut out, *b"IDAT", &pixels.finish()?);
    chunk(&mut out, *b"IEND", &[]);
    Ok(out)
}

fn chunk(out: &mut Vec<u8>, kind: [u8; 4], body: &[u8]) {
    let mut crc = Crc::new();
    crc.update(&kind);
    crc.update(body);
    out.extend_from_slice(&u32::try_from(body.len()).unwrap_or(0).to_be_bytes());
    out.extend_from_slice(&kind);
    out.extend_from_slice(body);
    out.extend_from_slice(&crc.sum().to_be_bytes());
}

/// What an MP3 says about itself.
pub(super) struct Tags<'a> {
    pub(super) artist: &'a str,
    pub(super) album: &'a str,
    pub(super) title: &'a str,
    pub(super) track: u64,
    pub(super) year: u16,
}

/// A piece of silence: MPEG-1 layer III at 32 kbit/s, 44.1 kHz, one channel, behind an ID3v2.3 tag.
pub(super) fn mp3(tags: &Tags<'_>, frames: usize) -> Vec<u8> {
    let mut body = Vec::new();
    let (track, year) = (tags.track.to_string(), tags.year.to_string());
    for (id, text) in
        [(b"TIT2", tags.title), (b"TPE1", tags.artist), (b"TALB", tags.album), (b"TRCK", &track), (b"TYER", &year)]
    {
        let mut frame = vec![1, 0xff, 0xfe];
        frame.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
        body.extend_from_slice(id);
        body.extend_from_slice(&u32::try_from(frame.len()).unwrap_or(0).to_be_bytes());
        body.extend_from_slice(&[0, 0]);
        body.extend_from_slice(&frame);
    }
    let mut out = b"ID3\x03\0\0".to_vec();
    // Seven bits a byte.
    out.extend([21, 14, 7, 0].map(|shift| ((body.len() >> shift) & 0x7f).to_le_bytes()[0]));
    out.extend_from_slice(&body);
    // A header, then 100 bytes of nothing: no part of the spectrum is coded, and that is silence.
    let mut silence = vec![0xff, 0xfb, 0x10, 0xc4];
    silence.resize(104, 0);
    out.extend(silence.repeat(frames));
    out
}
