//! A simulated outside: it does what it is asked once per idempotency key,
//! remembers everything, and loses, refuses or delays what its script says.

use crate::Dice;
use async_trait::async_trait;
use kernel::Timestamp;
use kernel::port::{Clock, Http, HttpAnswer, HttpFault, HttpRequest};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is done and answered.
    Answer,
    /// It is done, and the answer is lost.
    LoseReply,
    /// It is lost on the way, and the caller cannot know.
    LoseRequest,
    /// It never leaves.
    NotSent,
    /// It is not done; the other side says 422.
    Refuse,
    /// It is not done; the other side asks to come again (503).
    Busy,
    /// The process that asks dies while the request is on its way, after it
    /// was done: the caller never hears anything again.
    Hang,
}

/// A request that arrived or was lost on its way.
#[derive(Clone, Debug)]
pub struct Asked {
    /// When.
    pub at: Timestamp,
    /// Its idempotency key, where it has one.
    pub key: Option<String>,
    /// The method.
    pub method: String,
    /// The URL.
    pub url: String,
    /// The body as JSON; null when it is none.
    pub body: Value,
    /// What became of it.
    pub fate: Fate,
}

/// Something that happened outside.
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    /// Under which key.
    pub key: Option<String>,
    /// The method.
    pub method: String,
    /// The URL.
    pub url: String,
    /// The body as JSON.
    pub body: Value,
}

#[derive(Default)]
struct State {
    asked: Vec<Asked>,
    effects: Vec<Effect>,
    refused: Vec<String>,
    resources: BTreeMap<String, Value>,
    script: VecDeque<Fate>,
    chaos: Option<(Dice, usize)>,
}

/// The simulated outside.
pub struct TwinHttp {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

impl TwinHttp {
    /// An outside that does and answers everything.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let state = Mutex::default();
        Self { clock, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic before")
    }

    /// What becomes of the next writing requests, in order; afterwards all are
    /// answered again.
    pub fn script(&self, fates: &[Fate]) {
        self.state().script.extend(fates);
    }

    /// From now on, `percent` of the writing requests meet trouble.
    pub fn chaos(&self, seed: u64, percent: usize) {
        self.state().chaos = Some((Dice::new(seed), percent));
    }

    /// What was scripted and has not happened will not.
    pub fn unscript(&self) {
        self.state().script.clear();
    }

    /// No more trouble.
    pub fn calm(&self) {
        let mut state = self.state();
        state.chaos = None;
        state.script.clear();
    }

    /// Everything that was asked, in order.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.state().asked.clone()
    }

    /// Everything that happened, in order.
    #[must_use]
    pub fn effects(&self) -> Vec<Effect> {
        self.state().effects.clone()
    }
}

impl State {
    fn fate(&mut self) -> Fate {
        if let Some(fate) = self.script.pop_front() {
            return fate;
        }
        let Some((dice, percent)) = &mut self.chaos else {
            return Fate::Answer;
        };
        if dice.roll(100) >= *percent {
            return Fate::Answer;
        }
        const TROUBLE: [Fate; 5] = [
            Fate::LoseReply,
            Fate::LoseRequest,
            Fate::NotSent,
            Fate::Refuse,
            Fate::Busy,
        ];
        dice.pick(&TROUBLE).copied().unwrap_or(Fate::Answer)
    }

    /// The status; a known key gets its first answer and does nothing new.
    fn perform(&mut self, asked: &Asked) -> u16 {
        let known = |key: &Option<String>| key.is_some() && *key == asked.key;
        if self.effects.iter().any(|e| known(&e.key)) {
            return 200;
        }
        if asked.key.as_ref().is_some_and(|k| self.refused.contains(k)) {
            return 422;
        }
        if asked.fate == Fate::Refuse {
            self.refused.extend(asked.key.clone());
            return 422;
        }
        if asked.method == "PUT" {
            self.resources.insert(asked.url.clone(), asked.body.clone());
        }
        self.effects.push(Effect {
            key: asked.key.clone(),
            method: asked.method.clone(),
            url: asked.url.clone(),
            body: asked.body.clone(),
        });
        200
    }
}

fn answer(status: u16, body: &Value) -> HttpAnswer {
    HttpAnswer {
        status,
        headers: BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]),
        body: body.to_string().into_bytes(),
    }
}

#[async_trait]
impl Http for TwinHttp {
    async fn send(&self, request: HttpRequest) -> Result<HttpAnswer, HttpFault> {
        let at = self.clock.now();
        let fate = {
            let mut state = self.state();
            if matches!(request.method.as_str(), "GET" | "HEAD") {
                let found = state.resources.get(&request.url).cloned();
                return Ok(match found {
                    Some(body) => answer(200, &body),
                    None => answer(404, &json!({})),
                });
            }
            let asked = Asked {
                at,
                key: request.headers.get("idempotency-key").cloned(),
                method: request.method,
                url: request.url,
                body: serde_json::from_slice(&request.body).unwrap_or(Value::Null),
                fate: state.fate(),
            };
            let status = match asked.fate {
                Fate::Answer | Fate::LoseReply | Fate::Refuse | Fate::Hang => {
                    Some(state.perform(&asked))
                }
                Fate::LoseRequest | Fate::NotSent | Fate::Busy => None,
            };
            let fate = asked.fate;
            state.asked.push(asked);
            if let (Fate::Answer | Fate::Refuse, Some(status)) = (fate, status) {
                return Ok(answer(status, &json!({ "done": status == 200 })));
            }
            fate
        };
        match fate {
            Fate::Busy => Ok(answer(503, &json!({}))),
            Fate::NotSent => Err(HttpFault::NotSent("the network is down".into())),
            Fate::Hang => std::future::pending().await,
            _ => Err(HttpFault::NoAnswer("the reply was lost".into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TestClock;
    use kernel::Span;

    fn put(key: &str) -> HttpRequest {
        HttpRequest {
            method: "PUT".into(),
            url: "http://plant.example/a".into(),
            headers: BTreeMap::from([("idempotency-key".to_owned(), key.to_owned())]),
            body: b"{\"state\":\"on\"}".to_vec(),
            timeout: Span::from_secs(1),
            answer_bytes_max: 1024,
            private_ranges_allowed: false,
        }
    }

    #[tokio::test]
    async fn a_key_is_honoured_whatever_was_lost_before() {
        let twin = TwinHttp::new(Arc::new(TestClock::at(Timestamp::EPOCH)));
        twin.script(&[Fate::LoseRequest, Fate::LoseReply, Fate::Answer]);
        assert!(twin.send(put("a")).await.is_err());
        assert!(twin.effects().is_empty());
        assert!(twin.send(put("a")).await.is_err());
        assert_eq!(twin.effects().len(), 1);
        assert_eq!(twin.send(put("a")).await.map(|a| a.status), Ok(200));
        assert_eq!(twin.effects().len(), 1);
        assert_eq!(twin.asked().len(), 3);
    }

    #[tokio::test]
    async fn a_refused_key_stays_refused_and_a_new_one_does_not() {
        let twin = TwinHttp::new(Arc::new(TestClock::at(Timestamp::EPOCH)));
        twin.script(&[Fate::Refuse]);
        assert_eq!(twin.send(put("a")).await.map(|a| a.status), Ok(422));
        assert_eq!(twin.send(put("a")).await.map(|a| a.status), Ok(422));
        assert_eq!(twin.send(put("b")).await.map(|a| a.status), Ok(200));
        assert_eq!(twin.effects().len(), 1);
    }
}
