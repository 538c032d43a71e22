//! Lines of progress with the time since the chore began.

use std::fmt::Display;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Prints what begins now.
pub(crate) fn stage(what: impl Display) {
    println!("[{}] {what}", clock(START.elapsed()));
}

/// Runs a stage, printing its name before it and its own duration after it.
pub(crate) fn timed<T, E>(what: impl Display, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    stage(format_args!("{what} ..."));
    let begin = Instant::now();
    let result = work();
    let verdict = if result.is_ok() { "done" } else { "FAILED" };
    stage(format_args!("{what}: {verdict} in {}", clock(begin.elapsed())));
    result
}

fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{:>2}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_counts_minutes_past_the_hour() {
        assert_eq!(clock(Duration::from_secs(9)), " 0:09");
        assert_eq!(clock(Duration::from_secs(3725)), "62:05");
    }
}
