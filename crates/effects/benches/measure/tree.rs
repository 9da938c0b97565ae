//! A tree such as people have: 20,000 small files of words, 200 of 5 MiB, half of them noise and half of them words.
//! Always the same one.

use std::path::Path;

use raincoat_testkit::measure::{Result, said};

/// Folders of small files, ten of them with twenty each, and files in each.
const FOLDERS: usize = 200;
const A_FOLDER: usize = 100;
/// Files of [`LARGE`] bytes.
const LARGE_FILES: usize = 200;
const LARGE: usize = 5 << 20;
/// What a large file of words is pieced together from.
const WORDS: usize = 1 << 20;
const PIECE: usize = 64 << 10;

/// Makes it in an empty folder.
pub(crate) fn make(dir: &Path) -> Result<()> {
    let mut chance = Chance(0x5ca1_ab1e_0dd5_eed5);
    let words: Vec<String> = (0..20_000)
        .map(|_| {
            let bits = [12, 20, 28][chance.below(3)];
            format!("w{:x}", chance.next() >> (64 - bits))
        })
        .collect();
    for folder in 0..FOLDERS {
        let path = dir.join(format!("docs/{:02}/{:02}", folder / 20, folder % 20));
        std::fs::create_dir_all(&path).map_err(said)?;
        for file in 0..A_FOLDER {
            let size = chance.lognormal(7.9, 0.9).clamp(64.0, 32768.0) as usize;
            std::fs::write(path.join(format!("f{file:03}.txt")), text(&mut chance, &words, size)).map_err(said)?;
        }
    }
    let media = dir.join("media");
    std::fs::create_dir_all(&media).map_err(said)?;
    let source = text(&mut chance, &words, WORDS);
    for file in 0..LARGE_FILES {
        let mut content = Vec::with_capacity(LARGE);
        while content.len() < LARGE {
            if file % 2 == 0 {
                content.extend_from_slice(&chance.next().to_ne_bytes());
            } else {
                let at = chance.below(WORDS - PIECE);
                content.extend_from_slice(&source[at..at + PIECE]);
            }
        }
        std::fs::write(media.join(format!("m{file:03}.bin")), content).map_err(said)?;
    }
    Ok(())
}

/// So many bytes of words.
fn text(chance: &mut Chance, words: &[String], size: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(size + 16);
    while text.len() < size {
        text.extend_from_slice(words[chance.below(words.len())].as_bytes());
        text.push(b' ');
    }
    text.truncate(size);
    text
}

/// SplitMix64 (Steele, Lea and Flood, 2014): the same numbers every time.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, most: usize) -> usize {
        (self.next() % most as u64) as usize
    }

    /// Between 0 and 1, neither of them.
    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// By Box and Muller's transform.
    fn lognormal(&mut self, mean: f64, deviation: f64) -> f64 {
        let (radius, angle) = ((-2.0 * self.unit().ln()).sqrt(), std::f64::consts::TAU * self.unit());
        (mean + deviation * radius * angle.cos()).exp()
    }
}
