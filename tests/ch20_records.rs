//! Chapter 20: names in any order, unknown ones skipped, missing ones null; and every other type
//! comes back as it went.

mod support;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt::Debug;
use std::path::PathBuf;
use std::time::Duration;

use concurrent_explained::ch19_wire::{from_line, to_line};
use concurrent_explained::ch20_records::*;

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
fn i1_a_struct_is_an_object_in_any_order() {
    let ada = Person { name: "{\"".into(), age: 36, email: None };
    assert_eq!(there_and_back(&ada), r#"{"name":"{\"","age":36,"email":null}"#);
    assert_eq!(from_line(r#" { "age" : 36 , "email" : null , "name" : "{\"" } "#), Ok(ada.clone()));
    assert_eq!(there_and_back(&vec![ada.clone(), ada]).matches("age").count(), 2);
}

#[test]
fn i2_a_missing_field_is_null_if_its_type_can_be_and_an_unknown_one_is_skipped() {
    let ada = Person { name: "Ada".into(), age: 36, email: None };
    assert_eq!(from_line(r#"{"name":"Ada","age":36}"#), Ok(ada.clone()));
    let later = concat!(
        r#"{"a":[1,{"b":"]}"},[]],"name":"Ada","c":{"d":{},"e":null},"age":36,"#,
        r#""f":-1e9,"g":"\u00e9","h":true}"#
    );
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
        r#"column 2: expected one of Empty Circle Named, found "\"Square\",1]""#
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
fn i3_a_map_is_an_object_if_its_keys_are_strings_and_an_array_of_pairs_if_not() {
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
    assert_eq!(there_and_back(&HashMap::from([(Some("a".to_string()), 1)])), r#"[["a",1]]"#);
    assert!(
        from_line::<HashMap<u8, u8>>("{\"1\":1}").is_err()
            && from_line::<HashMap<String, u8>>("[[\"1\",1]]").is_err()
    );
    assert_eq!(from_line("{\"a\":1,\"a\":2}"), Ok(BTreeMap::from([("a".to_string(), 2)])));
}

#[test]
fn i3_sets_deques_and_arrays_are_arrays() {
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
fn i3_a_duration_is_exact_to_the_nanosecond() {
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

#[test]
fn i3_a_path_is_a_string_and_bytes_if_it_is_no_unicode() {
    assert_eq!(there_and_back(&PathBuf::from("/tmp/a \"b\".txt")), r#""/tmp/a \"b\".txt""#);
    assert_eq!(there_and_back(&vec![PathBuf::new(), PathBuf::from("é")]), r#"["","é"]"#);
    assert_eq!(from_line("[47,97]"), Ok(PathBuf::from("/a")));
    for wrong in ["1", "null", "[256]", "[\"a\"]", "\"a"] {
        assert!(from_line::<PathBuf>(wrong).is_err(), "{wrong}");
    }
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStringExt;
        let path = PathBuf::from(std::ffi::OsString::from_vec(vec![b'/', 0xff, b'\n']));
        assert_eq!(there_and_back(&path), "[47,255,10]");
    }
}

#[derive(Debug, PartialEq)]
struct Pair<A, B: Ord> {
    left: A,
    right: B,
}
wire!(struct Pair<A, B: Ord> { left, right });

#[derive(Debug, PartialEq)]
enum Either<A, B> {
    Left(A),
    Right { value: B, sure: bool },
    Neither,
}
wire!(enum Either<A, B> { Left(a), Right { value, sure }, Neither });

#[test]
fn what_is_generic_is_wire_where_its_parameters_are() {
    let pair = Pair { left: vec![1], right: Some("a".to_string()) };
    assert_eq!(there_and_back(&pair), r#"{"left":[1],"right":"a"}"#);
    assert_eq!(from_line(r#"{"left":[1]}"#), Ok(Pair { left: vec![1], right: None::<String> }));
    assert_eq!(there_and_back(&Either::<u8, u8>::Left(1)), r#"["Left",1]"#);
    let right: Either<u8, char> = Either::Right { value: 'x', sure: true };
    assert_eq!(there_and_back(&right), r#"["Right","x",true]"#);
    assert_eq!(there_and_back(&Either::<u8, u8>::Neither), r#"["Neither"]"#);
}

/// Fields with the names of the macro's own variables.
#[derive(Debug, PartialEq)]
struct Unlucky {
    out: u8,
    input: u8,
    key: u8,
    here: u8,
    r#type: u8,
}
wire!(struct Unlucky { out, input, key, here, r#type });

#[test]
fn no_name_of_a_field_is_in_the_way() {
    there_and_back(&Unlucky { out: 1, input: 2, key: 3, here: 4, r#type: 5 });
}

#[test]
fn errors_point_at_what_is_wrong() {
    assert_eq!(
        why::<(u8, char)>("[1,  \"ab\"]"),
        r#"column 6: expected a string of one character, found "\"ab\"]""#
    );
    assert_eq!(
        why::<Vec<Shape>>(r#"[["Empty"], [ "Square" ]]"#),
        r#"column 15: expected one of Empty Circle Named, found "\"Square\" ]]""#
    );
    assert_eq!(
        why::<Vec<Person>>(r#"[ {"age":1} ]"#),
        r#"column 3: expected an object with "name", found "{\"age\":1} ]""#
    );
    assert_eq!(why::<Vec<[u8; 2]>>("[[1,2],[3]]"), r#"column 8: expected 2 items, found "[3]]""#);
    assert!(why::<Vec<Duration>>("[1, -1]").starts_with("column 5: expected a number of seconds"));
}

/// The compiler's error leads to the cure.
#[test]
fn a_type_that_is_not_wire_hears_of_the_macro() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = folder.join(format!("ch20_not_wire_{}.rs", std::process::id()));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/ch19_wire/mod.rs");
    let source = format!(
        "#[path = {path:?}]\npub mod ch19_wire;\n\
         pub struct Job;\npub fn f(job: Job) -> String {{ ch19_wire::to_line(&job) }}\n"
    );
    std::fs::write(&file, source).unwrap();
    let mut rustc = std::process::Command::new(std::env::var_os("RUSTC").unwrap_or("rustc".into()));
    rustc.args(["--edition", "2021", "--crate-type", "lib", "--emit", "metadata", "-o"]);
    let output = rustc.arg(file.with_extension("rmeta")).arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    std::fs::remove_file(file).unwrap();
    assert!(!output.status.success());
    assert!(said.contains("a `Job` cannot be sent to another process"), "{said}");
    assert!(said.contains("wire!(struct Name { field, field });"), "{said}");
}

// ---- answers to the exercises -------------------------------------------------------------------

/// An array of pairs: the key is not a `String`, although each one of them may look like one.
#[test]
fn try_1_a_key_that_can_be_null_is_no_name() {
    assert_eq!(there_and_back(&HashMap::from([(Some("a".to_string()), 1)])), r#"[["a",1]]"#);
}

// The workers first: a parent of today sends a name that they do not know yet. Red are this one,
// `i2_…` and `depth_is_bounded_…`.
#[test]
fn try_2_a_parent_of_today_is_understood_by_a_worker_of_yesterday() {
    let ada = Person { name: "Ada".into(), age: 36, email: None };
    assert_eq!(from_line(r#"{"name":"Ada","age":36,"urgent":true}"#), Ok(ada));
}

#[test]
fn try_3_a_tree_is_an_enum_with_boxes() {
    let leaf = |value| Box::new(Tree::Leaf(value));
    let tree = Tree::Branch(leaf(1), Box::new(Tree::Branch(leaf(2), leaf(3))));
    let line = r#"["Branch",["Leaf",1],["Branch",["Leaf",2],["Leaf",3]]]"#;
    assert_eq!(there_and_back(&tree), line);
}

#[derive(Debug, PartialEq)]
struct Awkward {
    here: u8,
    input: u8,
    key: u8,
    out: u8,
}
wire!(struct Awkward { here, input, key, out });

#[test]
fn fields_may_have_the_names_that_the_macro_uses_itself() {
    let line = to_line(&Awkward { here: 1, input: 2, key: 3, out: 4 });
    assert_eq!(line, r#"{"here":1,"input":2,"key":3,"out":4}"#);
    assert_eq!(from_line(&line), Ok(Awkward { here: 1, input: 2, key: 3, out: 4 }));
}
