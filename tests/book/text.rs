//! Reading text: what is code in a Rust file, what is prose in a page.

/// The code of a Rust file. Comments are gone and literals are empty, so a word found here is a
/// word that the compiler reads; every line keeps its number.
pub(crate) fn code(source: &str) -> String {
    let mut code = String::new();
    let mut rest = source;
    while let Some(next) = rest.chars().next() {
        let skipped = length_of_comment_or_literal(rest);
        if skipped == 0 {
            code.push(next);
            rest = &rest[next.len_utf8()..];
        } else {
            code.push(' ');
            code.extend(rest[..skipped].chars().filter(|&character| character == '\n'));
            rest = &rest[skipped..];
        }
    }
    code
}

/// How long the comment or literal is that `rest` starts with; 0 if it starts with neither.
fn length_of_comment_or_literal(rest: &str) -> usize {
    let until = |start: usize, end: &str| {
        let found = rest[start..].find(end);
        found.map_or(rest.len(), |at| start + at + end.len())
    };
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return until(2, "*/");
    }
    if let Some(raw) = rest.trim_start_matches(['b', 'c']).strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let start = rest.len() - raw.len() + hashes + 1;
            return until(start, &format!("\"{}", "#".repeat(hashes)));
        }
    }
    let quote = rest.chars().next();
    // What looks like a character without an end is a lifetime.
    let is_character = rest.starts_with("'\\") || rest.chars().nth(2) == quote;
    if quote == Some('"') || quote == Some('\'') && is_character {
        let mut characters = rest.char_indices().skip(1);
        while let Some((at, character)) = characters.next() {
            if character == '\\' {
                characters.next();
            } else if Some(character) == quote {
                return at + 1;
            }
        }
        return rest.len();
    }
    0
}

/// Whether a name in Rust can hold this character.
pub(crate) fn in_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The names, keywords and numbers in a piece of code or prose.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c| !in_word(c)).filter(|word| !word.is_empty())
}

/// The page on top of a file: its `//!` lines without the marks.
pub(crate) fn header(source: &str) -> Vec<&str> {
    source.lines().map_while(|line| line.strip_prefix("//!")).map(unindented).collect()
}

/// All pages in a file: its `//!` and `///` lines without the marks.
pub(crate) fn documentation(source: &str) -> Vec<&str> {
    let lines = source.lines().map(str::trim_start);
    let pages = lines.filter_map(|line| line.strip_prefix("//!").or(line.strip_prefix("///")));
    pages.map(unindented).collect()
}

fn unindented(line: &str) -> &str {
    line.strip_prefix(' ').unwrap_or(line)
}

/// A page of Markdown, taken apart.
pub(crate) struct Page<'a> {
    /// The lines outside of fenced blocks.
    pub(crate) prose: Vec<&'a str>,
    /// The fenced blocks.
    pub(crate) blocks: Vec<Block<'a>>,
}

/// The lines between two fences.
pub(crate) struct Block<'a> {
    /// What stands behind the opening fence.
    pub(crate) language: &'a str,
    /// How many lines of prose stand before it.
    pub(crate) after: usize,
    /// What is in it.
    pub(crate) lines: Vec<&'a str>,
}

impl<'a> Page<'a> {
    pub(crate) fn new(lines: impl IntoIterator<Item = &'a str>) -> Page<'a> {
        let (mut prose, mut blocks) = (Vec::new(), Vec::new());
        let mut open: Option<Block> = None;
        for line in lines {
            let fence = line.trim_start().strip_prefix("```");
            match (open.take(), fence) {
                (Some(block), Some(_)) => blocks.push(block),
                (Some(mut block), None) => {
                    block.lines.push(line);
                    open = Some(block);
                }
                (None, Some(language)) => {
                    let (after, lines) = (prose.len(), Vec::new());
                    open = Some(Block { language, after, lines });
                }
                (None, None) => prose.push(line),
            }
        }
        blocks.extend(open);
        Page { prose, blocks }
    }

    /// The lines of prose that are headings, with their marks.
    pub(crate) fn headings(&self) -> Vec<&'a str> {
        let marked = self.prose.iter().copied().filter(|line| line.starts_with('#'));
        marked.filter(|line| line.trim_start_matches('#').starts_with(' ')).collect()
    }
}

#[test]
fn code_has_no_comments_and_no_literals() {
    let source = r##"
        let s = "a // b \" c"; // d
        let r = r#"e "f" g"#; /* h
        i */ let k: &'static str = b"j";
        match ö { '"' => '\n', '\'' => k } /// ö"##;
    let expected =
        ["", "let s = ;", "let r = ;", "let k: &'static str = b ;", "match ö { => , => k }"];
    let code = code(source);
    let lines = code.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    assert_eq!(lines.collect::<Vec<_>>(), expected);
}

#[test]
fn a_page_is_prose_and_blocks() {
    let page = Page::new("# A\ntext\n```text\n# no heading\n```\n#no heading\n## B".lines());
    assert_eq!(page.headings(), ["# A", "## B"]);
    assert_eq!(page.blocks[0].language, "text");
    assert_eq!(page.blocks[0].lines, ["# no heading"]);
    assert_eq!(page.prose[..page.blocks[0].after], ["# A", "text"]);
}
