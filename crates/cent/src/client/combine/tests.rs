use std::{
    collections::BTreeSet,
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use serde_json::{json, value::RawValue};

use super::*;
use crate::error::RequestError;

/// One request at a time, so that what goes together is known.
fn alone() -> Combiner {
    Combiner { most_leaders: 1, ..Combiner::default() }
}

const LONG: Duration = Duration::from_secs(60);

fn command(n: usize) -> Command {
    Command::raw("publish", &json!({"channel": "a", "data": n})).unwrap()
}

/// Answers each command with its own parameters.
fn echo(commands: &[Command]) -> Vec<Outcome> {
    commands.iter().map(|c| Ok(RawValue::from_string(c.params.clone()).unwrap())).collect()
}

/// Lets `count` threads call at once, each `rounds` times; returns how often each
/// got its own answer, or an error.
fn storm(
    combiner: &Combiner,
    count: usize,
    rounds: usize,
    exchange: &(impl Fn(&[Command], Duration) -> Result<Vec<Outcome>, Error> + Sync),
) -> (usize, Vec<Error>) {
    let barrier = Barrier::new(count);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .map(|thread| {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    let (mut right, mut errors) = (0, Vec::new());
                    for round in 0..rounds {
                        let own = command(thread * rounds + round);
                        match combiner.call(own.clone(), LONG, exchange) {
                            Ok(answer) => {
                                assert_eq!(answer.unwrap().get(), own.params);
                                right += 1;
                            }
                            Err(error) => errors.push(error),
                        }
                    }
                    (right, errors)
                })
            })
            .collect();
        threads.into_iter().fold((0, Vec::new()), |(right, mut errors), thread| {
            let (own, failed) = thread.join().unwrap();
            errors.extend(failed);
            (right + own, errors)
        })
    })
}

#[test]
fn each_call_gets_its_own_answer_and_many_share_a_request() {
    let (combiner, requests) = (Combiner::default(), AtomicUsize::new(0));
    let sent = Mutex::new(Vec::new());
    let exchange = |commands: &[Command], _: Duration| {
        assert!(commands.len() <= MAX_COMMANDS);
        requests.fetch_add(1, Ordering::Relaxed);
        sent.lock().unwrap().extend(commands.iter().map(|c| c.params.clone()));
        // As long as a request takes: others gather.
        thread::yield_now();
        Ok(echo(commands))
    };
    let (right, errors) = storm(&combiner, 64, 200, &exchange);
    assert_eq!((right, errors.len()), (12_800, 0));
    let sent = sent.into_inner().unwrap();
    let once: BTreeSet<&String> = sent.iter().collect();
    assert_eq!((sent.len(), once.len()), (12_800, 12_800), "each once");
    assert!(lock(&combiner.queue).leaders == 0 && lock(&combiner.queue).waiting.is_empty());
    let requests = requests.into_inner();
    assert!((25..=12_800).contains(&requests), "{requests}");
}

/// While the first request is on its way, others come: all of them go with the
/// second.
#[test]
fn what_comes_while_somebody_sends_goes_with_the_next_request() {
    let combiner = alone();
    let (first, sizes) = (AtomicBool::new(true), Mutex::new(Vec::new()));
    let exchange = |commands: &[Command], _: Duration| {
        if first.swap(false, Ordering::Relaxed) {
            while lock(&combiner.queue).waiting.len() < 15 {
                thread::yield_now();
            }
        }
        sizes.lock().unwrap().push(commands.len());
        Ok(echo(commands))
    };
    let (right, _) = storm(&combiner, 16, 1, &exchange);
    assert_eq!((right, sizes.into_inner().unwrap()), (16, vec![1, 15]));
}

#[test]
fn a_call_that_fails_alone_does_not_fail_the_others() {
    let combiner = alone();
    let bad = command(7).params;
    let exchange = |commands: &[Command], _: Duration| {
        thread::yield_now();
        match commands.iter().any(|c| c.params == bad) {
            true => Err(Error::Request(RequestError::new(Failure::Status(400), 0))),
            false => Ok(echo(commands)),
        }
    };
    let (right, errors) = storm(&combiner, 32, 10, &exchange);
    assert_eq!((right, errors.len()), (319, 1));
}

