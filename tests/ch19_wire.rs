//! Chapter 19: what is written reads back the same; what is not valid is refused, and says where;
//! nothing kills the reader.

mod support;

mod ch19_wire {
    pub(crate) mod torture;
}

use std::fmt::Debug;

use concurrent_explained::ch19_wire::{Decoded, Ignored, Reader, Wire, from_line, put, to_line};
use support::watchdog;

/// Writes, checks that it is one line, reads back; the line.
fn there_and_back<T: Wire + PartialEq + Debug>(value: &T) -> String {
    let line = to_line(value);
    assert!(
        !line.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}', '\u{1e}', '\0']),
        "{line:?}"
    );
    let back: T = from_line(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
    assert_eq!(back, *value, "{line}");
    line
}

fn why<T: Wire + Debug>(line: &str) -> String {
    from_line::<T>(line).unwrap_err().to_string()
}

macro_rules! whole_numbers_are_exact_and_their_neighbours_refused {
    ($($int:ty)+) => {
        #[test]
        fn whole_numbers_are_exact_over_the_whole_range_and_their_neighbours_are_refused() {
            $(
                for value in [<$int>::MIN, <$int>::MIN + 1, 0, 1, <$int>::MAX - 1, <$int>::MAX] {
                    assert_eq!(there_and_back(&value), value.to_string());
                }
                let above = <$int>::MAX.to_string() + "0";
                let range = format!("a whole number from {} to {}", <$int>::MIN, <$int>::MAX);
                let found = &above[..above.len().min(20)];
                assert_eq!(why::<$int>(&above), format!("column 1: expected {range}, found {found:?}"));
                assert!(from_line::<$int>(&format!("-{above}")).is_err());
                for wrong in ["", "-", "+5", "007", "-01", "1.0", "1e3", "0x1", "1_000", "\"1\"", "null", "1 2"] {
                    assert!(from_line::<$int>(wrong).is_err(), "{wrong}");
                }
            )+
        }
    };
}
whole_numbers_are_exact_and_their_neighbours_refused! { u8 i8 u16 i16 u32 i32 u64 i64 u128 i128 usize isize }

#[test]
fn the_neighbours_of_a_range_are_refused() {
    assert!(from_line::<u8>("256").is_err() && from_line::<u8>("-1").is_err());
    assert!(from_line::<i8>("128").is_err() && from_line::<i8>("-129").is_err());
    assert!(from_line::<u128>("340282366920938463463374607431768211456").is_err());
    assert!(from_line::<i128>("-170141183460469231731687303715884105729").is_err());
}

#[test]
fn i1_floats_are_the_shortest_text_that_reads_back_the_same() {
    for (value, text) in [
        (0.1, "0.1"),
        (-0.0, "-0.0"),
        (1.0, "1.0"),
        (1e300, "1e300"),
        (5e-324, "5e-324"),
        (f64::MAX, "1.7976931348623157e308"),
        (1.0 / 3.0, "0.3333333333333333"),
    ] {
        assert_eq!(there_and_back(&value), text);
    }
    assert!(from_line::<f64>("-0.0").unwrap().is_sign_negative());
    assert!(from_line::<f64>("-0").unwrap().is_sign_negative());
    assert_eq!(there_and_back(&0.1_f32), "0.1");
    assert_eq!(there_and_back(&f32::MAX), "3.4028235e38");
}

