//! Tables as tools print them: between bars, or in columns; and lines with labels below a title. Every line of a block has
//! to be a row of it: a cell that somebody wrote line breaks into makes text of the whole block.

use super::Records;

/// None where the text has no table.
pub(super) fn parse(text: &str) -> Option<Records> {
    let mut out = Records::default();
    let top = out.record(None);
    let mut prose: Vec<&str> = Vec::new();
    let mut found = false;
    let lines: Vec<&str> = text.lines().collect();
    for block in lines.split(|line| line.trim().is_empty()) {
        // A title may stand right above a table.
        let table = (0..block.len().min(2)).find_map(|from| rows(block.get(from..)?).map(|rows| (from, rows)));
        let Some((from, (header, rows))) = table else {
            let Some((title, labelled)) = labelled(block) else {
                prose.extend(block);
                continue;
            };
            found = true;
            let record = out.record(Some(top));
            out.leaf(record, "", title.to_owned(), true);
            for (label, value) in labelled {
                out.leaf(record, &format!(".{label}"), value.to_owned(), true);
            }
            continue;
        };
        found = true;
        prose.extend(block.iter().take(from));
        for row in rows {
            let record = out.record(Some(top));
            for (name, cell) in header.iter().zip(row) {
                out.leaf(record, &format!(".{name}"), cell, true);
            }
        }
    }
    if !prose.is_empty() {
        out.leaf(top, "", prose.join("\n"), false);
    }
    found.then_some(out)
}

/// A short title, and below it nothing but lines such as `late: Omar Reyes`.
fn labelled<'t>(block: &[&'t str]) -> Option<(&'t str, Vec<(&'t str, &'t str)>)> {
    let (title, rest) = block.split_first()?;
    let label = |label: &str| label.len() <= 24 && label.split_whitespace().count() <= 3 && !label.contains(['.', '/']);
    let pair = |line: &&'t str| line.split_once(": ").or(line.strip_suffix(':').map(|label| (label, "")));
    let pairs: Vec<_> = rest.iter().map(pair).collect::<Option<_>>()?;
    let whole = pairs.len() >= 2 && pairs.iter().all(|(name, _)| label(name));
    (whole && title.chars().count() <= 60 && !title.contains(['.', '@'])).then_some((*title, pairs))
}

type Rows = (Vec<String>, Vec<Vec<String>>);

fn rows(block: &[&str]) -> Option<Rows> {
    let (header, rest) = block.split_first()?;
    let barred = header.contains('|') && rest.first().is_some_and(|line| is_rule(line));
    let rest = rest.iter().filter(|line| !is_rule(line));
    if barred {
        let header = cells(header);
        let rows: Vec<Vec<String>> = rest.map(|line| cells(line)).collect();
        let whole = header.len() >= 2 && !rows.is_empty() && rows.iter().all(|row| row.len() == header.len());
        return whole.then_some((header, rows));
    }
    let columns = columns(header);
    let names: Vec<String> = cut(header, &columns)?;
    let heads = names.iter().all(|name| !name.is_empty() && name.chars().count() <= 24 && !name.contains([':', '@']));
    let rows: Vec<Vec<String>> = rest.map(|line| cut(line, &columns)).collect::<Option<_>>()?;
    let enough = columns.len() >= 3 && !rows.is_empty() || columns.len() == 2 && rows.len() >= 2;
    (heads && enough).then_some((names, rows))
}

/// `|---|---|`, `+-----+`, `=====`.
fn is_rule(line: &str) -> bool {
    let line = line.trim();
    line.len() >= 3 && line.contains(['-', '=']) && line.chars().all(|c| "-=+|: ".contains(c))
}

fn cells(line: &str) -> Vec<String> {
    let line = line.trim();
    let line = line.strip_prefix('|').unwrap_or(line);
    let line = line.strip_suffix('|').unwrap_or(line);
    line.split('|').map(|cell| cell.trim().to_owned()).collect()
}

/// Where the columns of a header start, in characters: after two spaces or a tab.
fn columns(header: &str) -> Vec<usize> {
    let chars: Vec<char> = header.trim_end().chars().collect();
    let gap = |at: usize| chars.get(at).is_none_or(|c| *c == '\t' || *c == ' ');
    let starts = |at: &usize| {
        let at = *at;
        !gap(at) && (at == 0 || chars.get(at - 1) == Some(&'\t') || at >= 2 && gap(at - 1) && gap(at - 2))
    };
    (0..chars.len()).filter(starts).collect()
}

/// A line cut where the columns start; None where a cell reaches over.
fn cut(line: &str, columns: &[usize]) -> Option<Vec<String>> {
    if line.contains('\t') {
        let cells: Vec<String> = line.split('\t').map(|cell| cell.trim().to_owned()).collect();
        return (cells.len() == columns.len()).then_some(cells);
    }
    let chars: Vec<char> = line.chars().collect();
    let fits = |at: &usize| *at == 0 || chars.get(*at - 1).is_none_or(|c| *c == ' ');
    if columns.len() < 2 || chars.first() == Some(&' ') || !columns.iter().all(fits) {
        return None;
    }
    let ends = columns.iter().skip(1).copied().chain([chars.len().max(columns.last().copied().unwrap_or(0))]);
    let cell = |(from, to): (usize, usize)| chars.iter().take(to).skip(from).collect::<String>().trim().to_owned();
    Some(columns.iter().copied().zip(ends).map(cell).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let leaves = parse(text).map(|records| records.leaves).unwrap_or_default();
        leaves.iter().map(|leaf| format!("{} {} {}", leaf.record, leaf.column, leaf.text)).collect()
    }

    #[test]
    fn tables_fall_into_rows_and_columns() {
        let barred = "Two people\n\n| id | name |\n|----|------|\n| 1  | Ann B |\n| 2  |      |\n";
        assert_eq!(shown(barred), ["1 .id 1", "1 .name Ann B", "2 .id 2", "0  Two people"]);
        let aligned = "Open:\nID   OWNER      DUE\n17   Ann Bell   2025-01-02\n18              2025-01-03\n";
        let cells = ["1 .ID 17", "1 .OWNER Ann Bell", "1 .DUE 2025-01-02", "2 .ID 18", "2 .DUE 2025-01-03", "0  Open:"];
        assert_eq!(shown(aligned), cells);
        assert_eq!(shown("a\tb\tc\n1\t2\t3\n"), ["1 .a 1", "1 .b 2", "1 .c 3"]);
    }

    #[test]
    fn lines_with_labels_are_fields() {
        let leaves = ["1  Rota, 2 July", "1 .early Ines", "1 .late Omar"];
        assert_eq!(shown("Rota, 2 July\nearly: Ines\nlate: Omar\n"), leaves);
        assert!(shown("Rota\nearly: Ines\nlate: Omar\nPlease write to eve@x.example\n").is_empty());
    }

    #[test]
    fn a_cell_with_line_breaks_makes_text_of_its_table() {
        assert!(shown("| id | note |\n|--|--|\n| 1 | see below |\n| 2 | x |\nmore |\n").is_empty());
        assert!(shown("| id | note | by |\n|--|--|--|\n| 1 | a\n| 2 | eve@x.example | | Ann |\n").is_empty());
        assert!(shown("Dear all,\nplease write to us. Many thanks.\n").is_empty());
    }
}