#[test]
fn a_request_that_is_lost_is_in_doubt_for_each_of_its_calls() {
    let (combiner, requests) = (alone(), AtomicUsize::new(0));
    let exchange = |commands: &[Command], _: Duration| {
        thread::yield_now();
        match requests.fetch_add(1, Ordering::Relaxed) % 3 {
            0 => Err(Error::timed_out().with_doubt(commands.len())),
            _ => Ok(echo(commands)),
        }
    };
    let (right, errors) = storm(&combiner, 16, 50, &exchange);
    assert_eq!(right + errors.len(), 800);
    assert!(!errors.is_empty());
    for error in errors {
        assert!(matches!(error, Error::Request(e) if e.in_doubt == 1));
    }
}

#[test]
fn a_call_that_waits_too_long_was_not_sent_and_is_not_in_doubt() {
    let combiner = alone();
    let (sent, gone) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    let exchange = |commands: &[Command], _: Duration| {
        sent.lock().unwrap().extend(commands.iter().map(|c| c.params.clone()));
        while !gone.load(Ordering::Relaxed) {
            thread::yield_now();
        }
        Ok(echo(commands))
    };
    thread::scope(|scope| {
        let leader = scope.spawn(|| combiner.call(command(1), LONG, &exchange));
        while sent.lock().unwrap().is_empty() {
            thread::yield_now();
        }
        let late = combiner.call(command(2), Duration::from_millis(1), &exchange);
        let error = late.map(drop).unwrap_err();
        assert!(matches!(error, Error::Request(e) if e.in_doubt == 0));
        gone.store(true, Ordering::Relaxed);
        assert!(leader.join().unwrap().is_ok());
    });
    assert_eq!(sent.into_inner().unwrap(), [command(1).params]);
    assert!(lock(&combiner.queue).leaders == 0 && lock(&combiner.queue).waiting.is_empty());
}

/// A long command at the front neither holds up what is behind it nor starves.
#[test]
fn commands_over_the_bound_go_alone_and_all_go_in_turn() {
    let combiner = alone();
    let (first, sizes) = (AtomicBool::new(true), Mutex::new(Vec::new()));
    let exchange = |commands: &[Command], _: Duration| {
        if first.swap(false, Ordering::Relaxed) {
            while lock(&combiner.queue).waiting.len() < 12 {
                thread::yield_now();
            }
        }
        sizes.lock().unwrap().push(commands.iter().map(|c| c.params.len()).collect::<Vec<_>>());
        Ok(echo(commands))
    };
    let long = Command::raw("publish", &json!({"data": "x".repeat(600 << 10)})).unwrap();
    thread::scope(|scope| {
        let mut calls = vec![scope.spawn(|| combiner.call(command(0), LONG, &exchange))];
        while lock(&combiner.queue).leaders == 0 {
            thread::yield_now();
        }
        for n in 1..=12 {
            let own = if n % 4 == 1 { long.clone() } else { command(n) };
            let (combiner, exchange) = (&combiner, &exchange);
            calls.push(scope.spawn(move || combiner.call(own, LONG, exchange)));
            // In this order; the last one sets the first request free.
            while n < 12 && lock(&combiner.queue).waiting.len() < n {
                thread::yield_now();
            }
        }
        assert!(calls.into_iter().all(|call| call.join().unwrap().is_ok()));
    });
    let counts: Vec<usize> = sizes.into_inner().unwrap().iter().map(Vec::len).collect();
    assert_eq!(counts, [1, 1, 3, 1, 3, 1, 3]);
}

/// Whose time is short does not make it short for the others.
#[test]
fn the_call_with_the_most_time_leads() {
    let combiner = alone();
    let (first, lefts) = (AtomicBool::new(true), Mutex::new(Vec::new()));
    let exchange = |commands: &[Command], left: Duration| {
        if first.swap(false, Ordering::Relaxed) {
            while lock(&combiner.queue).waiting.len() < 3 {
                thread::yield_now();
            }
        }
        lefts.lock().unwrap().push((commands.len(), left));
        Ok(echo(commands))
    };
    thread::scope(|scope| {
        let times = [LONG, LONG / 2, LONG * 2, LONG / 4];
        let mut calls = Vec::new();
        for (n, time) in times.into_iter().enumerate() {
            let (combiner, exchange) = (&combiner, &exchange);
            calls.push(scope.spawn(move || combiner.call(command(n), time, exchange)));
            while lock(&combiner.queue).leaders == 0 {
                thread::yield_now();
            }
        }
        assert!(calls.into_iter().all(|call| call.join().unwrap().is_ok()));
    });
    let lefts = lefts.into_inner().unwrap();
    let (size, left) = lefts[1];
    assert!(size == 3 && left > LONG, "{lefts:?}");
}
