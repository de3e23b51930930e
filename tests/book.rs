//! The guardian of the house: the rules that make this tree of files a book, each one a test.
//!
//! A check reads a tree and returns its complaints. The files in `tests/book/` hold the checks and,
//! below each check, the proof that it can fail: a small sound book is broken in one place, and the
//! complaint must name that place. Here every check meets the real tree.

mod book {
    pub(crate) mod as_of;
    pub(crate) mod chapters;
    pub(crate) mod copies;
    pub(crate) mod examples;
    pub(crate) mod headers;
    pub(crate) mod layout;
    pub(crate) mod links;
    pub(crate) mod miniature;
    pub(crate) mod table;
    pub(crate) mod text;
    pub(crate) mod tree;
    pub(crate) mod words;
}

use book::miniature::Miniature;
use book::tree::{Book, Complaints};
use book::{as_of, chapters, copies, examples, headers, layout, links, table, words};
use std::time::Duration;

/// The chapters in the order of the story. The number in a name is its place here.
const CHAPTERS: &[&str] = &[
    "ch01_lock",
    "ch02_rlock",
    "ch03_condition",
    "ch04_event",
    "ch05_semaphore",
    "ch06_barrier",
    "ch07_queue",
    "ch08_oneshot",
    "ch09_outcome",
    "ch10_future",
    "ch11_wait",
    "ch12_workers",
    "ch13_task",
    "ch14_backlog",
    "ch15_thread_pool",
    "ch16_scope",
    "ch17_map",
    "ch18_child",
    "ch19_wire",
    "ch20_records",
    "ch21_protocol",
    "ch22_worker",
    "ch23_process",
    "ch24_in_flight",
    "ch25_process_pool",
    "ch26_executor",
    "ch27_square_sum",
    "ch28_await",
    "ch29_timeline",
    "ch30_remote",
    "ch31_schedules",
    "ch32_measure",
];

/// The chapters that may be missing, but only whole.
const NOT_BUILT_YET: &[&str] = &[];

/// The chapters whose text still has the form of the first edition.
const NOT_REWRITTEN_YET: &[&str] = &[];

/// The two commands that the README asks a stranger to type.
const COMMANDS: [&str; 2] = ["cargo run --release --example ch27_square_sum -- 1000", "cargo test"];

/// What the first of them prints.
const PROMISE: &str = "The sum of squares from 1 to 1000 is 333833500";

/// Far beyond any honest example, even on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The tree that this test was built from.
fn real() -> Book {
    // This program is target/debug/deps/book-…, and the examples of its build are in target/debug.
    let this_program = std::env::current_exe().expect("a running program has a file");
    let build = this_program.ancestors().nth(2).expect("cargo puts tests two levels deep");
    Book {
        root: env!("CARGO_MANIFEST_DIR").into(),
        build: build.into(),
        chapters: CHAPTERS,
        not_built_yet: NOT_BUILT_YET,
        not_rewritten_yet: NOT_REWRITTEN_YET,
        commands: COMMANDS,
        promise: PROMISE,
        patience: PATIENCE,
    }
}

#[track_caller]
fn holds(check: fn(&Book) -> Complaints, book: &Book) {
    let complaints = check(book);
    assert!(complaints.is_empty(), "\n\n{}\n", complaints.join("\n"));
}

/// Makes each line a test over the real tree. All checks must also pass the miniature that their
/// proofs break: one that always complains would prove nothing.
macro_rules! rules {
    ($($rule:ident: $check:path,)*) => {
        $(
            #[test]
            fn $rule() {
                holds($check, &real());
            }
        )*

        #[test]
        fn a_sound_miniature_passes_every_check() {
            let miniature = Miniature::sound();
            $(holds($check, &miniature.book);)*
        }
    };
}

rules! {
    a_chapter_has_one_name_in_four_places: layout::one_name_in_four_places,
    no_file_is_named_like_an_unknown_chapter: layout::no_strangers,
    chapters_are_in_order: layout::in_order,
    the_top_level_holds_nothing_else: layout::top_level,
    the_crate_depends_on_std_only: layout::no_dependencies,
    needs_are_the_imports_and_point_back: chapters::needs,
    paths_work_in_any_module: chapters::relative_paths,
    files_need_each_other_in_no_circle: chapters::no_circles,
    methods_stand_beside_their_type: chapters::methods_at_home,
    code_lines_stay_within_the_budget: chapters::code_lines,
    headers_follow_the_house_style: headers::form,
    promises_are_met_again_in_code_and_tests: headers::promises,
    exercises_have_answers: headers::exercises,
    the_table_of_contents_is_true: headers::contents,
    chapters_compile_alone_with_what_they_need: copies::compile_alone,
    the_book_as_of_each_chapter_compiles: as_of::compiles,
    chapters_compile_in_every_layout: copies::compile_anywhere,
    examples_print_what_their_headers_say: examples::expected_output,
    no_sleep_proves_anything: words::sleeps,
    lines_of_prose_are_narrow: words::wide_lines,
    words_are_plain: words::plain_words,
    test_files_are_short: words::long_tests,
    nothing_is_left_unfinished: words::unfinished,
    no_code_is_unsafe: words::unsafe_code,
    no_registry_and_no_machine_is_named: words::hosts_and_machines,
    links_and_names_in_the_prose_resolve: links::resolve,
    every_chapter_is_linked: links::chapters_are_linked,
    the_readme_prints_the_two_commands: links::commands,
}

#[test]
fn the_table_of_copies_is_true() {
    holds(table::is_true, &real());
}

#[test]
fn examples_end_quietly_if_nobody_reads_them() {
    holds(examples::quiet_end, &real());
}

#[test]
fn each_row_of_the_table_of_copies_runs() {
    holds(table::runs, &real());
}

/// Slow: `cargo test --test book as_of -- --ignored`.
#[test]
#[ignore = "compiles the book once for each chapter: minutes"]
fn the_tests_of_each_chapter_pass_in_the_book_as_of_then() {
    holds(as_of::passes, &real());
}
