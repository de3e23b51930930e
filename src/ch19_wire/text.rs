//! The text of a string and of a number, as JSON has it.

use std::fmt::Write;

/// Appends `text` as a JSON string, by whole runs of what needs no escape.
pub(super) fn quote(text: &str, out: &mut String) {
    let special = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    let mut rest = text;
    out.push('"');
    while let Some(run) = clean_run(rest.as_bytes()) {
        let mut tail = rest[run..].chars();
        out.push_str(&rest[..run]);
        tail.by_ref().take(1).for_each(|c| match c {
            '"' | '\\' | '\n' | '\r' | '\t' => out.extend(c.escape_default()),
            _ if special(c) => _ = write!(out, "\\u{:04x}", u32::from(c)),
            _ => out.push(c),
        });
        rest = tail.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

/// How many bytes come before the first that may need an escape; `None` if there is no such byte.
fn clean_run(text: &[u8]) -> Option<usize> {
    // 0xc2 and 0xe2 start the characters of `special` that are not ASCII, and others that only pass
    // through. Without `||` and an early exit, a processor looks at all bytes of a block at once.
    let stop =
        |b: u8| (b < b' ') | (b == b'"') | (b == b'\\') | (b == 0x7f) | (b == 0xc2) | (b == 0xe2);
    let clean = |block: &&[u8]| !block.iter().fold(false, |any, byte| any | stop(*byte));
    let skipped = 32 * text.chunks_exact(32).take_while(clean).count();
    text[skipped..].iter().position(|byte| stop(*byte)).map(|at| skipped + at)
}

/// The text of a JSON string that is still in its quotes; `None` if there is anything wrong with
/// it.
pub(super) fn unquote(word: &str) -> Option<String> {
    let mut rest = word.strip_prefix('"')?.strip_suffix('"')?;
    let mut text = String::with_capacity(rest.len());
    while let Some((run, _)) = rest.split_once('\\') {
        text.push_str(run);
        rest = &rest[run.len()..];
        let unit = |which: usize| {
            let digits = rest.get(6 * which..6 * which + 6)?.strip_prefix("\\u")?;
            u16::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))
        };
        // Two units if the first is half of a pair; a half alone is no character.
        let short = "\"\\/bfnrt".find(rest.chars().nth(1)?);
        let long = || char::decode_utf16((0..2).map_while(unit)).next()?.ok();
        let char = short.map(|which| char::from(b"\"\\/\x08\x0c\n\r\t"[which])).or_else(long)?;
        text.push(char);
        rest = &rest[short.map_or(6 * char.len_utf16(), |_| 2)..];
    }
    text.push_str(rest);
    (word.bytes().min() >= Some(b' ')).then_some(text)
}

/// What JSON asks of a number beyond what Rust's `parse` does: no `+5`, `007`, `.5`, `5.`, `nan`.
pub(super) fn is_number(word: &str) -> bool {
    let whole = word.strip_prefix('-').unwrap_or(word).as_bytes();
    matches!(whole, [b'0'] | [b'0', b'.' | b'e' | b'E', ..] | [b'1'..=b'9', ..])
        && whole.windows(2).all(|pair| pair[0] != b'.' || pair[1].is_ascii_digit())
        && !whole.ends_with(b".")
}
