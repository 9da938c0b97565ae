//! What a file is to the person who has it: by its first bytes, then by its extension.

use super::names;

/// The groups that files are sorted into. Their names are the folders.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Group {
    Documents,
    Spreadsheets,
    Presentations,
    Books,
    Pictures,
    Videos,
    Music,
    Archives,
    Programs,
    Code,
    Data,
    Fonts,
    Other,
}

impl Group {
    pub(super) const ALL: [Group; 13] = [
        Group::Documents,
        Group::Spreadsheets,
        Group::Presentations,
        Group::Books,
        Group::Pictures,
        Group::Videos,
        Group::Music,
        Group::Archives,
        Group::Programs,
        Group::Code,
        Group::Data,
        Group::Fonts,
        Group::Other,
    ];

    pub(super) fn folder(self) -> &'static str {
        match self {
            Group::Documents => "Documents",
            Group::Spreadsheets => "Spreadsheets",
            Group::Presentations => "Presentations",
            Group::Books => "Books",
            Group::Pictures => "Pictures",
            Group::Videos => "Videos",
            Group::Music => "Music",
            Group::Archives => "Archives",
            Group::Programs => "Programs",
            Group::Code => "Code",
            Group::Data => "Data",
            Group::Fonts => "Fonts",
            Group::Other => "Other",
        }
    }

    /// Whether people look for such files by the time they are from.
    pub(super) fn dated(self) -> bool {
        matches!(self, Group::Documents | Group::Spreadsheets | Group::Presentations | Group::Pictures | Group::Videos)
    }
}

/// The group of a file by its name and its first bytes (empty where nobody looked, or there are none).
///
/// Content comes first, but where it only tells a container or a manner of writing (zip, XML, plain text) a known
/// extension knows more; and a few letters of plain text that happen to be a magic number (`BM`, `MZ`) are text.
pub(super) fn group(name: &[u8], head: &[u8]) -> Group {
    let ext = names::ext(name);
    let by_name = by_ext(&ext).or_else(|| by_whole_name(name));
    let found = infer::get(head).map(|kind| kind.extension());
    let text = !head.is_empty() && is_text(head);
    match found {
        Some("pdf" | "rtf" | "ps") => Some(Group::Documents),
        Some(vague) if text || is_vague(vague) => {
            by_name.or_else(|| by_ext(vague).filter(|_| !text || is_markup(vague)))
        }
        Some(sure) => by_ext(sure).or(by_name),
        None => by_name,
    }
    .unwrap_or(if text { Group::Documents } else { Group::Other })
}

/// Containers and manners of writing: many sorts of files are made of these.
fn is_vague(ext: &str) -> bool {
    matches!(
        ext,
        "zip"
            | "gz"
            | "bz2"
            | "bz3"
            | "xz"
            | "zst"
            | "lz4"
            | "lz"
            | "z"
            | "msi"
            | "ar"
            | "cpio"
            | "der"
            | "pem"
            | "obj"
            | "bc"
            | "sqlite"
            | "tif"
            | "ico"
            | "mp4"
            | "mpg"
            | "mp3"
            | "aac"
            | "cfb"
    ) || is_markup(ext)
}

fn is_markup(ext: &str) -> bool {
    matches!(ext, "html" | "xml" | "sh")
}

/// Whether bytes look like text: UTF-8 (perhaps cut at the end) without control characters.
fn is_text(head: &[u8]) -> bool {
    let valid = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(e) if e.error_len().is_none() => {
            head.get(..e.valid_up_to()).and_then(|good| std::str::from_utf8(good).ok()).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !valid.is_empty() && !valid.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}' | '\u{1b}'))
}

fn by_whole_name(name: &[u8]) -> Option<Group> {
    let name = names::fold(names::without_number(name));
    match name.as_slice() {
        b"makefile" | b"dockerfile" | b"justfile" | b"rakefile" | b"gemfile" | b"cmakelists.txt" | b"jenkinsfile"
        | b"vagrantfile" => Some(Group::Code),
        b"readme" | b"license" | b"licence" | b"changelog" | b"copying" | b"authors" | b"notes" | b"todo" => {
            Some(Group::Documents)
        }
        _ => None,
    }
}

