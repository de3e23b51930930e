//! # Concurrency, explained by building it
//!
//! Python's `concurrent.futures` and the `threading` primitives under it, rebuilt by hand in safe
//! Rust on nothing but `std`. Every chapter is one module with one idea, one example to run and one
//! test file to break; read them in order, or copy one with the chapters it needs into a project of
//! your own.
//!
//! *All concurrency is waiting for someone else's news.*
//!
//! ```
//! use concurrent_explained::{Error, ThreadPool, as_completed};
//!
//! let pool = ThreadPool::new(2);
//! let lengths = ["lock", "event"].map(|word| pool.spawn(move || word.len()));
//! for length in as_completed(lengths).cancel_on_drop() {
//!     println!("{}", length.result()?); // as they are done; a failure cancels the rest
//! }
//!
//! let product = pool.spawn(|| 6 * 7);
//! product.add_done_callback(|outcome| assert_eq!(outcome, &Ok(42)));
//! assert_eq!(product.result()?, 42);
//! # Ok::<(), Error>(())
//! ```
//!
//! **Start here:** five minutes of [preface](../../../CHAPTERS.md#preface), then [chapter
//! 01](ch01_lock). On every chapter's page stand the command that runs its example, what it needs,
//! and the way to the page before and after. Programs with worker processes start at
//! [`ProcessPool`].
//!
//! | | Chapter | Builds |
//! | --- | --- | --- |
//! | **I** | **Waiting** | |
//! | 01 | [lock](ch01_lock) | [`Lock`]: a flag under a mutex, a condition variable, and a loop |
//! | 02 | [rlock](ch02_rlock) | [`RLock`]: an owner and a depth |
//! | 03 | [condition](ch03_condition) | [`Condition`]: a queue of waiters |
//! | 04 | [event](ch04_event) | [`Event`]: a generation counter |
//! | 05 | [semaphore](ch05_semaphore) | [`Semaphore`]: counting, first come first served |
//! | 06 | [barrier](ch06_barrier) | [`Barrier`]: rounds that cannot overlap |
//! | 07 | [queue](ch07_queue) | [`Queue`]: two kinds of waiters, and closing as news |
//! | **II** | **Promising** | |
//! | 08 | [oneshot](ch08_oneshot) | [`oneshot()`]: one value, once, or the news that there will be none |
//! | 09 | [outcome](ch09_outcome) | [`Error`]: a failure is a value |
//! | 10 | [future](ch10_future) | [`Future`]: one state machine, first the work, then the result |
//! | 11 | [wait](ch11_wait) | [`wait()`], [`as_completed`]: many futures, one queue of news |
//! | **III** | **Threads** | |
//! | 12 | [workers](ch12_workers) | [`Workers`]: who owns a thread |
//! | 13 | [task](ch13_task) | [`task`](ch13_task::task): work and outcome in one box, and a worker that waits does the work |
//! | 14 | [backlog](ch14_backlog) | [`Backlog`](ch14_backlog::Backlog): swap, don't share |
//! | 15 | [thread_pool](ch15_thread_pool) | [`ThreadPool`]: a worker that waits does the work itself |
//! | 16 | [scope](ch16_scope) | [`scope()`]: tasks that borrow |
//! | 17 | [map](ch17_map) | [`map()`]: order from disorder, and back-pressure |
//! | **IV** | **Processes** | |
//! | 18 | [child](ch18_child) | [`ChildPool`]: a line out, a line back, and death as the end of a file |
//! | 19 | [wire](ch19_wire) | [`Wire`]: a value as one line of text |
//! | 20 | [records](ch20_records) | [`wire!`](ch20_records::wire): values under names can grow |
//! | 21 | [protocol](ch21_protocol) | the lines that parent and worker exchange |
//! | 22 | [worker](ch22_worker) | [`Tasks`]: a process has no closures, so tasks have names |
//! | 23 | [process](ch23_process) | [`Process`](ch23_process::Process): one worker process as a value |
//! | 24 | [in_flight](ch24_in_flight) | [`InFlight`](ch24_in_flight::InFlight): what one worker has been sent, and who pays when it dies |
//! | 25 | [process_pool](ch25_process_pool) | [`ProcessPool`]: pipes, the end of a file, and death as news |
//! | **V** | **One interface** | |
//! | 26 | [executor](ch26_executor) | [`Executor`]: what two different pools have in common |
//! | 27 | [square_sum](ch27_square_sum) | the exam: a sum of squares on any executor |
//! | **VI** | **Beyond** | |
//! | 28 | [await](ch28_await) | [`block_on`]: a waker is a callback |
//! | 29 | [timeline](ch29_timeline) | [`Timeline`](ch29_timeline::Timeline): seeing is believing |
//! | 30 | [remote](ch30_remote) | [`Hosts`](ch30_remote::Hosts), [`filter`](ch30_remote::filter()): the protocol does not care where the pipe ends |
//! | **VII** | **How do we know?** | |
//! | 31 | [schedules](ch31_schedules) | [`explore`](ch31_schedules::explore), and a game: a test is one schedule; here are all of them |
//! | 32 | [measure](ch32_measure) | [`Race`](ch32_measure::Race): how to know which of two is faster |

