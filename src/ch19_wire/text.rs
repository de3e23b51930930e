//! A string as JSON has it: in quotes, with its escapes.
//!
//! Most of a long text needs no escape, so both directions go by runs: look for the next character
//! that may need one, copy all before it at once, deal with it, go on behind it. Read [`split_run`]
//! last: it is a `find`, made fast.

// Part of concurrent-explained, MIT OR Apache-2.0.

use std::fmt::Write;
use std::iter::once;

/// Appends `text` as a JSON string, by whole runs of what needs no escape. (I2)
pub(super) fn quote(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    // Without the rest that has none of them: it is copied behind the loop.
    while let Some((run, special, after)) = split_run(rest) {
        out.push_str(run);
        match special {
            '"' | '\\' | '\n' | '\r' | '\t' => out.extend(special.escape_default()),
            // Line breaks of other languages among them: `\u{85}`, `\u{2028}`.
            _ if special.is_control() || matches!(special, '\u{2028}' | '\u{2029}') => {
                let _ = write!(out, "\\u{:04x}", u32::from(special)); // a `String` takes everything
            }
            // `split_run` stops at more than it must: this one needs no escape.
            _ => out.push(special),
        }
        rest = after;
    }
    out.push_str(rest);
    out.push('"');
}

/// The text of the JSON string that `line` starts with, and what follows it; `None` if there is
/// anything wrong with it.
pub(super) fn unquote(line: &str) -> Option<(String, &str)> {
    let (mut rest, mut text) = (line.strip_prefix('"')?, String::new());
    loop {
        // `None`: the line ends without the closing quote. (I3) What is copied is in the text
        // already, so memory grows no faster than the line.
        let (run, special, after) = split_run(rest)?;
        text.push_str(run);
        rest = after;
        match special {
            '"' => return Some((text, rest)),
            '\\' => rest = unescape(rest, &mut text)?,
            '\0'..' ' => return None, // JSON wants control characters escaped
            _ => text.push(special),
        }
    }
}

/// Appends the character of an escape, of which `rest` is what follows the backslash; returns what
/// follows the escape.
///
/// `\u` takes four digits, a number of 16 bits. A character beyond 16 bits is two such escapes, one
/// behind the other: the halves of a surrogate pair, of which each alone is no character.
fn unescape<'t>(rest: &'t str, text: &mut String) -> Option<&'t str> {
    // Escapes of one letter, and at the same places what they stand for.
    if let Some(which) = "\"\\/bfnrt".find(rest.chars().next()?) {
        text.push(char::from(b"\"\\/\x08\x0c\n\r\t"[which]));
        return Some(&rest[1..]);
    }
    // `from_str_radix` takes a sign, JSON does not.
    let unit = |digits| u16::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'));
    let first = unit(rest.get(..5)?.strip_prefix('u')?)?;
    // Another escape may follow, and may be the other half. If it is not, `decode_utf16` leaves it.
    let second = rest.get(5..11).and_then(|next| unit(next.strip_prefix("\\u")?));
    let char = char::decode_utf16(once(first).chain(second)).next()?.ok()?;
    text.push(char);
    // How many units it took says how much is read: `uhhhh`, or `uhhhh\uhhhh`.
    let length = if char.len_utf16() == 1 { 5 } else { 11 };
    Some(&rest[length..])
}

/// What comes before the first character that may need an escape, that character, and what follows.
///
/// `text.find(…)` would do, byte by byte. Looking at 32 bytes at a time makes a long text without
/// escapes eight times as fast.
fn split_run(text: &str) -> Option<(&str, char, &str)> {
    // 0xc2 is the first byte of `\u{80}` to `\u{9f}`, and 0xe2 of `\u{2028}` and `\u{2029}`. Both
    // begin other characters too, `§` and dashes among them: those end a run and are copied alone.
    // `|` does not stop at the first answer as `||` does, so a block is looked at in one go.
    let stop =
        |b: u8| (b < b' ') | (b == b'"') | (b == b'\\') | (b == 0x7f) | (b == 0xc2) | (b == 0xe2);
    let clean = |block: &&[u8]| !block.iter().fold(false, |any, byte| any | stop(*byte));
    let bytes = text.as_bytes();
    let skipped = 32 * bytes.chunks_exact(32).take_while(clean).count();
    let run = skipped + bytes[skipped..].iter().position(|byte| stop(*byte))?;
    let mut after = text[run..].chars();
    Some((&text[..run], after.next()?, after.as_str()))
}
