//! Chapter 12: every job that was handed in is answered, and jobs run at the same time.

use super::ch08_oneshot::oneshot;
use super::ch12_workers::Workers;
use crate::program::{bound, programs};

programs! {
    fn a_job_is_handed_in_and_the_workers_dropped(bound(2), 48) {
        let workers = Workers::new(1);
        let answer = workers.run(|| 1);
        drop(workers);
        assert_eq!(answer.recv(), Some(1));
    }

    /// The first job waits for the second.
    fn two_jobs_run_at_the_same_time(bound(1), 129) {
        let workers = Workers::new(2);
        let (sender, receiver) = oneshot();
        let first = workers.run(move || receiver.recv());
        let second = workers.run(move || sender.send(1).is_ok());
        assert_eq!((first.recv(), second.recv()), (Some(Some(1)), Some(true)));
    }

    fn a_job_panics_and_the_next_one_runs(bound(2), 151) {
        let workers = Workers::new(1);
        let first = workers.run(|| panic!("a job"));
        let second = workers.run(|| 2);
        let first: Option<()> = first.recv();
        assert_eq!((first, second.recv()), (None, Some(2)));
    }
}
