//! How many tokens a text is, about.

/// An estimate of the tokens in a text, on the high side: one for every 3.5 bytes of ASCII and one for every 2 bytes
/// of anything else. The common tokenisers (o200k, Llama 3, Qwen) make 3.6 to 4.5 bytes of English or code into one
/// token and 2 to 3 bytes of Cyrillic, Arabic or Chinese in UTF-8. Dense data (hex, base64, minified code) can take
/// more than this says, so the loop also corrects it by what the provider reports as used.
pub fn estimate(text: &[u8]) -> u64 {
    let ascii = text.iter().filter(|b| b.is_ascii()).count() as u64;
    let other = text.len() as u64 - ascii;
    (ascii * 2).div_ceil(7) + other.div_ceil(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_grows_with_the_text_and_is_on_the_high_side() {
        assert_eq!(estimate(b""), 0);
        assert_eq!(estimate(b"a"), 1);
        assert!(estimate("The quick brown fox jumps over the lazy dog.".as_bytes()) >= 10);
        assert!(estimate("文字文字文字".as_bytes()) >= 6);
    }
}
