//! A slice on the stack of `main` is sorted where it lies, by tasks that borrow it. Look at
//! `quicksort`: it waits for nothing, the scope does. First, the wait that can be stepped around.
//!
//! Expected output:
//!
//! ```text
//! a guard that waits in its drop, forgotten: the borrow is over, and nobody has waited
//! a thread pool sorts a copy; the slice still begins with [58400, 73039, 90286]
//! a scope sorts the slice in place: [0, 1, 2] .. [99997, 99998, 99999], with 200 tasks
//! a task panics, its future is read:  panicked: no pivot
//! a task panics, and nobody reads it: a scoped task failed, and nobody read its future
//! a handle that outlived its scope:   the pool was shut down before this task was submitted
//! ```

use concurrent_explained::{Scope, ThreadPool, scope};
use std::cell::Cell;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};

static TASKS: AtomicUsize = AtomicUsize::new(0);

/// Sorts `items` in place: the lower part in a task of its own, the upper part right here.
pub(crate) fn quicksort<'env, T: Ord + Send>(pool: &Scope<'env>, mut items: &'env mut [T]) {
    while items.len() > 1_000 {
        let (low, high) = partition(items);
        let inner = pool.clone();
        TASKS.fetch_add(1, Ordering::Relaxed);
        drop(pool.spawn(move || quicksort(&inner, low)));
        items = high;
    }
    items.sort_unstable();
}

/// Splits around the median of three: nothing in the first part is larger than what is in the
/// second.
fn partition<T: Ord>(items: &mut [T]) -> (&mut [T], &mut [T]) {
    let (middle, last) = (items.len() / 2, items.len() - 1);
    let mut three = [0, middle, last];
    three.sort_by(|&a, &b| items[a].cmp(&items[b]));
    items.swap(three[1], last);
    let mut border = 0;
    for n in 0..last {
        if items[n] < items[last] {
            items.swap(n, border);
            border += 1;
        }
    }
    items.swap(border, last);
    items.split_at_mut(border.max(1))
}

/// A hundred thousand numbers, each once, in no order.
pub(crate) fn shuffled() -> Vec<u64> {
    let mut numbers: Vec<u64> = (0..100_000).collect();
    let mut random = 1_u64;
    for n in (1..numbers.len()).rev() {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        numbers.swap(n, (random >> 33) as usize % (n + 1));
    }
    numbers
}

struct WaitsInDrop<'a>(&'a Cell<bool>);

impl Drop for WaitsInDrop<'_> {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

fn tell() -> Result<String, std::fmt::Error> {
    let mut story = String::new();
    let waited = Cell::new(false);
    std::mem::forget(WaitsInDrop(&waited));
    let waited = if waited.get() { "somebody" } else { "nobody" };
    writeln!(
        story,
        "a guard that waits in its drop, forgotten: the borrow is over, and {waited} has waited"
    )?;

    let mut numbers = shuffled();
    let mut copy = numbers.clone(); // a task of a pool must own what it uses
    ThreadPool::new(2).spawn(move || copy.sort_unstable()).result().unwrap();
    writeln!(story, "a thread pool sorts a copy; the slice still begins with {:?}", &numbers[..3])?;

    scope(2, |pool| quicksort(pool, &mut numbers));
    let (first, last) = (&numbers[..3], &numbers[99_997..]);
    writeln!(
        story,
        "a scope sorts the slice in place: {first:?} .. {last:?}, with {} tasks",
        TASKS.load(Ordering::Relaxed)
    )?;
    assert!(numbers.is_sorted());

    std::panic::set_hook(Box::new(|_| ())); // the panics below are meant
    let read = scope(1, |pool| pool.spawn(|| -> u64 { panic!("no pivot") }).result());
    writeln!(story, "a task panics, its future is read:  {}", read.unwrap_err())?;
    concurrent_explained::set_failure_hook(|_, _| ()); // it would hear of the next one too
    let unread =
        catch_unwind(|| scope(1, |pool| drop(pool.spawn(|| -> u64 { panic!("no pivot") }))));
    writeln!(
        story,
        "a task panics, and nobody reads it: {}",
        unread.unwrap_err().downcast::<&str>().unwrap()
    )?;
    let handle = scope(1, Scope::clone);
    writeln!(
        story,
        "a handle that outlived its scope:   {}",
        handle.spawn(|| 1).result().unwrap_err()
    )?;
    Ok(story)
}

fn main() -> Result<(), std::fmt::Error> {
    let _ = io::stdout().write_all(tell()?.as_bytes()); // a reader that has left is no error
    Ok(())
}
