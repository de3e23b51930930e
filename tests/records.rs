//! Chapter 19, the room `records`: names in any order, unknown ones skipped, missing ones null; and
//! every other type comes back as it went.

mod support;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt::Debug;
use std::time::Duration;

use concurrent_explained::ch19_wire::Ignored;
use concurrent_explained::ch19_wire::{Wire, from_line, to_line};
use concurrent_explained::wire;

fn there_and_back<T: Wire + PartialEq + Debug>(value: &T) -> String {
    let line = to_line(value);
    assert_eq!(from_line::<T>(&line).as_ref(), Ok(value), "{line}");
    line
}

fn why<T: Wire + Debug>(line: &str) -> String {
    from_line::<T>(line).unwrap_err().to_string()
}

#[derive(Debug, PartialEq, Clone)]
struct Person {
    name: String,
    age: u8,
    email: Option<String>,
}
wire!(struct Person { name, age, email });

#[derive(Debug, PartialEq)]
enum Shape {
    Empty,
    Circle(f64),
    Named(String, Box<Shape>),
}
wire!(
    enum Shape {
        Empty,
        Circle(radius),
        Named(name, shape),
    }
);

// Try 3
#[derive(Debug, PartialEq)]
enum Tree {
    Leaf(u8),
    Branch(Box<Tree>, Box<Tree>),
}
wire!(
    enum Tree {
        Leaf(value),
        Branch(left, right),
    }
);

