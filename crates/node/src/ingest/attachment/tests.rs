use std::fmt::Write as _;
use std::io::Write as _;

use proptest::prelude::*;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;

fn archive(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in parts {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

const CORE: &str = "<cp:coreProperties xmlns:cp='c' xmlns:dc='d' xmlns:dcterms='t'><dc:title>A &amp; B</dc:title>\
    <dc:creator>Ada</dc:creator><cp:keywords>x, y</cp:keywords><dcterms:created>2024-01-31T12:00:00Z</dcterms:created>\
    <dc:language>en</dc:language></cp:coreProperties>";

fn docx() -> Vec<u8> {
    archive(&[
        (
            "word/document.xml",
            "<w:document xmlns:w='w'><w:body><w:p><w:r><w:t>Hello &lt;w&#246;rld&gt;</w:t></w:r></w:p>\
             <w:p><w:r><w:instrText>PAGE</w:instrText><w:t>Second</w:t><w:tab/><w:t>tabbed</w:t></w:r></w:p>\
             <w:tbl><w:tr><w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>b</w:t></w:r></w:p></w:tc></w:tr></w:tbl>\
             </w:body></w:document>",
        ),
        ("word/footnotes.xml", "<w:footnotes xmlns:w='w'><w:p><w:t>Note</w:t></w:p></w:footnotes>"),
        ("docProps/core.xml", CORE),
    ])
}

fn xlsx() -> Vec<u8> {
    archive(&[
        ("xl/workbook.xml", "<workbook/>"),
        (
            "xl/sharedStrings.xml",
            "<sst><si><t>Name</t></si><si><r><t>Ri</t></r><r><t>ch</t></r><rPh><t>no</t></rPh></si></sst>",
        ),
        (
            "xl/worksheets/sheet1.xml",
            "<worksheet><sheetData><row><c t='s'><v>0</v></c><c t='s'><v>1</v></c></row>\
             <row><c><f>1+1</f><v>2</v></c><c t='inlineStr'><is><t>in</t></is></c></row></sheetData></worksheet>",
        ),
    ])
}

fn pptx() -> Vec<u8> {
    let slide = |text: &str| {
        format!("<p:sld xmlns:p='p' xmlns:a='a'><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:sld>")
    };
    archive(&[
        ("ppt/presentation.xml", "<p/>"),
        ("ppt/slides/slide10.xml", &slide("ten")),
        ("ppt/slides/slide2.xml", &slide("two")),
        ("ppt/notesSlides/notesSlide1.xml", &slide("note")),
    ])
}

fn open_document(kind: &str) -> Vec<u8> {
    archive(&[
        ("mimetype", kind),
        (
            "content.xml",
            "<o:document xmlns:o='o' xmlns:t='t' xmlns:b='b'><o:styles>no</o:styles><o:body><t:tracked-changes><t:p>gone</t:p></t:tracked-changes>\
             <t:h>Head</t:h><t:p>a<t:s/>b</t:p><b:table-row><b:table-cell><t:p>1</t:p></b:table-cell>\
             <b:table-cell><t:p>2</t:p></b:table-cell></b:table-row></o:body></o:document>",
        ),
        ("meta.xml", "<m xmlns:dc='d'><dc:title>Open</dc:title></m>"),
    ])
}

fn epub() -> Vec<u8> {
    archive(&[
        ("mimetype", "application/epub+zip"),
        (
            "META-INF/container.xml",
            "<container><rootfiles><rootfile full-path='OPS/p.opf'/></rootfiles></container>",
        ),
        (
            "OPS/p.opf",
            "<package xmlns:dc='d'><metadata><dc:title>Book</dc:title><dc:creator>Eve</dc:creator><dc:language>de</dc:language></metadata>\
             <manifest><item id='1' href='text/a%20b.xhtml'/><item id='2' href='../c.xhtml'/></manifest>\
             <spine><itemref idref='2'/><itemref idref='1'/><itemref idref='1'/></spine></package>",
        ),
        ("OPS/text/a b.xhtml", "<html><body><p>last</p></body></html>"),
        ("c.xhtml", "<html><body><p>first</p></body></html>"),
    ])
}

/// A file of one page; `filter` stands in the dictionary of its content.
fn pdf(content: &[u8], filter: &str) -> Vec<u8> {
    let objects: [Vec<u8>; 6] = [
        b"<< /Type /Catalog /Pages 2 0 R /Lang (en) >>".to_vec(),
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_vec(),
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>".to_vec(),
        [format!("<< /Length {}{filter} >>\nstream\n", content.len()).as_bytes(), content, b"\nendstream"].concat(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_vec(),
        b"<< /Title (Paper) /Author (Ada) /CreationDate (D:20240131120000Z) >>".to_vec(),
    ];
    let mut file = b"%PDF-1.4\n".to_vec();
    let mut table = String::from("0000000000 65535 f \n");
    for (number, object) in objects.iter().enumerate() {
        writeln!(table, "{:010} 00000 n ", file.len()).unwrap();
        file.extend(format!("{} 0 obj\n", number + 1).as_bytes());
        file.extend(object);
        file.extend(b"\nendobj\n");
    }
    let start = file.len();
    file.extend(
        format!(
            "xref\n0 7\n{table}trailer\n<< /Size 7 /Root 1 0 R /Info 6 0 R >>\nstartxref\n{start}\n%%EOF\n"
        )
        .as_bytes(),
    );
    file
}

const RTF: &[u8] = b"{\\rtf1\\ansi\\ansicpg1252{\\fonttbl{\\f0 Arial;}}{\\info{\\title Plan}{\\author Ada}{\\creatim\\yr2024}}\
    {\\*\\generator X;}Gr\\'fc\\'dfe \\u8364? \\b bold\\b0  \\{x\\}\\par second\\tab tab}";

const MAIL: &str = "From: Ada <ada@example.org>\r\nTo: b@example.org\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\
    Date: Wed, 31 Jan 2024 12:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"x\"\r\n\r\n\
    --x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello there\r\n--x\r\nContent-Type: application/octet-stream\r\n\
    Content-Disposition: attachment; filename=\"a.rtf\"\r\nContent-Transfer-Encoding: base64\r\n\r\nBASE64\r\n--x--\r\n";

fn mail(attached: &[u8]) -> Vec<u8> {
    MAIL.replace("BASE64", &STANDARD.encode(attached)).into_bytes()
}

/// Reads a file with time in plenty: what ends it must be its form, also on a busy machine.
fn read(bytes: &[u8]) -> Result<Extracted, String> {
    extract(bytes.to_vec(), Limits { time: std::time::Duration::from_secs(600), ..Limits::default() })
}

#[test]
fn texts_of_known_kinds_are_extracted_and_others_named() {
    let html =
        read(b"<!DOCTYPE html><html><head><title>T</title></head><body><p>Hi</p></body></html>").unwrap();
    assert_eq!((html.content.as_str(), html.title.as_deref()), ("Hi", Some("T")));
    assert_eq!(read("  grüße ".as_bytes()).unwrap().content, "grüße");
    assert_eq!(read(b"\xFF\xFEh\0i\0").unwrap().content, "hi");
    assert_eq!(read(b"<?xml version='1.0'?><a>x</a>").unwrap().content, "x");
    assert!(read(b"\x89PNG....").unwrap_err().contains("image/png"));
    assert!(read(&archive(&[("a.txt", "x")])).unwrap_err().contains("from application/zip"));
    assert!(read(b"a\0b").is_err() && read(b"\xC3\x28").is_err());
}

#[test]
fn office_documents_give_their_text_and_properties() {
    let word = read(&docx()).unwrap();
    assert_eq!(word.content, "Hello <wörld>\nSecond\ttabbed\na\tb\nNote");
    assert_eq!(word.content_type, office::DOCX);
    assert_eq!((word.title.as_deref(), word.author.as_deref()), (Some("A & B"), Some("Ada")));
    assert_eq!((word.keywords.as_deref(), word.language.as_deref()), (Some("x, y"), Some("en")));
    assert_eq!(word.date.as_deref(), Some("2024-01-31T12:00:00Z"));
    assert_eq!(read(&xlsx()).unwrap().content, "Name\tRich\n2\tin");
    assert_eq!(read(&pptx()).unwrap().content, "two\nten\nnote");
}

#[test]
fn open_documents_and_books_give_their_text_in_order() {
    for kind in [open::ODT, open::ODS, open::ODP] {
        let found = read(&open_document(kind)).unwrap();
        assert_eq!((found.content.as_str(), found.content_type), ("Head\na b\n1\t2", kind));
        assert_eq!(found.title.as_deref(), Some("Open"));
    }
    let book = read(&epub()).unwrap();
    assert_eq!((book.content.as_str(), book.title.as_deref()), ("first\nlast", Some("Book")));
    assert_eq!((book.author.as_deref(), book.language.as_deref()), (Some("Eve"), Some("de")));
}

#[test]
fn a_pdf_gives_its_text_and_properties() {
    let found = read(&pdf(b"BT /F1 12 Tf 10 10 Td (Hello PDF) Tj ET", "")).unwrap();
    assert_eq!(found.content, "Hello PDF");
    assert_eq!((found.title.as_deref(), found.author.as_deref()), (Some("Paper"), Some("Ada")));
    assert_eq!(
        (found.date.as_deref(), found.language.as_deref()),
        (Some("2024-01-31T12:00:00Z"), Some("en"))
    );
}

#[test]
fn rtf_gives_what_readers_see() {
    let found = read(RTF).unwrap();
    assert_eq!(found.content, "Grüße € bold {x}\nsecond\ttab");
    assert_eq!((found.title.as_deref(), found.author.as_deref()), (Some("Plan"), Some("Ada")));
    assert_eq!(read(b"{\\rtf1\\uc0 \\u-10179\\u-8704}").unwrap().content, "\u{1F600}");
    assert_eq!(read(b"{\\rtf1\\ansicpg1251 \\'cf}").unwrap().content, "П");
}

#[test]
fn a_mail_gives_its_text_and_what_is_attached() {
    let found = read(&mail(RTF)).unwrap();
    assert_eq!(found.content, "Hello there\na.rtf\nGrüße € bold {x}\nsecond\ttab");
    assert_eq!(
        (found.title.as_deref(), found.author.as_deref()),
        (Some("Grüße"), Some("Ada <ada@example.org>"))
    );
    assert_eq!(found.date.as_deref(), Some("2024-01-31T12:00:00Z"));
    // A picture leaves its name.
    assert_eq!(read(&mail(b"\x89PNG\r\n")).unwrap().content, "Hello there\na.rtf");
}

#[test]
fn what_unpacks_to_too_much_is_refused_with_little_memory() {
    let limits = Limits { unpacked: 1 << 20, ..Limits::default() };
    let zeros = " ".repeat(4 << 20);
    let bomb = archive(&[("word/document.xml", &zeros)]);
    assert!(bomb.len() < 100_000);
    let why = extract(bomb, limits).unwrap_err();
    assert!(why.contains("unpacks to more than 1048576 bytes"), "{why}");

    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(zeros.as_bytes()).unwrap();
    let why = extract(pdf(&packed.finish().unwrap(), " /Filter /FlateDecode"), limits).unwrap_err();
    assert!(why.contains("page 1") && why.contains("limit"), "{why}");

    // One long text in many cells.
    let long = format!("<sst><si><t>{}</t></si></sst>", "x".repeat(10_000));
    let cells = format!("<w><row>{}</row></w>", "<c t='s'><v>0</v></c>".repeat(1000));
    let parts =
        [("xl/workbook.xml", "<w/>"), ("xl/sharedStrings.xml", &long), ("xl/worksheets/sheet1.xml", &cells)];
    assert!(extract(archive(&parts), limits).unwrap_err().contains("unpacks to more"));
    assert!(extract(vec![b'x'; 11], Limits { input: 10, ..limits }).unwrap_err().contains("11 bytes"));
}

#[test]
fn nesting_has_an_end() {
    let deep = format!("{}{}", "<a>".repeat(1000), "</a>".repeat(1000));
    let why = read(&archive(&[("word/document.xml", &deep)])).unwrap_err();
    assert!(why.contains("nested deeper than 256"), "{why}");
    let groups = format!("{{\\rtf1 {}", "{".repeat(1000));
    assert!(read(groups.as_bytes()).unwrap_err().contains("nested deeper"));
    let mails = format!("From: a\nDate: b\n{}", "Content-Type: message/rfc822\n\n".repeat(100_000));
    assert!(read(mails.as_bytes()).is_ok());
    let encoded = format!(
        "From: a\nDate: b\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n{}",
        STANDARD.encode(&mails)
    );
    assert!(read(encoded.as_bytes()).is_ok());
    let inner = read(b"From: a\nDate: b\nContent-Type: message/rfc822\n\nFrom: c\nDate: d\n\nInner").unwrap();
    assert_eq!(inner.content, "Inner");
    let digest = b"From: a\nDate: b\nContent-Type: multipart/digest;\n boundary=\"digest\"\n\n--digest\n\nOne\n--digest--\n";
    assert_eq!(read(digest).unwrap().content, "One");
    let arrays = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    drop(read(&pdf(arrays.as_bytes(), "")));
}

#[test]
fn broken_files_say_what_they_are_and_what_is_wrong() {
    let (word, text) = (docx(), pdf(b"BT (x) Tj ET", ""));
    for (bytes, expected) in [
        (&word[..word.len() / 2], "application/zip: "),
        (&archive(&[("word/document.xml", "<a><b>")]), "XML is truncated"),
        (&archive(&[("word/document.xml", "<a></b>")]), "XML is broken at byte"),
        (&archive(&[("mimetype", open::ODT)]), "it has no part [content.xml]"),
        (&archive(&[("mimetype", open::EPUB)]), "it has no part [META-INF/container.xml]"),
        (&text[..40], "application/pdf: "),
        (&RTF[..RTF.len() - 5], "application/rtf: it is truncated"),
    ] {
        let why = read(bytes).unwrap_err();
        assert!(why.contains(expected), "{why}");
    }
}

#[test]
fn a_file_cut_anywhere_never_ends_the_node() {
    let files = [docx(), xlsx(), pptx(), open_document(open::ODT), epub(), RTF.to_vec(), mail(RTF)];
    let files = files.into_iter().chain([pdf(b"BT /F1 12 Tf (Hi) Tj ET", "")]);
    for file in files {
        for end in (0..file.len()).step_by(file.len() / 60 + 1) {
            if let Err(why) = read(&file[..end]) {
                assert!(!why.contains("the reader failed"), "{why} at {end}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_bytes_are_read_or_refused(
        start in prop::sample::select(vec!["", "%PDF-1.4\n", "PK\x03\x04", "{\\rtf1 ", "From: a\nDate: b\n\n", "<html>"]),
        rest in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        drop(read(&[start.as_bytes(), &rest].concat()));
    }

    #[test]
    fn files_with_changed_bytes_are_read_or_refused(
        kind in 0..8_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        let mut file = match kind {
            0 => docx(),
            1 => xlsx(),
            2 => pptx(),
            3 => open_document(open::ODS),
            4 => epub(),
            5 => RTF.to_vec(),
            6 => mail(&docx()),
            _ => pdf(b"BT /F1 12 Tf (Hi) Tj ET", ""),
        };
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        drop(read(&file));
    }
}
