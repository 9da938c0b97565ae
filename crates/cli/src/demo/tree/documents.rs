//! Documents: PDF, Word, Excel, OpenDocument; each the smallest that its programs open without a word.

use std::io;

use super::archives::{Member, zip};
use super::chance::Moment;

/// A PDF 1.4 of a page a chapter, each a heading and lines of text (ISO 32000-1; text beyond Latin-1 is left out).
pub(super) fn pdf(title: &str, made: Moment, pages: &[Vec<String>]) -> Vec<u8> {
    let date = made.civil();
    let numbers: Vec<String> = (0..pages.len()).map(|index| format!("{} 0 R", 5 + index * 2)).collect();
    let mut objects = vec![
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        format!("<< /Type /Pages /Kids [{}] /Count {} >>", numbers.join(" "), pages.len()).into_bytes(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_vec(),
        [
            b"<< /Title (".as_slice(),
            &pdf_text(title),
            format!(") /CreationDate (D:{}Z) >>", date.compact().replace('_', "")).as_bytes(),
        ]
        .concat(),
    ];
    for (index, lines) in pages.iter().enumerate() {
        let content = 6 + index * 2;
        objects.push(
            format!(
                "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {content} 0 R \
                 /Resources << /Font << /F1 3 0 R >> >> >>"
            )
            .into_bytes(),
        );
        let mut stream = b"BT /F1 18 Tf 72 770 Td (".to_vec();
        stream.extend(pdf_text(title));
        stream.extend_from_slice(b") Tj /F1 11 Tf 0 -30 Td 14 TL\n");
        for line in lines {
            stream.push(b'(');
            stream.extend(pdf_text(line));
            stream.extend_from_slice(b") Tj T*\n");
        }
        stream.extend_from_slice(b"ET");
        let mut object = format!("<< /Length {} >>\nstream\n", stream.len()).into_bytes();
        object.extend(stream);
        object.extend_from_slice(b"\nendstream");
        objects.push(object);
    }

    let mut out = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n".to_vec();
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (index, object) in objects.iter().enumerate() {
        table.push_str(&format!("{:010} 00000 n \n", out.len()));
        out.extend_from_slice(format!("{} 0 obj\n", index + 1).as_bytes());
        out.extend_from_slice(object);
        out.extend_from_slice(b"\nendobj\n");
    }
    let start = out.len();
    table.push_str(&format!(
        "trailer\n<< /Size {} /Root 1 0 R /Info 4 0 R >>\nstartxref\n{start}\n%%EOF\n",
        objects.len() + 1
    ));
    out.extend_from_slice(table.as_bytes());
    out
}

/// The inside of a PDF string, one byte a character.
fn pdf_text(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for byte in text.chars().filter_map(|c| u8::try_from(u32::from(c)).ok()) {
        if b"()\\".contains(&byte) {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out
}

const XML: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n";
const TYPES: &str = "http://schemas.openxmlformats.org/package/2006/content-types";
const RELATIONS: &str = "http://schemas.openxmlformats.org/package/2006/relationships";
const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";

/// A Word document of one paragraph a line (ECMA-376).
pub(super) fn docx(made: Moment, lines: &[String]) -> io::Result<Vec<u8>> {
    let space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main";
    let paragraph = |line: &String| format!("<w:p><w:r><w:t xml:space=\"preserve\">{}</w:t></w:r></w:p>", escape(line));
    let text: String = lines.iter().map(paragraph).collect();
    let part = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml";
    package(
        made,
        "word/document.xml",
        part,
        vec![Member::new(
            "word/document.xml",
            format!("{XML}<w:document xmlns:w=\"{space}\"><w:body>{text}<w:sectPr/></w:body></w:document>"),
        )],
    )
}

/// An Excel workbook of one sheet; what reads as a number is one (ECMA-376).
pub(super) fn xlsx(made: Moment, rows: &[Vec<String>]) -> io::Result<Vec<u8>> {
    let space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let cell = |cell: &String| match cell.parse::<f64>() {
        Ok(_) => format!("<c><v>{cell}</v></c>"),
        Err(_) => format!("<c t=\"inlineStr\"><is><t>{}</t></is></c>", escape(cell)),
    };
    let row = |row: &Vec<String>| format!("<row>{}</row>", row.iter().map(cell).collect::<String>());
    let data: String = rows.iter().map(row).collect();
    let sheet_part = "application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml";
    let override_sheet = format!("<Override PartName=\"/xl/worksheets/sheet1.xml\" ContentType=\"{sheet_part}\"/>");
    let part = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml";
    let members = vec![
        Member::new(
            "xl/workbook.xml",
            format!(
                "{XML}<workbook xmlns=\"{space}\" xmlns:r=\"{OFFICE}\"><sheets>\
                 <sheet name=\"Sheet1\" sheetId=\"1\" r:id=\"rId1\"/></sheets></workbook>"
            ),
        ),
        Member::new("xl/_rels/workbook.xml.rels", relation("worksheet", "worksheets/sheet1.xml")),
        Member::new(
            "xl/worksheets/sheet1.xml",
            format!("{XML}<worksheet xmlns=\"{space}\"><sheetData>{data}</sheetData></worksheet>"),
        ),
    ];
    package_with(made, "xl/workbook.xml", part, &override_sheet, members)
}

fn package(made: Moment, main: &str, part: &str, members: Vec<Member>) -> io::Result<Vec<u8>> {
    package_with(made, main, part, "", members)
}

/// An Open Packaging Conventions package around its main part.
fn package_with(made: Moment, main: &str, part: &str, overrides: &str, members: Vec<Member>) -> io::Result<Vec<u8>> {
    let types = format!(
        "{XML}<Types xmlns=\"{TYPES}\">\
         <Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>\
         <Default Extension=\"xml\" ContentType=\"application/xml\"/>\
         <Override PartName=\"/{main}\" ContentType=\"{part}\"/>{overrides}</Types>"
    );
    let mut all =
        vec![Member::new("[Content_Types].xml", types), Member::new("_rels/.rels", relation("officeDocument", main))];
    all.extend(members);
    zip(made, &all)
}

fn relation(kind: &str, target: &str) -> String {
    format!(
        "{XML}<Relationships xmlns=\"{RELATIONS}\">\
         <Relationship Id=\"rId1\" Type=\"{OFFICE}/{kind}\" Target=\"{target}\"/></Relationships>"
    )
}

/// An OpenDocument text of one paragraph a line (ISO/IEC 26300). Its type comes first and uncompressed.
pub(super) fn odt(made: Moment, lines: &[String]) -> io::Result<Vec<u8>> {
    let space = "urn:oasis:names:tc:opendocument:xmlns";
    let kind = "application/vnd.oasis.opendocument.text";
    let text: String = lines.iter().map(|line| format!("<text:p>{}</text:p>", escape(line))).collect();
    let manifest = format!(
        "{XML}<manifest:manifest xmlns:manifest=\"{space}:manifest:1.0\" manifest:version=\"1.2\">\
         <manifest:file-entry manifest:full-path=\"/\" manifest:version=\"1.2\" manifest:media-type=\"{kind}\"/>\
         <manifest:file-entry manifest:full-path=\"content.xml\" manifest:media-type=\"text/xml\"/></manifest:manifest>"
    );
    let content = format!(
        "{XML}<office:document-content xmlns:office=\"{space}:office:1.0\" xmlns:text=\"{space}:text:1.0\" \
         office:version=\"1.2\"><office:body><office:text>{text}</office:text></office:body></office:document-content>"
    );
    zip(
        made,
        &[
            Member { stored: true, ..Member::new("mimetype", kind) },
            Member::new("META-INF/manifest.xml", manifest),
            Member::new("content.xml", content),
        ],
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
