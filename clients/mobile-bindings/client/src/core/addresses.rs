//! Where a session may be dialled: its first URL, and where its server sends it
//! (`protocol/spec/session.md`, "Where to resume").

use super::url::Url;

/// A client moves this long before its server leaves: time for a URL that is dead and another one,
/// milliseconds.
const RESERVE_MS: u64 = 3000;

/// The URLs of one session, by what its server has said.
#[derive(Debug)]
pub(crate) struct Addresses {
    first: Url,
    /// The one that counts now.
    at: Url,
    /// Where the session was not to be had.
    dead: Option<Url>,
}

impl Addresses {
    /// Begins with the only URL that is known.
    pub(crate) fn new(first: Url) -> Self {
        Self { at: first.clone(), first, dead: None }
    }

    /// Where the program connected.
    pub(crate) const fn first(&self) -> &Url {
        &self.first
    }

    /// What a round dials before the first URL.
    pub(crate) fn elsewhere(&self) -> Option<Url> {
        (self.at != self.first).then(|| self.at.clone())
    }

    /// What a round dials, one after the other.
    pub(crate) fn order(&self) -> Vec<Url> {
        self.elsewhere().into_iter().chain([self.first.clone()]).collect()
    }

    /// The server at `url` has welcomed us; the next resume is wanted at `resume_url`.
    pub(crate) fn welcomed(&mut self, url: Url, resume_url: &str) {
        self.dead.take_if(|dead| *dead == url);
        self.at = self.allowed(resume_url).unwrap_or(url);
    }

    /// Takes a `GoAway`: the session goes on at `resume_url`; empty, or not allowed = at the first
    /// URL. True when that is another place than `here`, where the socket in use is, and not known
    /// to be dead.
    pub(crate) fn sent_on(&mut self, resume_url: &str, here: Option<&Url>) -> bool {
        let allowed = self.allowed(resume_url);
        let moves = allowed.is_some() && allowed.as_ref() != here && allowed != self.dead;
        self.at = allowed.unwrap_or_else(|| self.first.clone());
        moves
    }

    /// The session was not to be had at `url`; that is tried again, but only in need.
    pub(crate) fn failed(&mut self, url: &Url) {
        if *url != self.first {
            self.dead = Some(url.clone());
        }
    }

    /// Takes a refusal for good; true when the first URL may know better.
    pub(crate) fn refused(&mut self, url: &Url) -> bool {
        self.failed(url);
        if *url == self.at {
            self.at = self.first.clone();
        }
        *url != self.first
    }

    /// The URL, if a server may send us there: never out of TLS, nor to this machine.
    fn allowed(&self, url: &str) -> Option<Url> {
        let url = Url::named(url)?;
        let kept = url.encrypted || !self.first.encrypted;
        (kept && (self.first.is_loopback() || !url.is_loopback())).then_some(url)
    }
}

/// When a client moves whose server leaves in `time_left_ms`: at a quiet moment between these two,
/// or at the latter. `jitter`, from 0 to 1, spreads the clients of one server.
pub(crate) fn moving_window_ms(time_left_ms: u64, jitter: f64) -> (u64, u64) {
    let latest_ms = time_left_ms - RESERVE_MS.min(time_left_ms / 2);
    ((jitter * latest_ms as f64 / 2.0) as u64, latest_ms)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::{env, fs};

    use serde_json::{Map, Value, json};

    use super::{Addresses, moving_window_ms};
    use crate::core::url::Url;

    /// Every case of `protocol/vectors/addresses` by its name; of the clone that this runs for.
    fn cases() -> Vec<(String, Value)> {
        let crate_root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap());
        let entries = fs::read_dir(crate_root.join("../../../protocol/vectors/addresses")).unwrap();
        let read = |path: PathBuf| {
            assert_eq!(path.extension().unwrap(), "json", "{path:?} is not read");
            let case = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            (path.file_stem().unwrap().to_string_lossy().into_owned(), case)
        };
        entries.map(|entry| read(entry.unwrap().path())).collect()
    }

    fn text<'a>(step: &'a Map<String, Value>, name: &str) -> &'a str {
        step[name].as_str().unwrap()
    }

    fn url(step: &Map<String, Value>, name: &str) -> Url {
        Url::named(text(step, name)).unwrap()
    }

    /// What comes of a step, in place of what is expected.
    fn outcome(addresses: &mut Addresses, step: &Map<String, Value>) -> Value {
        match text(step, "op") {
            "welcomed" => {
                addresses.welcomed(url(step, "url"), text(step, "resume_url"));
                json!({})
            }
            "sent_on" => {
                let here = url(step, "here");
                let moves = addresses.sent_on(text(step, "resume_url"), Some(&here));
                json!({ "moves": moves })
            }
            "failed" => {
                addresses.failed(&url(step, "url"));
                json!({})
            }
            "refused" => json!({ "goes_on": addresses.refused(&url(step, "url")) }),
            "order" => {
                let urls: Vec<String> = addresses.order().into_iter().map(|url| url.text).collect();
                json!({ "urls": urls })
            }
            "window" => {
                let time_left_ms = step["time_left_ms"].as_u64().unwrap();
                let (earliest_ms, latest_ms) =
                    moving_window_ms(time_left_ms, step["jitter"].as_f64().unwrap());
                json!({ "earliest_ms": earliest_ms, "latest_ms": latest_ms })
            }
            other => panic!("no such op: {other}"),
        }
    }

    #[test]
    fn addresses_scripts() {
        let mut count = 0;
        for (name, case) in cases() {
            let mut addresses =
                Addresses::new(Url::parse(case["first"].as_str().unwrap()).unwrap());
            for (at, step) in case["steps"].as_array().unwrap().iter().enumerate() {
                let step = step.as_object().unwrap();
                let mut came = step.clone();
                if let Value::Object(fields) = outcome(&mut addresses, step) {
                    came.extend(fields);
                }
                assert_eq!(&came, step, "addresses/{name}, step {at}");
                count += 1;
            }
        }
        assert!(count >= 100, "{count}");
    }
}