#[test]
fn floats_that_are_not_finite_are_strings_and_the_bare_words_of_python_are_read() {
    assert_eq!(to_line(&f64::NAN), "\"NaN\"");
    assert_eq!(to_line(&-f64::NAN), "\"NaN\"");
    assert_eq!(there_and_back(&f64::INFINITY), "\"inf\"");
    assert_eq!(there_and_back(&f32::NEG_INFINITY), "\"-inf\"");
    assert!(
        from_line::<f64>("\"NaN\"").unwrap().is_nan() && from_line::<f32>("NaN").unwrap().is_nan()
    );
    assert_eq!(from_line("[Infinity, -Infinity]"), Ok(vec![f64::INFINITY, f64::NEG_INFINITY]));
    assert_eq!(from_line("1E+400"), Ok(f64::INFINITY));
    for wrong in ["nan", "inf", "-inf", "infinity", "\"Infinity\"", "-NaN", "\"1.5\"", "\"\"", "\""]
    {
        assert!(from_line::<f64>(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn i2_numbers_are_read_as_json_has_them_and_no_others() {
    for (text, value) in [
        ("1e5", 1e5),
        ("1E5", 1e5),
        ("1e+5", 1e5),
        ("1.5e-3", 1.5e-3),
        ("0e0", 0.0),
        ("0.0", 0.0),
        ("10", 10.0),
    ] {
        assert_eq!(from_line(text), Ok(value), "{text}");
    }
    for wrong in [
        "", "-", "+1", "01", "-01", "00", ".5", "-.5", "5.", "5.e1", "5.E1", "1e", "1e+", "e1",
        "1.2.3", "1e1.5", "--1", "0x10", "1f", "1 .5", "٣",
    ] {
        assert!(from_line::<f64>(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn i2_every_character_comes_back_and_none_breaks_the_line() {
    let all: String =
        (0..0x11_0000).step_by(7).chain(0..0x2100).filter_map(char::from_u32).collect();
    there_and_back(&all);
    assert_eq!(
        to_line(&"a\"b\\c\n\r\t\0\u{1e}\u{7f}\u{85}\u{2028}é–😀".to_string()),
        r#""a\"b\\c\n\r\t\u0000\u001e\u007f\u0085\u2028é–😀""#
    );
}

/// Text is looked through in blocks: an escape is found wherever in a block it stands, and behind
/// the last one.
#[test]
fn an_escape_is_found_wherever_it_stands() {
    let escapes = [
        ("\"", "\\\""),
        ("\\", "\\\\"),
        ("\n", "\\n"),
        ("\0", "\\u0000"),
        ("\u{1f}", "\\u001f"),
        ("\u{7f}", "\\u007f"),
        ("\u{80}", "\\u0080"),
        ("\u{2028}", "\\u2028"),
    ];
    for (special, escape) in escapes {
        for before in 0..70 {
            let (a, b) = ("–".repeat(before % 3) + &"x".repeat(before), "é".repeat(before % 5));
            let line = there_and_back(&format!("{a}{special}{b}"));
            assert_eq!(line, format!("\"{a}{escape}{b}\""));
        }
    }
    for control in 0..b' ' {
        let line = format!("\"{}{}{}\"", "x".repeat(40), char::from(control), "y".repeat(40));
        assert!(from_line::<String>(&line).is_err(), "a bare {control}");
    }
}

#[test]
fn i2_strings_are_read_with_all_escapes_of_json_and_no_others() {
    for (text, value) in [
        (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
        (r#""\u0041\u00e9\u20AC\ud83d\ude00""#, "Aé€😀"),
        (r#""\\u0041""#, "\\u0041"),
        (r#""\\""#, "\\"),
        ("\"\"", ""),
        ("\"\u{7f}\u{2028}\"", "\u{7f}\u{2028}"),
    ] {
        assert_eq!(from_line(text), Ok(value.to_string()), "{text}");
    }
    for wrong in [
        "",
        "\"",
        "\"a",
        "\"a\\\"",
        "a",
        "'a'",
        "\"\\x\"",
        "\"\\\"",
        "\"\\u12\"",
        "\"\\u+123\"",
        "\"\\u123g\"",
        "\"a\nb\"",
        "\"\u{1e}\"",
        "\"\\ud800\"",
        "\"\\ud800\\n\"",
        "\"\\ud800\\u0041\"",
        "\"\\udc00\"",
        "\"\\é\"",
        "\"a\" \"b\"",
        "\"\\u00é\"",
        "null",
        "12",
    ] {
        assert!(from_line::<String>(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn an_option_is_null_or_the_value_and_a_second_one_stands_in_brackets() {
    assert_eq!(there_and_back(&Some(5)), "5");
    assert_eq!(there_and_back(&None::<u8>), "null");
    assert_eq!(there_and_back(&Some(())), "[null]");
    assert_eq!(there_and_back(&None::<()>), "null");
    assert_eq!(there_and_back(&Some(None::<u8>)), "[null]");
    assert_eq!(there_and_back(&Some(Some(5))), "[5]");
    assert_eq!(there_and_back(&Some(Box::new(None::<u8>))), "[null]");
    assert_eq!(there_and_back(&vec![Some(vec![None, Some(1)]), None]), "[[null,1],null]");
    assert_eq!(there_and_back(&Some(Some(None::<u8>))), "[[null]]");
    assert!(
        from_line::<Option<Option<u8>>>("[1,2]").is_err()
            && from_line::<Option<Option<u8>>>("[]").is_err()
    );
    assert!(from_line::<Option<u8>>("nul").is_err() && from_line::<Option<u8>>("nulls").is_err());
}

#[test]
fn tuples_have_exactly_their_length() {
    assert_eq!(there_and_back(&(1,)), "[1]");
    assert_eq!(there_and_back(&(1, "b".to_string())), r#"[1,"b"]"#);
    assert_eq!(there_and_back(&(1, 2, 3, 4, 5, 6, 7, vec![8])), "[1,2,3,4,5,6,7,[8]]");
    there_and_back(&(1, true, 3));
    there_and_back(&(1, (), 3, 4));
    there_and_back(&(1, 2, Some(3), 4, 5));
    there_and_back(&(1, 2, 3, "]".to_string(), 5, 6));
    there_and_back(&(1, 2, 3, 4, 5, "[".to_string(), vec![7]));
    assert_eq!(why::<(u8, u8)>("[1,2,3]"), r#"column 5: expected `]`, found ",3]""#);
    assert_eq!(why::<(u8, u8)>("[1]"), r#"column 3: expected `,`, found "]""#);
    assert!(from_line::<(u8,)>("1").is_err() && from_line::<(u8, u8)>("[]").is_err());
}

#[test]
fn white_space_stands_between_any_two_tokens() {
    assert_eq!(
        from_line(" \t\r\n[ 1 , [ \"a\" , null ] ] "),
        Ok((1, ("a".to_string(), None::<u8>)))
    );
    assert_eq!(from_line("[ ]"), Ok(Vec::<u8>::new()));
    assert!(
        from_line::<u8>("1 2").is_err()
            && from_line::<u8>("\u{a0}1").is_err()
            && from_line::<u8>("\u{c}1").is_err()
    );
}

#[test]
fn brackets_and_commas_have_to_be_right() {
    for wrong in [
        "", "[", "]", "[1", "[1,", "[1,]", "[,1]", "[1,,2]", "[1 2]", "[1]]", "[1}", "{1]",
        "[1;2]", "[1:2]", "1,2", "[1],",
    ] {
        assert!(from_line::<Vec<u8>>(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn i4_errors_count_characters_and_show_the_next_twenty() {
    assert_eq!(
        why::<Vec<u8>>("[1, 2, x]"),
        r#"column 8: expected a whole number from 0 to 255, found "x]""#
    );
    assert_eq!(
        why::<(String, u8)>("[\"äöü€😀\",-]"),
        r#"column 10: expected a whole number from 0 to 255, found "-]""#
    );
    assert_eq!(why::<bool>("  True"), r#"column 3: expected true or false, found "True""#);
    assert_eq!(why::<()>(""), r#"column 1: expected null, found """#);
    assert_eq!(
        why::<u8>("1 and more than twenty characters"),
        r#"column 3: expected the end of the line, found "and more than twenty""#
    );
    let error = from_line::<(u8, bool)>("[7,tru]").unwrap_err();
    assert_eq!(
        (error.column, error.expected.as_str(), error.found.as_str()),
        (4, "true or false", "tru]")
    );
    let error: &dyn std::error::Error = &error;
    assert!(error.source().is_none());
}

/// Only brackets.
#[derive(Debug, PartialEq)]
struct Nest(Vec<Nest>);

impl Wire for Nest {
    fn encode(&self, out: &mut String) {
        self.0.encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Decoded<Self> {
        input.items().map(Nest)
    }
}

/// Boxes without any bracket: a word and a comma for each.
#[derive(Debug, PartialEq)]
enum Chain {
    End,
    Link(Box<Chain>),
}

impl Wire for Chain {
    fn encode(&self, out: &mut String) {
        match self {
            Chain::End => out.push_str("end"),
            Chain::Link(next) => {
                out.push_str("link,");
                next.encode(out);
            }
        }
    }

    fn decode(input: &mut Reader<'_>) -> Decoded<Self> {
        let word = input.word("end or link", |word| Some(word.to_string()))?;
        if word == "end" { Ok(Chain::End) } else { Wire::decode(input).map(Chain::Link) }
    }
}

#[test]
fn i3_depth_is_bounded_for_brackets_and_the_limit_is_an_error() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    there_and_back(&from_line::<Nest>(&nested(129)).unwrap());
    let error = from_line::<Nest>(&nested(130)).unwrap_err();
    assert_eq!((error.column, error.expected.as_str()), (130, "at most 128 levels"));
    let long = watchdog("a line of ten million brackets", || why::<Nest>(&"[".repeat(10_000_000)));
    assert!(long.starts_with("column 130: expected at most 128 levels"), "{long}");
    // Side by side is not deep.
    assert!(from_line::<Nest>(&format!("[{}[]]", "[[]],".repeat(1000))).is_ok());
}

#[test]
fn i3_depth_is_bounded_for_boxes_without_brackets() {
    let chain = from_line::<Chain>(&("link,".repeat(100) + "end")).unwrap();
    assert_eq!(to_line(&chain), "link,".repeat(100) + "end");
    let error = from_line::<Chain>(&("link,".repeat(1_000_000) + "end")).unwrap_err();
    assert_eq!(error.expected, "at most 128 levels");
}

/// A temperature that is one.
#[derive(Debug, PartialEq)]
struct Celsius(f64);

impl Wire for Celsius {
    fn encode(&self, out: &mut String) {
        self.0.encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Decoded<Self> {
        let here = input.here()?; // the number, without what stands before it
        let celsius = f64::decode(input)?;
        // So written that a NaN is refused too.
        if celsius >= -273.15 { Ok(Celsius(celsius)) } else { Err(here.error("at least -273.15")) }
    }
}

#[test]
fn try_3_an_own_type_refuses_with_its_own_error() {
    there_and_back(&vec![Celsius(-273.15), Celsius(1e9)]);
    let error = why::<Vec<Celsius>>("[20, -300]");
    assert_eq!(error, r#"column 6: expected at least -273.15, found "-300]""#);
    assert!(from_line::<Celsius>("NaN").is_err());
}

/// Two levels of brackets of brackets, or none: `null`, `[null]`, `[[null]]`. And 129 brackets: the
/// outermost one is inside of nothing.
#[test]
fn try_1_what_is_null_stands_in_brackets_and_129_brackets_can_be_read() {
    assert_eq!(to_line(&Some(Some(None::<u8>))), "[[null]]");
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(from_line::<Nest>(&nested(129)).is_ok() && from_line::<Nest>(&nested(130)).is_err());
}

// The stack is used up, and that ends the whole test program: no panic, no list of red tests. It
// comes to that in `i3_depth_…_for_brackets_…`, whose line is long enough.
#[test]
fn try_2_a_line_of_brackets_is_an_error() {
    assert!(why::<Nest>(&"[".repeat(200)).contains("at most 128 levels"));
}

#[test]
fn a_result_says_which_it_is() {
    assert_eq!(there_and_back(&Ok::<u8, String>(1)), r#"{"ok":1}"#);
    assert_eq!(there_and_back(&Err::<u8, String>("no".into())), r#"{"err":"no"}"#);
    there_and_back(&Some(Ok::<Option<()>, ()>(Some(()))));
    for wrong in [
        "{}",
        "{\"ok\":256}",
        "{\"fine\":1}",
        "{\"fine\":\"x\"}",
        "{\"ok\":1,\"err\":\"x\"}",
        "{\"ok\"}",
        "[1]",
        "1",
    ] {
        assert!(from_line::<Result<u8, String>>(wrong).is_err(), "{wrong}");
    }
}

/// What is not read is read over, and has to be JSON all the same.
#[test]
fn what_is_ignored_has_to_be_right() {
    for line in
        ["1", "\"a,]\"", "null", "[]", "{}", "[1,{\"a\":[]},\"b\"]", " { \"a\" : 1 , \"b\" : 2 } "]
    {
        assert_eq!(from_line(line), Ok(Ignored), "{line}");
    }
    for wrong in ["", "[", "[1 2]", "{\"a\"}", "{\"a\":}", "[1]]", "\"a", "{1]"] {
        assert!(from_line::<Ignored>(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn errors_inside_of_an_object_point_at_what_is_wrong() {
    type Outcome = Result<u8, String>;
    assert_eq!(
        why::<Outcome>("{ \"fine\": 1}"),
        r#"column 3: expected "ok" or "err", found "\"fine\": 1}""#
    );
    assert_eq!(
        why::<Outcome>("{\"ok\": 256}"),
        r#"column 8: expected a whole number from 0 to 255, found "256}""#
    );
}

/// Whatever the pieces are, an object of them.
#[derive(Debug, PartialEq)]
struct Named(String, u8);

impl Wire for Named {
    fn encode(&self, out: &mut String) {
        out.push_str("{\"name\":");
        put(out, &self.0);
        out.push_str(",\"age\":");
        put(out, &self.1);
        out.push('}');
    }

    fn decode(input: &mut Reader<'_>) -> Decoded<Self> {
        input.expect('{')?;
        let (mut name, mut age) = (None, None);
        while !input.rest().starts_with('}') {
            let key: String = input.item()?;
            input.expect(':')?;
            match key.as_str() {
                "name" => name = Some(input.item()?),
                "age" => age = Some(input.item()?),
                _ => return Err(input.error("a known key before this")),
            }
        }
        let named = name.zip(age).ok_or_else(|| input.error("name and age"))?;
        input.expect('}')?;
        Ok(Named(named.0, named.1))
    }
}

#[test]
fn an_object_is_read_in_any_order_and_its_commas_have_to_be_right() {
    assert_eq!(
        there_and_back(&vec![Named("{".into(), 1), Named(":".into(), 2)]),
        r#"[{"name":"{","age":1},{"name":":","age":2}]"#
    );
    assert_eq!(from_line("{ \"age\" : 3 , \"name\" : \"a\" }"), Ok(Named("a".into(), 3)));
    for wrong in [
        "{}",
        "{\"age\":3}",
        "{\"age\":3 \"name\":\"a\"}",
        "{\"age\" 3,\"name\":\"a\"}",
        "{,\"age\":3}",
        "{\"age\":3,\"name\":\"a\",}",
        "{\"age\":3,\"name\":\"a\"]",
    ] {
        assert!(from_line::<Named>(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_long_string_is_copied_by_runs() {
    let text = "some text, \"quoted\" – and äöü\n".repeat(20_000);
    there_and_back(&text);
    there_and_back(&vec![text.clone(), text]);
}
