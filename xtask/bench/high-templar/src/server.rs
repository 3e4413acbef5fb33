//! The servers in turn.

use std::time::Duration;

use crate::{
    crowd::{Crowd, Load, to_one},
    helpers::Running,
    sample::Samples,
    side::Side,
};

/// Servers of each side that are started, one after the other in turn.
const ROUNDS: usize = 5;
/// Messages to a crowd in each round.
const FANS: usize = 30;
const CROWD: usize = 1000;

#[derive(Default)]
struct Figures {
    connects: Vec<f64>,
    memory: Vec<f64>,
    first: Vec<f64>,
    half: Vec<f64>,
    all: Vec<f64>,
    large: Vec<f64>,
    alone: Vec<f64>,
    ahead: Vec<f64>,
    named: Vec<f64>,
}

pub(crate) fn measure() {
    let (_backend, url) = Running::helper("backend");
    let (mut ours, mut theirs) = (Figures::default(), Figures::default());
    for _ in 0..ROUNDS {
        match Side::ours(&url) {
            Some(side) => round(&side, &mut ours, 64_000),
            None => return println!("server: not run: HIGH_TEMPLAR_PROGRAM names none"),
        }
        if let Some(side) = Side::python(&url) {
            round(&side, &mut theirs, 4000);
        }
    }
    if theirs.all.is_empty() {
        println!("Python 3.1: not run: HIGH_TEMPLAR_PYTHON and .._SCRIPT name none");
    }
    println!("\n{CROWD} connections in one room, {ROUNDS} rounds; median (p10 .. p90)");
    let rows: [(&str, fn(&Figures) -> &Vec<f64>); 9] = [
        ("connects /s, with their question to the backend", |f| &f.connects),
        ("memory KiB a connection", |f| &f.memory),
        ("100 B message: ms until the first has it", |f| &f.first),
        ("until half have it", |f| &f.half),
        ("until all have it", |f| &f.all),
        ("10 KiB message: ms until all have it", |f| &f.large),
        ("messages /s to one connection, a trigger each", |f| &f.alone),
        ("the same, 50 triggers sent ahead", |f| &f.ahead),
        ("messages /s, each trigger naming the room 100 times", |f| &f.named),
    ];
    for (name, of) in rows {
        let (a, b) = (Samples::of(of(&ours).clone()), Samples::of(of(&theirs).clone()));
        println!(
            "{name:<52} ours {:>10}, Python {:>10}, ours / Python {:.3}",
            shown(&a),
            shown(&b),
            a.median() / b.median()
        );
    }
    held(&url);
}

fn shown(samples: &Samples) -> String {
    format!("{:.2} ({:.2} .. {:.2})", samples.median(), samples.p10(), samples.p90())
}

fn round(side: &Side, figures: &mut Figures, messages: usize) {
    let before = side.memory();
    let (mut crowd, took) = Crowd::gather(side.address, CROWD);
    figures.connects.push(CROWD as f64 / took.as_secs_f64());
    figures.memory.push((side.memory() - before) / CROWD as f64);
    let (small, large) = (data(100), data(10 << 10));
    for _ in 0..FANS {
        let fan = crowd.fan(&small);
        for (times, time) in [
            (&mut figures.first, fan.first),
            (&mut figures.half, fan.half),
            (&mut figures.all, fan.all),
        ] {
            times.push(milliseconds(time));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    for _ in 0..FANS / 3 {
        figures.large.push(milliseconds(crowd.fan(&large).all));
    }
    drop(crowd);
    std::thread::sleep(Duration::from_millis(200));
    let one = Load { messages, ahead: 1, each: 1 };
    figures.alone.push(to_one(side.address, one, &small));
    figures.ahead.push(to_one(side.address, Load { ahead: 50, ..one }, &small));
    let named = Load { messages: messages * 10, each: 100, ..one };
    figures.named.push(to_one(side.address, named, &small));
    println!("{}: a round is over", side.name);
}

/// Ten thousand connections, on ours alone.
fn held(backend: &str) {
    let Some(side) = Side::ours(backend) else { return };
    let before = side.memory();
    let (mut crowd, took) = Crowd::gather(side.address, 10_000);
    let memory = (side.memory() - before) / 10_000.0;
    let fans: Vec<f64> = (0..FANS).map(|_| milliseconds(crowd.fan(&data(100)).all)).collect();
    println!(
        "10000 connections: {:.0} /s, {memory:.2} KiB a connection, all have a 100 B message after {} ms",
        10_000.0 / took.as_secs_f64(),
        shown(&Samples::of(fans))
    );
}

/// A string of that many bytes, as JSON.
fn data(bytes: usize) -> String {
    format!("\"{}\"", "x".repeat(bytes - 2))
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
