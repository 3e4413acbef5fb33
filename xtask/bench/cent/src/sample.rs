//! Samples taken in turn, and what they say together.

use std::time::{Duration, Instant};

/// Samples of each side; odd, so that a median is one of them.
const SAMPLES: usize = 15;

/// How long one takes.
const LENGTH: Duration = Duration::from_millis(300);

/// Calls a second, one number a sample.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    rates: Vec<f64>,
    calls: u64,
    cpu: f64,
}

/// Takes samples of `a` and `b` in turn; each makes calls for a time and says how
/// many.
pub(crate) fn alternate(
    a: impl Fn(Duration) -> u64,
    b: impl Fn(Duration) -> u64,
) -> (Samples, Samples) {
    // Connections, caches.
    let _warm = (a(LENGTH), b(LENGTH));
    let (mut of_a, mut of_b) = (Samples::default(), Samples::default());
    for _ in 0..SAMPLES {
        of_a.take(&a);
        of_b.take(&b);
    }
    (of_a, of_b)
}

impl Samples {
    pub(crate) fn take(&mut self, work: &impl Fn(Duration) -> u64) {
        let (start, cpu) = (Instant::now(), cpu_seconds());
        let calls = work(LENGTH);
        self.rates.push(calls as f64 / start.elapsed().as_secs_f64());
        self.calls += calls;
        self.cpu += cpu_seconds() - cpu;
    }

    pub(crate) fn of(rates: Vec<f64>) -> Self {
        Self { rates, ..Self::default() }
    }

    /// Sample by sample.
    pub(crate) fn ratios(&self, other: &Self) -> Self {
        Self::of(self.rates.iter().zip(&other.rates).map(|(a, b)| a / b).collect())
    }

    pub(crate) fn median(&self) -> f64 {
        self.at(0.5)
    }

    pub(crate) fn p10(&self) -> f64 {
        self.at(0.1)
    }

    pub(crate) fn p90(&self) -> f64 {
        self.at(0.9)
    }

    /// Microseconds of this process for one call.
    pub(crate) fn cpu(&self) -> f64 {
        self.cpu * 1e6 / self.calls.max(1) as f64
    }

    fn at(&self, part: f64) -> f64 {
        let mut sorted = self.rates.clone();
        sorted.sort_by(f64::total_cmp);
        let at = (part * (sorted.len().saturating_sub(1)) as f64).round() as usize;
        sorted.get(at).copied().unwrap_or(f64::NAN)
    }
}

/// User and system time of this process so far; 0 where there is no /proc.
pub(crate) fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}
