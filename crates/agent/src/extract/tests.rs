//! Text out of one document of each kind, and no harm from broken or hostile ones (H1).

use std::io::{Cursor, Write};

use super::{ExtractError, ExtractLimits, Kind, Media, metadata, text};

fn zip(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in parts {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn docx() -> Vec<u8> {
    zip(&[
        ("[Content_Types].xml", b"<Types/>"),
        (
            "word/document.xml",
            br#"<?xml version="1.0"?><w:document xmlns:w="w"><w:body>
            <w:p><w:r><w:t>Dear &amp; near</w:t></w:r><w:r><w:t xml:space="preserve"> M&#xfc;ller</w:t></w:r></w:p>
            <w:p><w:r><w:delText>gone</w:delText><w:instrText>PAGE</w:instrText><w:t>a</w:t><w:br/><w:t>b</w:t></w:r></w:p>
            <w:tbl><w:tr><w:tc><w:p><w:r><w:t>x</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>y</w:t></w:r></w:p></w:tc></w:tr></w:tbl>
            </w:body></w:document>"#,
        ),
    ])
}

fn pptx() -> Vec<u8> {
    let slide = |text: &str| format!("<p:sld xmlns:p='p' xmlns:a='a'><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:sld>");
    zip(&[
        ("ppt/presentation.xml", b"<x/>"),
        ("ppt/slides/slide10.xml", slide("last").as_bytes()),
        ("ppt/slides/slide2.xml", slide("middle").as_bytes()),
        ("ppt/slides/slide1.xml", slide("first").as_bytes()),
    ])
}

fn xlsx() -> Vec<u8> {
    let head = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let rel = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let book = format!(
        "{head}<workbook xmlns=\"{main}\" xmlns:r=\"{rel}\"><sheets><sheet name=\"Bills\" sheetId=\"1\" r:id=\"rId1\"/></sheets></workbook>"
    );
    let rels = format!(
        "{head}<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">\
         <Relationship Id=\"rId1\" Type=\"{rel}/worksheet\" Target=\"worksheets/sheet1.xml\"/>\
         <Relationship Id=\"rId2\" Type=\"{rel}/sharedStrings\" Target=\"sharedStrings.xml\"/>\
         <Relationship Id=\"rId3\" Type=\"{rel}/styles\" Target=\"styles.xml\"/></Relationships>"
    );
    let strings = format!("{head}<sst xmlns=\"{main}\"><si><t>Date</t></si><si><t>Sum</t></si></sst>");
    let styles = format!(
        "{head}<styleSheet xmlns=\"{main}\"><cellXfs><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/></cellXfs></styleSheet>"
    );
    let sheet = format!(
        "{head}<worksheet xmlns=\"{main}\"><sheetData>\
         <row r=\"1\"><c r=\"A1\" t=\"s\"><v>0</v></c><c r=\"B1\" t=\"s\"><v>1</v></c></row>\
         <row r=\"2\"><c r=\"A2\" s=\"1\"><v>45121</v></c><c r=\"B2\"><v>12.5</v></c></row>\
         <row r=\"1048576\"><c r=\"XFD1048576\"><v>7</v></c></row></sheetData></worksheet>"
    );
    let top = format!(
        "{head}<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">\
         <Relationship Id=\"rId1\" Type=\"{rel}/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>"
    );
    zip(&[
        ("_rels/.rels", top.as_bytes()),
        ("xl/workbook.xml", book.as_bytes()),
        ("xl/_rels/workbook.xml.rels", rels.as_bytes()),
        ("xl/sharedStrings.xml", strings.as_bytes()),
        ("xl/styles.xml", styles.as_bytes()),
        ("xl/worksheets/sheet1.xml", sheet.as_bytes()),
    ])
}

fn odt() -> Vec<u8> {
    zip(&[
        ("mimetype", b"application/vnd.oasis.opendocument.text"),
        (
            "content.xml",
            br#"<office:document-content xmlns:office="o" xmlns:text="t" xmlns:table="tb"><text:tracked-changes><text:p>old</text:p></text:tracked-changes>
            <text:h>Head</text:h><text:p>one<text:s text:c="3"/>two<text:tab/>three</text:p>
            <table:table><table:table-row><table:table-cell><text:p>1</text:p></table:table-cell><table:table-cell><text:p>2</text:p></table:table-cell></table:table-row></table:table>
            </office:document-content>"#,
        ),
    ])
}

/// A PDF of one page with Helvetica that is not embedded; the content compressed or not.
fn pdf(content: &[u8], compressed: bool) -> Vec<u8> {
    let (data, filter) = if compressed {
        let mut deflate = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        deflate.write_all(content).unwrap();
        (deflate.finish().unwrap(), "/Filter /FlateDecode ")
    } else {
        (content.to_vec(), "")
    };
    let mut out = b"%PDF-1.4\n".to_vec();
    let mut offsets = Vec::new();
    let stream = [format!("<< {filter}/Length {} >>\nstream\n", data.len()).as_bytes(), &data, b"\nendstream"].concat();
    let objects: [&[u8]; 5] = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 5 0 R /Resources << /Font << /F1 4 0 R >> >> >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        &stream,
    ];
    for (n, object) in objects.iter().enumerate() {
        offsets.push(out.len());
        out.extend_from_slice(format!("{} 0 obj\n", n + 1).as_bytes());
        out.extend_from_slice(object);
        out.extend_from_slice(b"\nendobj\n");
    }
    let xref = out.len();
    out.extend_from_slice(b"xref\n0 6\n0000000000 65535 f \n");
    for offset in offsets {
        out.extend_from_slice(format!("{offset:010} 00000 n \n").as_bytes());
    }
    out.extend_from_slice(format!("trailer << /Size 6 /Root 1 0 R >>\nstartxref\n{xref}\n%%EOF\n").as_bytes());
    out
}

fn sample_pdf() -> Vec<u8> {
    pdf(
        b"BT /F1 12 Tf 50 700 Td (Invoice) Tj 60 0 Td (No. 7) Tj -60 -20 Td [(To)-50(tal)-600(12,50 \\200)] TJ ET",
        true,
    )
}

const RTF: &[u8] = br"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}}{\*\generator x;}Gr\'fc\'dfe \u8364?5\par a\tab b {\b bold}\line\{x\}}";
const HTML: &[u8] = b"<!DOCTYPE html><title>T</title><style>p{}</style><p>Hello <b>wor</b>ld &amp;\n all</p><script>var x='</p>';</script>\
    <ul><li>one<li>two</ul><table><tr><td>1</td><td>2</td></tr></table><pre> a\n  b</pre>";

fn samples() -> Vec<(&'static str, Kind, Vec<u8>, &'static str)> {
    vec![
        ("a.docx", Kind::Docx, docx(), "Dear & near M\u{fc}ller\na\nb\nx\ty\n"),
        ("a.pptx", Kind::Pptx, pptx(), "first\n\nmiddle\n\nlast\n\n"),
        (
            "a.xlsx",
            Kind::Xlsx,
            xlsx(),
            "Date\tSum\n2023-07-14\t12.5\n\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t7\n",
        ),
        ("a.odt", Kind::OpenDocument, odt(), "Head\none   two\tthree\n1\t2\n"),
        ("a.pdf", Kind::Pdf, sample_pdf(), "Invoice No. 7\nTotal 12,50 \u{20ac}\n"),
        ("a.rtf", Kind::Rtf, RTF.to_vec(), "Gr\u{fc}\u{df}e \u{20ac}5\na\tb bold\n{x}\n"),
        ("a.html", Kind::Html, HTML.to_vec(), "T\nHello world & all\n- one\n- two\n1\t2\n a\n  b\n"),
        ("a.txt", Kind::Text, "\u{feff}Grüße".as_bytes().to_vec(), "Grüße"),
    ]
}

#[test]
fn every_kind_of_document_gives_its_text() {
    for (name, kind, bytes, want) in samples() {
        let got = text(name.as_bytes(), &bytes, &ExtractLimits::default()).unwrap();
        assert_eq!((got.kind, got.text.as_str(), got.truncated), (kind, want, false), "{name} {:?}", got.warnings);
    }
    let book = zip(&[("META-INF/container.xml", b"<x/>"), ("b/2.xhtml", b"<p>two</p>"), ("b/1.xhtml", b"<p>one</p>")]);
    assert_eq!(text(b"x", &book, &ExtractLimits::default()).unwrap().text, "one\ntwo\n");
}

#[test]
fn encodings_are_told_apart() {
    let check = |bytes: &[u8], want: &str| {
        assert_eq!(text(b"a.txt", bytes, &ExtractLimits::default()).unwrap().text, want);
    };
    check(b"\xff\xfeh\0i\0", "hi");
    check(b"h\0e\0l\0l\0o\0", "hello");
    check(b"\0h\0e\0l\0l\0o", "hello");
    check(b"Gr\xfc\xdfe aus K\xf6ln, sch\xf6ne Gr\xfc\xdfe", "Grüße aus Köln, schöne Grüße");
    check(b"", "");
    let (kana, ..) = encoding_rs::SHIFT_JIS.encode("これは日本語の文章です。");
    check(&kana, "これは日本語の文章です。");
    let page = b"<meta charset=windows-1251><p>\xcf\xf0\xe8\xe2\xe5\xf2</p>";
    assert_eq!(text(b"a.htm", page, &ExtractLimits::default()).unwrap().text, "Привет\n");
}

#[test]
fn what_is_no_document_is_refused() {
    let check = |bytes: &[u8], want: ExtractError| {
        assert_eq!(text(b"x", bytes, &ExtractLimits::default()).unwrap_err(), want);
    };
    check(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0", ExtractError::Unsupported);
    check(&zip(&[("a.txt", b"x")]), ExtractError::Unsupported);
    check(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1....", ExtractError::OldOrLocked);
    let locked = zip(&[
        ("mimetype", b"x"),
        ("content.xml", b"\0\x01"),
        ("META-INF/manifest.xml", b"<m><manifest:encryption-data/></m>"),
    ]);
    check(&locked, ExtractError::Locked);
}

#[test]
fn output_is_cut_at_its_limit() {
    for (name, _, bytes, want) in samples() {
        for limit in [0, 1, 5, 13] {
            let limits = ExtractLimits { text_bytes: limit, ..ExtractLimits::default() };
            let got = text(name.as_bytes(), &bytes, &limits).unwrap();
            assert!(got.text.len() <= limit && got.truncated == (want.len() > limit), "{name} {limit} {got:?}");
        }
    }
}

#[test]
fn truncated_documents_end_in_an_answer() {
    for (name, _, bytes, _) in samples() {
        for end in (0..bytes.len()).step_by(if bytes.len() < 1000 { 1 } else { 64 }) {
            let _ = text(name.as_bytes(), &bytes[..end], &ExtractLimits::default());
            let _ = text(b"", &bytes[..end], &ExtractLimits::default());
            let _ = metadata(Cursor::new(&bytes[..end]), Media::Picture);
            let _ = metadata(Cursor::new(&bytes[..end]), Media::Music);
        }
    }
}

#[test]
fn flipped_bytes_end_in_an_answer() {
    for (name, _, bytes, _) in samples() {
        for at in (0..bytes.len()).step_by(7) {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0xa5;
            let _ = text(name.as_bytes(), &bytes, &ExtractLimits::default());
        }
    }
}

fn refused(bytes: &[u8]) -> String {
    match text(b"x", bytes, &ExtractLimits::default()) {
        Err(ExtractError::TooMuch(why)) => why,
        other => panic!("{:?}", other.map(|got| (got.text.len(), got.warnings))),
    }
}

#[test]
fn bombs_are_refused() {
    let zeroes = vec![b' '; 200 << 20];
    assert!(refused(&zip(&[("word/document.xml", &zeroes)])).contains("bomb"));
    assert!(refused(&zip(&[("xl/workbook.xml", b"<x/>"), ("xl/sharedStrings.xml", &zeroes)])).contains("bomb"));
    assert!(refused(&pdf(&zeroes, true)).contains("bomb"));
    let deep = ["<a>".repeat(100_000), "</a>".repeat(100_000)].concat();
    assert!(refused(&zip(&[("word/document.xml", deep.as_bytes())])).contains("deeper"));
    assert!(refused([b"{\\rtf".as_slice(), &vec![b'{'; 100_000]].concat().as_slice()).contains("deeper"));
    let many: Vec<String> = (0..20_001).map(|n| n.to_string()).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|name| (name.as_str(), b"".as_slice())).collect();
    assert!(refused(&zip(&many)).contains("parts"));
}

#[test]
fn entities_of_a_document_are_not_expanded() {
    // The "billion laughs".
    let xml =
        br#"<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><w:document><w:p><w:t>1&b;2</w:t></w:p></w:document>"#;
    assert_eq!(text(b"x", &zip(&[("word/document.xml", xml)]), &ExtractLimits::default()).unwrap().text, "12\n");
}

#[test]
fn a_pdf_that_draws_for_ever_is_left() {
    // Each form draws the next ten times: 10^12 letters from 2 kB.
    let mut body = b"%PDF-1.4\n1 0 obj << /Type /Catalog /Pages 2 0 R >> endobj\n2 0 obj << /Type /Pages /Kids [3 0 R] /Count 1 >> endobj\n\
        3 0 obj << /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R /Resources << /XObject << /X 10 0 R >> >> >> endobj\n\
        4 0 obj << /Length 5 >>\nstream\n/X Do\nendstream endobj\n"
        .to_vec();
    for n in 10..22 {
        let content = "/X Do ".repeat(10);
        body.extend_from_slice(
            format!(
                "{n} 0 obj << /Type /XObject /Subtype /Form /BBox [0 0 1 1] /Resources << /XObject << /X {} 0 R >> >> /Length {} >>\nstream\n{content}\nendstream endobj\n",
                n + 1, content.len()
            )
            .as_bytes(),
        );
    }
    body.extend_from_slice(b"22 0 obj << /Type /XObject /Subtype /Form /BBox [0 0 1 1] /Length 1 >>\nstream\nq\nendstream endobj\ntrailer << /Root 1 0 R >>\n");
    let got = text(b"x.pdf", &body, &ExtractLimits::default()).unwrap();
    assert!(got.truncated && got.warnings[0].contains("draws more"), "{got:?}");
}
