//! The text in HTML and XML.

/// Elements whose content is not for readers.
const HIDDEN: [&str; 4] = ["script", "style", "head", "template"];
/// Elements that end a line.
const BLOCKS: [&str; 19] = [
    "p", "div", "br", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "table", "ul", "ol", "section",
    "article", "header", "footer", "pre",
];

/// The text between the tags; entities are resolved, blocks stand on lines of their own.
pub(super) fn text_of(markup: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(markup.len() / 2), markup);
    let mut trusts_quotes = true;
    while let Some(start) = rest.find('<') {
        push_text(&mut out, &rest[..start]);
        rest = &rest[start..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
            continue;
        }
        if let Some(data) = rest.strip_prefix("<![CDATA[") {
            let end = data.find("]]>").unwrap_or(data.len());
            out.push_str(&data[..end]);
            rest = data.get(end + 3..).unwrap_or("");
            continue;
        }
        let name = tag_name(rest);
        if name.is_empty() && !rest.starts_with("</") && !rest.starts_with("<!") && !rest.starts_with("<?") {
            out.push('<');
            rest = &rest[1..];
            continue;
        }
        let end = tag_end(rest, &mut trusts_quotes);
        let opens = !rest.starts_with("</");
        rest = rest.get(end..).unwrap_or("");
        if BLOCKS.contains(&name.as_str()) && !out.ends_with('\n') && !out.is_empty() {
            out.push('\n');
        }
        if opens && HIDDEN.contains(&name.as_str()) {
            rest = after_closing(rest, &name);
        }
    }
    push_text(&mut out, rest);
    out.trim().to_owned()
}

/// The title of an HTML document.
pub(super) fn title(markup: &str) -> Option<String> {
    let lower = markup.to_ascii_lowercase();
    let start = lower.find("<title")?;
    let start = start + lower[start..].find('>')? + 1;
    let end = start + lower[start..].find("</title")?;
    let mut title = String::new();
    push_text(&mut title, &markup[start..end]);
    Some(title.trim().to_owned()).filter(|title| !title.is_empty())
}

fn tag_name(tag: &str) -> String {
    let inside = tag.strip_prefix('<').unwrap_or(tag);
    let inside = inside.strip_prefix('/').unwrap_or(inside);
    inside.chars().take_while(|c| c.is_ascii_alphanumeric()).collect::<String>().to_ascii_lowercase()
}

/// Where a tag ends; a `>` in a quoted attribute does not end it.
fn tag_end(tag: &str, trusts_quotes: &mut bool) -> usize {
    let mut quote = None;
    for (at, c) in tag.char_indices().take_while(|_| *trusts_quotes) {
        match (quote, c) {
            (None, '>') => return at + 1,
            (None, '"' | '\'') if at > 0 => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    // A quote that is never closed: end at the first bracket after all. From here on quotes mean nothing, so that
    // the rest is not looked through again for every tag.
    *trusts_quotes = false;
    tag.find('>').map_or(tag.len(), |end| end + 1)
}

fn after_closing<'m>(rest: &'m str, name: &str) -> &'m str {
    let closing = format!("</{name}");
    let found = rest.char_indices().filter(|(_, c)| *c == '<').find(|(at, _)| {
        rest.get(*at..*at + closing.len()).is_some_and(|tag| tag.eq_ignore_ascii_case(&closing))
    });
    found.map_or("", |(at, _)| &rest[at..])
}

fn push_text(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest.char_indices().take(12).find(|(_, c)| *c == ';').map(|(at, _)| at);
        match end.and_then(|end| entity(&rest[1..end]).map(|c| (c, end))) {
            Some((c, end)) => {
                out.push(c);
                rest = &rest[end + 1..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
}

fn entity(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let hex = number.strip_prefix(['x', 'X']);
        let code = hex.map_or_else(|| number.parse().ok(), |hex| u32::from_str_radix(hex, 16).ok())?;
        return char::from_u32(code);
    }
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        "auml" => 'ä',
        "ouml" => 'ö',
        "uuml" => 'ü',
        "Auml" => 'Ä',
        "Ouml" => 'Ö',
        "Uuml" => 'Ü',
        "szlig" => 'ß',
        "eacute" => 'é',
        "egrave" => 'è',
        "agrave" => 'à',
        "ccedil" => 'ç',
        "ndash" => '–',
        "mdash" => '—',
        "hellip" => '…',
        "copy" => '©',
        "reg" => '®',
        "trade" => '™',
        "euro" => '€',
        "laquo" => '«',
        "raquo" => '»',
        "lsquo" => '‘',
        "rsquo" => '’',
        "ldquo" => '“',
        "rdquo" => '”',
        "bull" => '•',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_readers_see_is_left() {
        for (markup, expected) in [
            ("<p>One</p><p>Two &amp; <b>three</b></p>", "One\nTwo & three"),
            (
                "<html><head><title>T</title><style>p{}</style></head><body>x<script>if (a<b) {}</script>y</body></html>",
                "xy",
            ),
            ("a < b &lt; c &#65;&#x42; &unknown; &", "a < b < c AB &unknown; &"),
            ("<a title='x > y'>link</a><!-- no -->", "link"),
            ("<r><![CDATA[<raw>]]></r>", "<raw>"),
            ("<p", ""),
        ] {
            assert_eq!(text_of(markup), expected, "{markup}");
        }
        let hostile = [r#"<a ">""#.repeat(100_000), "<".repeat(600_000), "<a".repeat(300_000)];
        for markup in hostile {
            // Would take minutes if every tag were looked for up to the end.
            text_of(&format!("{markup}\""));
        }
        assert_eq!(title("<TITLE lang=x> A &amp; B </TITLE>").as_deref(), Some("A & B"));
    }
}