#![forbid(unsafe_code)]

pub mod ch01_lock;
pub mod ch02_rlock;
pub mod ch03_condition;
pub mod ch04_event;
pub mod ch05_semaphore;
pub mod ch06_barrier;
pub mod ch07_queue;

pub mod ch08_oneshot;
pub mod ch09_outcome;
pub mod ch10_future;
pub mod ch11_wait;

pub mod ch12_workers;
pub mod ch13_task;
pub mod ch14_backlog;
pub mod ch15_thread_pool;
pub mod ch16_scope;
pub mod ch17_map;

pub mod ch18_child;
pub mod ch19_wire;
pub mod ch20_records;
pub mod ch21_protocol;
pub mod ch22_worker;
pub mod ch23_process;
pub mod ch24_in_flight;
pub mod ch25_process_pool;

pub mod ch26_executor;
pub mod ch27_square_sum;

pub mod ch28_await;
pub mod ch29_timeline;
pub mod ch30_remote;
pub mod ch31_schedules;
pub mod ch32_measure;

#[doc(inline)]
pub use ch01_lock::{Lock, LockGuard, UnlockError};
#[doc(inline)]
pub use ch02_rlock::{RLock, RLockGuard, RUnlockError};
#[doc(inline)]
pub use ch03_condition::{Condition, Guard};
#[doc(inline)]
pub use ch04_event::Event;
#[doc(inline)]
pub use ch05_semaphore::{OverRelease, OwnedPermit, Permit, Semaphore};
#[doc(inline)]
pub use ch06_barrier::{Barrier, BarrierError, BrokenBy};
#[doc(inline)]
pub use ch07_queue::{Queue, QueueError, Refused};
#[doc(inline)]
pub use ch08_oneshot::{Receiver, Sender, oneshot};
#[doc(inline)]
pub use ch09_outcome::{Death, Error, Overrun, set_failure_hook};
#[doc(inline)]
pub use ch10_future::{Future, Promise, promise};
#[doc(inline)]
pub use ch11_wait::{
    AsCompleted, ReturnWhen, Unfinished, Waited, Within, as_completed, wait, wait_timeout,
};
#[doc(inline)]
pub use ch12_workers::Workers;
#[doc(inline)]
pub use ch15_thread_pool::ThreadPool;
#[doc(inline)]
pub use ch16_scope::{Scope, scope};
#[doc(inline)]
pub use ch17_map::{Map, MapChunked, each, in_order, map, map_chunked, map_windowed};
#[doc(inline)]
pub use ch18_child::ChildPool;
#[doc(inline)]
pub use ch19_wire::{Reader, Wire, WireError, from_line, to_line};
#[doc(inline)]
pub use ch21_protocol::{ErrKind, Incoming, Lines, Message, Request};
#[doc(inline)]
pub use ch22_worker::{Tasks, worker_mark};
#[doc(inline)]
pub use ch25_process_pool::ProcessPool;
#[doc(inline)]
pub use ch26_executor::Executor;

#[doc(inline)]
pub use ch28_await::{Awaiting, block_on};

/// The README's code runs as a test too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