/// The group by an extension in lower case, without its dot.
fn by_ext(ext: &str) -> Option<Group> {
    Some(match ext {
        "pdf" | "doc" | "docx" | "docm" | "dot" | "dotx" | "odt" | "ott" | "fodt" | "rtf" | "txt" | "text" | "md"
        | "markdown" | "rst" | "adoc" | "tex" | "pages" | "wpd" | "wps" | "ps" | "xps" | "oxps" | "html" | "htm"
        | "xhtml" | "mht" | "mhtml" | "eml" | "msg" | "ics" | "vcf" | "djvu" | "log" | "org" | "asc" | "sig"
        | "p7m" | "one" | "gdoc" => Group::Documents,
        "xls" | "xlsx" | "xlsm" | "xlsb" | "xltx" | "ods" | "ots" | "fods" | "csv" | "tsv" | "numbers" | "gsheet"
        | "ofx" | "qif" => Group::Spreadsheets,
        "ppt" | "pptx" | "pptm" | "pps" | "ppsx" | "potx" | "odp" | "otp" | "fodp" | "key" | "gslides" => {
            Group::Presentations
        }
        "epub" | "mobi" | "azw" | "azw3" | "fb2" | "cbz" | "cbr" | "lit" => Group::Books,
        "jpg" | "jpeg" | "jpe" | "jfif" | "png" | "gif" | "webp" | "bmp" | "tif" | "tiff" | "heic" | "heif"
        | "avif" | "jxl" | "jp2" | "jxr" | "ico" | "svg" | "svgz" | "raw" | "cr2" | "cr3" | "nef" | "arw" | "dng"
        | "orf" | "rw2" | "raf" | "pef" | "srw" | "psd" | "psb" | "xcf" | "kra" | "ora" | "ai" | "eps" | "indd"
        | "sketch" | "xd" | "fig" | "pnm" | "ppm" | "pgm" | "pbm" | "tga" | "hdr" | "exr" | "icns" | "xmp" | "aae" => {
            Group::Pictures
        }
        "mp4" | "m4v" | "mkv" | "webm" | "mov" | "avi" | "wmv" | "mpg" | "mpeg" | "flv" | "3gp" | "3g2" | "ogv"
        | "mts" | "m2ts" | "vob" | "asf" | "srt" | "sub" | "vtt" | "ass" => Group::Videos,
        "mp3" | "m4a" | "m4b" | "aac" | "flac" | "ogg" | "oga" | "opus" | "wav" | "wma" | "aif" | "aiff" | "ape"
        | "alac" | "mid" | "midi" | "amr" | "dsf" | "wv" | "mka" | "m3u" | "m3u8" | "pls" | "cue" | "lrc" => {
            Group::Music
        }
        "zip" | "tar" | "gz" | "tgz" | "bz2" | "tbz" | "tbz2" | "bz3" | "xz" | "txz" | "zst" | "lz" | "lz4"
        | "lzma" | "z" | "7z" | "rar" | "cab" | "ar" | "cpio" | "par2" | "arj" | "lzh" | "ace" | "sit" | "torrent" => {
            Group::Archives
        }
        "exe" | "msi" | "msix" | "appx" | "dll" | "dmg" | "pkg" | "mpkg" | "deb" | "rpm" | "appimage" | "flatpak"
        | "flatpakref" | "snap" | "apk" | "xapk" | "aab" | "ipa" | "jar" | "war" | "elf" | "so" | "dylib" | "mach"
        | "dex" | "dey" | "com" | "iso" | "img" | "qcow2" | "vdi" | "vmdk" | "vhd" | "vhdx" | "ova" | "run" | "bin"
        | "crx" | "xpi" | "vsix" | "class" | "wasm" | "swf" | "nes" => Group::Programs,
        "rs" | "c" | "h" | "cc" | "cpp" | "cxx" | "hpp" | "hh" | "m" | "mm" | "cs" | "fs" | "java" | "kt" | "kts"
        | "scala" | "go" | "py" | "pyw" | "ipynb" | "rb" | "pl" | "pm" | "php" | "js" | "mjs" | "cjs" | "ts"
        | "tsx" | "jsx" | "vue" | "svelte" | "css" | "scss" | "sass" | "less" | "sh" | "bash" | "zsh" | "fish"
        | "ps1" | "bat" | "cmd" | "vbs" | "lua" | "r" | "jl" | "swift" | "dart" | "ex" | "exs" | "erl" | "hs"
        | "ml" | "clj" | "lisp" | "el" | "vim" | "asm" | "s" | "zig" | "nim" | "d" | "pas" | "f90" | "v" | "vhd1"
        | "sol" | "proto" | "patch" | "diff" | "cmake" | "mk" | "gradle" | "tf" | "nix" | "ino" => Group::Code,
        "json" | "jsonl" | "ndjson" | "xml" | "xsd" | "xsl" | "yaml" | "yml" | "toml" | "ini" | "conf" | "cfg"
        | "sql" | "sqlite" | "sqlite3" | "db" | "db3" | "mdb" | "accdb" | "parquet" | "arrow" | "avro" | "feather"
        | "npy" | "npz" | "h5" | "hdf5" | "mat" | "rds" | "pkl" | "dta" | "sav" | "geojson" | "kml" | "kmz" | "gpx"
        | "shp" | "dbf" | "dcm" | "har" | "pcap" | "stl" | "step" | "stp" | "dwg" | "dxf" | "gcode" | "3mf"
        | "blend" | "gltf" | "glb" | "fbx" => Group::Data,
        "ttf" | "otf" | "ttc" | "woff" | "woff2" | "eot" | "pfb" | "fon" => Group::Fonts,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_comes_first_and_the_name_helps_where_content_is_vague() {
        let check = |name: &str, head: &[u8], want: Group| assert_eq!(group(name.as_bytes(), head), want, "{name}");
        check("holiday.txt", b"\xff\xd8\xff\xe0\0\x10JFIF\0", Group::Pictures);
        check("invoice", b"%PDF-1.7\n%\xe2\xe3", Group::Documents);
        check("app.jar", b"PK\x03\x04\x14\0\0\0", Group::Programs);
        check("things", b"PK\x03\x04\x14\0\0\0", Group::Archives);
        check("backup.tar.gz", b"\x1f\x8b\x08\0", Group::Archives);
        check("BMW sales", b"BMW sold 12 cars\n", Group::Documents);
        check("plan.md", b"MZ is a letter pair\n", Group::Documents);
        check("logo.svg", b"<?xml version=\"1.0\"?><svg/>", Group::Pictures);
        check("page", b"<!DOCTYPE html><html>", Group::Documents);
        check("run-me", b"#!/bin/sh\necho\n", Group::Code);
        check("module.ts", b"export const x = 1;\n", Group::Code);
        check("slides.key", b"PK\x03\x04", Group::Presentations);
        check("Makefile (2)", b"all:\n", Group::Code);
        check("old.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Group::Documents);
        check("table.csv", b"", Group::Spreadsheets);
        check("what.xyz", b"\0\x01\x02", Group::Other);
        check("what.xyz", b"plain words", Group::Documents);
    }
}
