//! # Concurrency, explained by building it
//!
//! Python's `concurrent.futures` and the `threading` primitives under it, rebuilt by hand in safe Rust on nothing but
//! `std`. Every chapter is one module with one idea, one example to run and one test file to break; read them in order,
//! or copy one with the chapters it needs into a project of your own.
//!
//! *All concurrency is waiting for someone else's news.*
//!
//! | | Chapter | Builds |
//! | --- | --- | --- |
//! | **I** | **Waiting** | |
//! | **II** | **Promising** | |
//! | **III** | **Threads** | |
//! | **IV** | **Processes** | |
//! | **V** | **One interface** | |

#![forbid(unsafe_code)]
