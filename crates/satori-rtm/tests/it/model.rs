//! Row D1: random calls against a client and a service behind a line that is cut at
//! random, beside a model that is a list a channel.

use std::{collections::BTreeMap, io::Write, sync::Arc, time::Duration};

use realtime_sandbox::{
    Action, At, Direction, Engine, Faults, Proxy, RtmConfig, RtmServer, Rule, kit::Random,
};
use satori_rtm::{Client, Delivery, Protocol, Subscribe, Subscription};

use crate::support::{PROTOCOLS, config_through, speak, within};

const CASES: u64 = 256;
const STEPS: usize = 50;
const CHANNELS: [&str; 3] = ["one", "two", "three"];

struct Model {
    client: Client,
    faults: Faults,
    random: Random,
    server: RtmServer,
    /// What each subscription must still deliver, and what it has delivered.
    live: BTreeMap<&'static str, Live>,
    /// What those that are over have delivered.
    over: Vec<(&'static str, Vec<u64>)>,
    values: BTreeMap<&'static str, u64>,
    counter: u64,
}

struct Live {
    subscription: Subscription,
    expected: Vec<u64>,
    got: Vec<u64>,
}

impl Model {
    async fn new(seed: u64, protocol: Protocol) -> Self {
        speak(protocol);
        let engine = Engine::ALL[(seed % 2) as usize];
        let server = RtmServer::new(RtmConfig::default(), engine);
        let faults = Faults::default();
        let config = config_through(&server, Arc::new(Proxy::pipes(faults.clone())));
        let config = config.role(server.role(), server.role_secret()).seed(seed);
        let config = config.request_timeout(Duration::from_secs(300)).retry_first_connect();
        let client = within(Client::connect(config)).await.unwrap();
        Self {
            client,
            faults,
            random: Random::new(seed),
            server,
            live: BTreeMap::new(),
            over: Vec::new(),
            values: BTreeMap::new(),
            counter: 0,
        }
    }

    async fn step(&mut self) {
        let channel = CHANNELS[self.random.below(3) as usize];
        match self.random.below(12) {
            0..=3 => self.publish(channel).await,
            4 | 5 if !self.live.contains_key(channel) => {
                let subscription = self.client.subscribe(channel, Subscribe::new());
                let subscription = within_five_minutes(subscription).await.unwrap();
                let live = Live { subscription, expected: Vec::new(), got: Vec::new() };
                self.live.insert(channel, live);
            }
            4 => {
                if let Some(live) = self.live.remove(channel) {
                    self.over.push((channel, live.got));
                }
            }
            5 => {
                if let Some(live) = self.live.remove(channel) {
                    self.over.push((channel, live.got));
                    within_five_minutes(live.subscription.unsubscribe()).await.unwrap();
                }
            }
            6 => {
                self.counter += 1;
                let key = format!("value {channel}");
                let written = self.client.write(&key, &self.counter);
                within_five_minutes(written).await.unwrap();
                self.values.insert(channel, self.counter);
            }
            7 => {
                let read = self.client.read::<Option<u64>>(&format!("value {channel}")).await;
                assert_eq!(read.unwrap(), self.values.get(channel).copied());
            }
            8 => {
                self.client.stop().await.unwrap();
                within_five_minutes(self.client.start()).await.unwrap();
            }
            9 => self.drain(channel).await,
            _ => {
                let direction = [Direction::ToServer, Direction::ToClient];
                let direction = direction[self.random.below(2) as usize];
                let at = At::Byte(self.random.below(400));
                let action = [Action::Reset, Action::Close, Action::Stall];
                let action = action[self.random.below(3) as usize];
                self.faults.add(Rule::new(direction, at, action));
            }
        }
    }

    async fn publish(&mut self, channel: &'static str) {
        self.counter += 1;
        within_five_minutes(self.client.publish(channel, &self.counter)).await.unwrap();
        if let Some(live) = self.live.get_mut(channel) {
            live.expected.push(self.counter);
        }
    }

    /// Takes all that is due.
    async fn drain(&mut self, channel: &'static str) {
        let Some(live) = self.live.get_mut(channel) else { return };
        for expected in std::mem::take(&mut live.expected) {
            while !live.got.contains(&expected) {
                live.take().await;
            }
        }
    }

    /// Everything that a subscription has delivered is what the service stored, in that
    /// order, each as often: nothing is missing, nothing comes twice.
    async fn compare(&mut self) {
        for (channel, mut live) in std::mem::take(&mut self.live) {
            // Nothing is left over, either.
            let wait = Duration::from_secs(1);
            while tokio::time::timeout(wait, live.take()).await.is_ok() {}
            self.over.push((channel, live.got));
        }
        let observer = Client::connect(crate::support::config(&self.server)).await.unwrap();
        for channel in CHANNELS {
            let history = Subscribe::new().history_count(1000);
            let mut all = observer.subscribe(channel, history).await.unwrap();
            let mut stored = Vec::new();
            let wait = Duration::from_secs(1);
            while let Ok(Some(Delivery::Message(message))) =
                tokio::time::timeout(wait, all.next()).await
            {
                stored.push(message.decode::<u64>().unwrap());
            }
            for (_, got) in self.over.iter().filter(|(of, got)| *of == channel && !got.is_empty()) {
                let found = stored.windows(got.len()).any(|window| window == got.as_slice());
                assert!(found, "{got:?} is no part of {stored:?}");
            }
        }
    }
}

impl Live {
    async fn take(&mut self) {
        match within_five_minutes(self.subscription.next()).await {
            Some(Delivery::Message(message)) => self.got.push(message.decode().unwrap()),
            other => panic!("{other:?}"),
        }
    }
}

async fn within_five_minutes<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(300), future).await.expect("no hang")
}

#[test]
fn d1_random_calls_over_a_line_that_is_cut_agree_with_the_model() {
    let (mut cuts, mut connects, start) = (0, 0, std::time::Instant::now());
    for protocol in PROTOCOLS {
        for seed in 0..CASES {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_time().start_paused(true).build().unwrap();
            runtime.block_on(async {
                let mut model = Model::new(seed, protocol).await;
                for _ in 0..STEPS {
                    model.step().await;
                }
                for channel in CHANNELS {
                    model.drain(channel).await;
                }
                model.compare().await;
                cuts += model.faults.struck();
                let stats = model.client.stats();
                assert_eq!(stats.gaps, 0, "seed {seed}");
                connects += stats.connects;
                let report =
                    within_five_minutes(model.client.close(Duration::from_secs(300))).await;
                assert!(report.is_clean(), "seed {seed}: {report:?}");
            });
        }
    }
    let _best_effort = writeln!(
        std::io::stderr(),
        "{{\"test\":\"D1 model\",\"sessions\":{},\"faults\":{cuts},\"connects\":{connects},\
         \"seconds\":{}}}",
        2 * CASES,
        start.elapsed().as_secs()
    );
    assert!(cuts > 2000 && connects > 2000, "{cuts} cuts, {connects} connects");
}
