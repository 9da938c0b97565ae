//! Server-sent events (WHATWG HTML, "Server-sent events", parsing), fed in pieces of any size.

use crate::ReplyError;

/// Puts lines together and events out of lines. Only the data of events is kept: names, ids and retry times mean
/// nothing in this dialect.
#[derive(Debug, Default)]
pub(crate) struct Sse {
    line: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    after_cr: bool,
    begun: bool,
}

impl Sse {
    /// Takes bytes and hands each completed event's data to `event`.
    pub(crate) fn feed(
        &mut self,
        bytes: &[u8],
        limit: u64,
        event: &mut impl FnMut(&[u8]) -> Result<(), ReplyError>,
    ) -> Result<(), ReplyError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if std::mem::take(&mut self.after_cr)
                && let Some(after) = rest.strip_prefix(b"\n")
            {
                rest = after;
                continue;
            }
            let end = rest.iter().position(|b| matches!(b, b'\n' | b'\r'));
            let (piece, after) = rest.split_at(end.unwrap_or(rest.len()));
            if (self.line.len() + self.data.len() + piece.len()) as u64 > limit {
                return Err(ReplyError::Limit { what: "bytes in one event", limit });
            }
            self.line.extend_from_slice(piece);
            rest = after;
            if let Some((ending, after)) = after.split_first() {
                self.after_cr = *ending == b'\r';
                rest = after;
                self.line_done(event)?;
            }
        }
        Ok(())
    }

    /// The bytes have ended. The specification drops an event without its blank line; servers forget the blank line,
    /// so it counts here.
    pub(crate) fn finish(&mut self, event: &mut impl FnMut(&[u8]) -> Result<(), ReplyError>) -> Result<(), ReplyError> {
        if !self.line.is_empty() {
            self.line_done(event)?;
        }
        self.dispatch(event)
    }

    fn line_done(&mut self, event: &mut impl FnMut(&[u8]) -> Result<(), ReplyError>) -> Result<(), ReplyError> {
        let line = std::mem::take(&mut self.line);
        let mut text = line.as_slice();
        if !std::mem::replace(&mut self.begun, true) {
            text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        }
        if text.is_empty() {
            self.dispatch(event)?;
        } else if let Some(value) = text.strip_prefix(b"data") {
            let value = match value.split_first() {
                None => Some(value),
                Some((b':', value)) => Some(value.strip_prefix(b" ").unwrap_or(value)),
                Some(_) => None,
            };
            if let Some(value) = value {
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
            }
        }
        // The buffer's memory serves the next line.
        self.line = line;
        self.line.clear();
        Ok(())
    }

    fn dispatch(&mut self, event: &mut impl FnMut(&[u8]) -> Result<(), ReplyError>) -> Result<(), ReplyError> {
        if !std::mem::take(&mut self.has_data) {
            return Ok(());
        }
        let out = event(&self.data);
        self.data.clear();
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(pieces: &[&[u8]]) -> Vec<String> {
        let mut out = Vec::new();
        let mut sse = Sse::default();
        let mut take = |data: &[u8]| {
            out.push(String::from_utf8_lossy(data).into_owned());
            Ok(())
        };
        for piece in pieces {
            sse.feed(piece, 1000, &mut take).unwrap();
        }
        sse.finish(&mut take).unwrap();
        out
    }

    #[test]
    fn every_line_ending_comment_and_field_of_the_specification_is_read() {
        assert_eq!(
            events(&[b"\xef\xbb\xbfdata: a\r\ndata: b\r\n\r\n:ping\nevent: x\ndata:c\n\nid: 1\n\n"]),
            ["a\nb", "c"]
        );
        assert_eq!(events(&[b"data: a\rdata: b\r\rdata\r\r"]), ["a\nb", ""]);
        assert_eq!(events(&[b"data: a\r", b"\n\r", b"\ndata: b"]), ["a", "b"]);
        assert_eq!(events(&[b"dataset: a\n\n"]), Vec::<String>::new());
    }

    #[test]
    fn a_line_without_end_is_given_up_at_the_limit() {
        let mut sse = Sse::default();
        let mut none = |_: &[u8]| Ok(());
        let out = (0..100).try_for_each(|_| sse.feed(b"data: xxxx", 500, &mut none));
        assert_eq!(out, Err(ReplyError::Limit { what: "bytes in one event", limit: 500 }));
    }
}