#[test]
fn a_struct_is_an_object_in_any_order() {
    let ada = Person { name: "{\"".into(), age: 36, email: None };
    assert_eq!(there_and_back(&ada), r#"{"name":"{\"","age":36,"email":null}"#);
    assert_eq!(from_line(r#" { "age" : 36 , "email" : null , "name" : "{\"" } "#), Ok(ada.clone()));
    assert_eq!(there_and_back(&vec![ada.clone(), ada]).matches("age").count(), 2);
}

// Try 2: with an error instead, every worker has to be updated before the first parent.
#[test]
fn a_missing_field_is_null_if_its_type_can_be_and_an_unknown_one_is_skipped() {
    let ada = Person { name: "Ada".into(), age: 36, email: None };
    assert_eq!(from_line(r#"{"name":"Ada","age":36}"#), Ok(ada.clone()));
    let later = r#"{"a":[1,{"b":"]}"},[]],"name":"Ada","c":{"d":{},"e":null},"age":36,"f":-1e9,"g":"\u00e9","h":true}"#;
    assert_eq!(from_line(later), Ok(ada.clone()));
    assert_eq!(from_line(r#"{"age":1,"name":"Ada","age":36}"#), Ok(ada), "the last one counts");
    assert_eq!(
        why::<Person>(" {\"age\":36}"),
        r#"column 2: expected an object with "name", found "{\"age\":36}""#
    );
}

#[test]
fn what_is_not_an_object_is_refused() {
    for wrong in [
        "",
        "[]",
        "{",
        "{}",
        "null",
        r#"{"name":"a","age":1"#,
        r#"{"name":"a","age":1,}"#,
        r#"{"name":"a""age":1}"#,
        r#"{"name" "a","age":1}"#,
        r#"{"name":"a","age":256}"#,
        r#"{"name":"a","age":1]"#,
        r#"{name:"a","age":1}"#,
        r#"{"x":,"age":1}"#,
        r#"{"x":[1,"name":"a","age":1}"#,
    ] {
        assert!(from_line::<Person>(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn an_enum_is_the_name_of_its_variant_and_its_fields() {
    assert_eq!(there_and_back(&Shape::Empty), r#"["Empty"]"#);
    let named = Shape::Named("a".into(), Box::new(Shape::Circle(0.5)));
    assert_eq!(
        there_and_back(&vec![named, Shape::Empty]),
        r#"[["Named","a",["Circle",0.5]],["Empty"]]"#
    );
    assert_eq!(
        why::<Shape>("[\"Square\",1]"),
        r#"column 1: expected one of Empty Circle Named, found "[\"Square\",1]""#
    );
    for wrong in [
        "[]",
        "[\"Empty\",1]",
        "[\"Circle\"]",
        "[\"Circle\",1,2]",
        "\"Empty\"",
        "[\"empty\"]",
        "[Empty]",
    ] {
        assert!(from_line::<Shape>(wrong).is_err(), "{wrong}");
    }
    there_and_back(&Tree::Branch(
        Box::new(Tree::Leaf(1)),
        Box::new(Tree::Branch(Box::new(Tree::Leaf(2)), Box::new(Tree::Leaf(3)))),
    ));
}

#[test]
fn depth_is_bounded_for_every_kind_of_nesting() {
    let deep = |open: &str| open.repeat(1_000_000);
    assert!(why::<Tree>(&deep("[\"Branch\",")).contains("at most 128 levels"));
    assert!(why::<Ignored>(&deep("[")).contains("at most 128 levels"));
    assert!(why::<Ignored>(&deep("{\"a\":")).contains("at most 128 levels"));
    assert!(why::<Person>(&format!("{{\"a\":{}", deep("[{\"b\":"))).contains("at most 128 levels"));
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

#[test]
fn a_map_is_an_object_if_its_keys_are_strings_and_an_array_of_pairs_if_not() {
    assert_eq!(
        there_and_back(&BTreeMap::from([("a".to_string(), 1), ("\"".to_string(), 2)])),
        r#"{"\"":2,"a":1}"#
    );
    assert_eq!(
        there_and_back(&BTreeMap::from([(1, "a".to_string()), (2, "b".to_string())])),
        r#"[[1,"a"],[2,"b"]]"#
    );
    assert_eq!(there_and_back(&BTreeMap::<String, u8>::new()), "{}");
    assert_eq!(there_and_back(&BTreeMap::<u8, u8>::new()), "[]");
    there_and_back(&(0..100).map(|n| (n.to_string(), vec![Some(n)])).collect::<HashMap<_, _>>());
    there_and_back(&(0..100).map(|n| ((n, 'x'), n.to_string())).collect::<HashMap<_, _>>());
    // Try 1
    assert_eq!(there_and_back(&HashMap::from([(Some("a".to_string()), 1)])), r#"[["a",1]]"#);
    assert!(
        from_line::<HashMap<u8, u8>>("{\"1\":1}").is_err()
            && from_line::<HashMap<String, u8>>("[[\"1\",1]]").is_err()
    );
    assert_eq!(from_line("{\"a\":1,\"a\":2}"), Ok(BTreeMap::from([("a".to_string(), 2)])));
}

#[test]
fn sets_deques_and_arrays_are_arrays() {
    assert_eq!(there_and_back(&BTreeSet::from([2, 1, 3])), "[1,2,3]");
    assert_eq!(there_and_back(&VecDeque::from([(), ()])), "[null,null]");
    there_and_back(&(0..100).collect::<HashSet<u64>>());
    assert_eq!(from_line("[1,1,2]"), Ok(HashSet::from([1, 2])));
    assert_eq!(there_and_back(&[[1, 2], [3, 4]]), "[[1,2],[3,4]]");
    assert_eq!(there_and_back(&[0_u8; 0]), "[]");
    assert_eq!(why::<[u8; 2]>(" [1,2,3]"), r#"column 2: expected 2 items, found "[1,2,3]""#);
    assert_eq!(
        why::<[u8; 2]>("[1,x]"),
        r#"column 4: expected a whole number from 0 to 255, found "x]""#
    );
}

#[test]
fn a_character_is_a_string_of_one() {
    for c in ['a', '"', '\n', '\u{1e}', '😀', '\0', char::MAX] {
        there_and_back(&c);
    }
    for wrong in ["\"\"", "\"ab\"", "a", "1", "\"e\u{301}\""] {
        assert!(from_line::<char>(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_duration_is_exact_to_the_nanosecond() {
    for (seconds, nanos, text) in [
        (0, 0, "0"),
        (1, 500_000_000, "1.5"),
        (0, 1, "0.000000001"),
        (10, 0, "10"),
        (100, 10, "100.00000001"),
        (u64::MAX, 999_999_999, "18446744073709551615.999999999"),
    ] {
        assert_eq!(there_and_back(&Duration::new(seconds, nanos)), text);
    }
    for (text, nanos) in [
        ("1e-07", 100),
        ("0.10", 100_000_000),
        ("1.5e-3", 1_500_000),
        ("0.0000000010", 1),
        ("-0", 0),
        ("2e0", 2_000_000_000),
    ] {
        assert_eq!(from_line(text), Ok(Duration::from_nanos(nanos)), "{text}");
    }
    for wrong in [
        "-1",
        "1e30",
        "18446744073709551616",
        "\"NaN\"",
        "Infinity",
        "+1",
        "01",
        "1.",
        "1.-5",
        "1.+5",
        "",
        "null",
    ] {
        assert!(from_line::<Duration>(wrong).is_err(), "{wrong}");
    }
    assert!(why::<Duration>(" -1").starts_with("column 2: expected a number of seconds"));
}

#[test]
fn all_prefixes_of_valid_lines_are_refused_and_kill_nobody() {
    type All = (Person, Shape, Result<Duration, char>, HashMap<String, BTreeMap<u8, [bool; 2]>>);
    let person = Person { name: "\n".into(), age: 1, email: Some("é".into()) };
    let map = HashMap::from([("a".to_string(), BTreeMap::from([(1, [true, false])]))]);
    let line =
        there_and_back::<All>(&(person, Shape::Circle(1.0), Ok(Duration::from_millis(1)), map));
    for end in 0..line.len() {
        if line.is_char_boundary(end) {
            assert!(from_line::<All>(&line[..end]).is_err());
        }
        // And with one byte of it gone.
        let mut shorter = line.clone();
        if line.is_char_boundary(end) && line.is_char_boundary(end + 1) {
            shorter.remove(end);
            if let Ok(value) = from_line::<All>(&shorter) {
                there_and_back(&value);
            }
        }
    }
}
