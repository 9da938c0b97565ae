//! Spreadsheets of Office Open XML, cell by cell as they come: a sheet that claims a million columns costs nothing.

use std::io::Cursor;

use calamine::{DataRef, Reader, Xlsx, XlsxError};

use super::{ExtractError, Out};

/// Empty cells between two that are written out as such.
const MOST_GAP: u32 = 32;

pub(super) fn xlsx(bytes: &[u8], out: &mut Out) -> Result<(), ExtractError> {
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).map_err(broken)?;
    let sheets = book.sheet_names();
    let several = sheets.len() > 1;
    for name in sheets {
        if out.is_full() {
            break;
        }
        if several {
            out.end_line();
            out.push(&format!("[{name}]\n"));
        }
        let mut cells = match book.worksheet_cells_reader(&name) {
            Ok(cells) => cells,
            // A sheet may be a chart.
            Err(XlsxError::NotAWorksheet(_)) => continue,
            Err(e) => return Err(broken(e)),
        };
        let mut at = (0, 0);
        while let Some(cell) = cells.next_cell().map_err(broken)? {
            let (row, column) = cell.get_position();
            let Some(text) = shown(cell.get_value()) else { continue };
            if row != at.0 {
                out.end_line();
                at = (row, 0);
            }
            for _ in 0..column.saturating_sub(at.1).min(MOST_GAP) {
                out.push("\t");
            }
            at.1 = column;
            out.push(&text.replace(['\n', '\r', '\t'], " "));
            if out.is_full() {
                break;
            }
        }
        out.end_line();
    }
    Ok(())
}

/// A cell's value as text; `None` for an empty one.
fn shown(value: &DataRef<'_>) -> Option<String> {
    Some(match value {
        DataRef::Empty => return None,
        DataRef::Int(n) => n.to_string(),
        DataRef::Float(n) => n.to_string(),
        DataRef::String(text) => text.clone(),
        DataRef::SharedString(text) => (*text).to_owned(),
        DataRef::Bool(b) => b.to_string(),
        DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => text.clone(),
        DataRef::Error(e) => e.to_string(),
        DataRef::DateTime(when) if when.is_datetime() => {
            let (year, month, day, hour, minute, second, _) = when.to_ymd_hms_milli();
            match (hour, minute, second) {
                (0, 0, 0) => format!("{year:04}-{month:02}-{day:02}"),
                _ => format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"),
            }
        }
        DataRef::DateTime(span) => {
            let secs = (span.as_f64() * 86_400.0).round();
            format!("{}:{:02}:{:02}", (secs / 3600.0).trunc(), (secs / 60.0).trunc() % 60.0, secs % 60.0)
        }
    })
}

fn broken(error: XlsxError) -> ExtractError {
    match error {
        XlsxError::Password => ExtractError::Locked,
        other => ExtractError::Malformed(other.to_string()),
    }
}
